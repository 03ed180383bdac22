//! `rotatectl compromised` against the local world.

#![cfg(test)]

mod common;

use common::{
    administrator, at, called, command, document, execute, json_of, leave_over, log_in,
    options_where, password, put, rotatectl, rotated, run, start, stdout_of, world,
};
use local::{
    key_service::Recorder, postgres::Error, secrets_manager::labels::Promotion, world::World,
};
use serde_json::{Value, json};
use snapbox::{cmd::OutputAssert, str};
use tokio_postgres::Client;

/// Runs it for a secret, without a question.
async fn compromised(world: &World, secret: &str, arguments: &[&str]) -> OutputAssert {
    let arguments = [&["compromised", secret, "--yes"], arguments].concat();
    rotatectl(world, &arguments).await
}

async fn assert_rejected(world: &World, document: &Value) {
    let Err(Error::Refused(error)) = log_in(world, document).await else {
        panic!("{} logs in with an old password", document["username"])
    };
    assert_eq!(error.code().unwrap().code(), "28P01");
}

async fn is_alive(client: &Client) -> bool {
    client.simple_query("SELECT 1").await.is_ok()
}

#[tokio::test]
async fn with_a_single_user_the_leaked_password_and_its_sessions_end_and_the_timeline_shows_when() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    let session = log_in(&world, &leaked).await.unwrap();

    let ran = compromised(&world, secret, &[]).await;
    let ran = ran.success().stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders/single-[..] is treated as leaked (single user)
[..]Z  1 of 1 stored credentials log in
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the password of orders_[..] in version [..], the former AWSCURRENT, no longer works: the server rejects a login with it (28P01)
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  orders_[..] logs in with version [..], AWSCURRENT
[..]Z  contained: all 1 old credentials are rejected by the server; sessions ended: [..]

"#]]).stderr_eq(str![[r#"
containing a leak of demo/orders/single (single user) in account 123456789012, region us-east-1

"#]]);

    assert_rejected(&world, &leaked).await;
    assert!(!is_alive(&session).await);
    let current = document(&world, secret, "AWSCURRENT").await;
    log_in(&world, &current).await.unwrap();
    let said = stdout_of(&ran);
    for document in [&leaked, &current] {
        assert!(!said.contains(document["password"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn with_alternating_users_every_earlier_password_and_session_of_both_users_ends() {
    for promotion in Promotion::ALL {
        assert_nothing_of_before_is_left(&start(options_where(promotion)).await).await;
    }
}

async fn assert_nothing_of_before_is_left(world: &World) {
    let secret = world.alternating_users();
    rotated(world, secret).await;
    let mut before = Vec::new();
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        let document = document(world, secret, label).await;
        let session = log_in(world, &document).await.unwrap();
        before.push((document, session));
    }

    compromised(world, secret, &[])
        .await
        .success()
        .stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/stock/alternating-[..] is treated as leaked (alternating users)
[..]Z  2 of 2 stored credentials log in
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the password of stock_[..] in version [..], the former AWSPREVIOUS, no longer works: the server rejects a login with it (28P01)
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  the password of stock_[..]_clone in version [..], the former AWSCURRENT, no longer works: the server rejects a login with it (28P01)
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  stock_[..]_clone logs in with version [..], AWSCURRENT
[..]Z  contained: all 2 old credentials are rejected by the server; sessions ended: [..]

"#]]);

    for (document, session) in &before {
        assert_rejected(world, document).await;
        assert!(!is_alive(session).await, "{}", document["username"]);
    }
    // what the rotations themselves left behind as AWSPREVIOUS is ended too
    assert_rejected(world, &document(world, secret, "AWSPREVIOUS").await).await;
    let current = document(world, secret, "AWSCURRENT").await;
    log_in(world, &current).await.unwrap();
}

#[tokio::test]
async fn a_rotation_in_progress_is_completed_and_its_password_counts_as_leaked() {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        let token = leave_over(&world, secret, 2).await;
        let pending = document(&world, secret, "AWSPENDING").await;
        let session = log_in(&world, &pending).await.unwrap();

        let ran = compromised(&world, secret, &["--json"]).await.success();

        assert_rejected(&world, &pending).await;
        assert!(!is_alive(&session).await);
        let report = json_of(&ran);
        let old = report["old_credentials"].as_array().unwrap();
        let old = old.iter().find(|old| old["version"] == *token).unwrap();
        assert_eq!(old["proof"], "login_rejected", "{report}");
    }
}

#[tokio::test]
async fn the_report_is_available_as_json() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    let _session = log_in(&world, &leaked).await.unwrap();
    compromised(&world, secret, &["--json"])
        .await
        .success()
        .stdout_eq(str![[r#"
{
  "secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders/single-[..]",
  "strategy": "single user",
  "contained": true,
  "sessions_ended": [..],
  "old_credentials": [
    {
      "version": "[..]",
      "label": "AWSCURRENT",
      "user": "orders_[..]",
      "stopped_working": "[..]Z",
      "proof": "login_rejected"
    }
  ],
  "problems": [],
  "timeline": [
    {
      "time": "[..]Z",
      "event": "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders/single-[..] is treated as leaked (single user)"
    },
    {
      "time": "[..]Z",
      "event": "1 of 1 stored credentials log in"
    },
    {
      "time": "[..]Z",
      "event": "the rotation to version [..] begins"
    },
    {
      "time": "[..]Z",
      "event": "version [..] is AWSCURRENT, after [..] s"
    },
    {
      "time": "[..]Z",
      "event": "the password of orders_[..] in version [..], the former AWSCURRENT, no longer works: the server rejects a login with it (28P01)"
    },
    {
      "time": "[..]Z",
      "event": "the credential before AWSCURRENT: revoked, sessions ended: [..]"
    },
    {
      "time": "[..]Z",
      "event": "orders_[..] logs in with version [..], AWSCURRENT"
    },
    {
      "time": "[..]Z",
      "event": "contained: all 1 old credentials are rejected by the server; sessions ended: [..]"
    }
  ]
}

"#]]);
}

#[tokio::test]
async fn if_the_database_is_unreachable_the_report_relies_on_the_function_and_says_so() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    // no CA: its certificate is not trusted
    let ran = run(at(world.endpoint(), &["compromised", secret, "--yes"])).await;
    ran.success().stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders/single-[..] is treated as leaked (single user)
[..]Z  the password of orders_[..] in version [..], the former AWSCURRENT, cannot be tried from here, so the proof rests on the function's answer: the certificate of localhost:[..] is not valid for it (invalid peer certificate: UnknownIssuer): store as host a name that is in the certificate, and name a private CA's file in TLS_CA_FILE
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  contained: 0 of 1 old credentials are rejected by the server; for the others the proof is the function's answer; sessions ended: [..]

"#]]);
    assert_rejected(&world, &leaked).await;

    let leaked = document(&world, secret, "AWSCURRENT").await;
    let ran = compromised(&world, secret, &["--no-login", "--json"]).await;
    let ran = ran.success();
    let report = json_of(&ran);
    let proof = &report["old_credentials"][0]["proof"];
    assert_eq!(*proof, json!({ "not_tried": "--no-login" }));
    assert_rejected(&world, &leaked).await;
}

#[tokio::test]
async fn an_old_password_that_still_logs_in_is_a_failure() {
    let world = world().await;
    let secret = world.single_user();
    // the secret was given to another role by hand, and the old role's password was left as it was
    let left = document(&world, secret, "AWSCURRENT").await;
    let mut other = left.clone();
    other["username"] = json!(world.alternating_role());
    other["password"] = json!(password(&world, world.alternating_users(), "AWSCURRENT").await);
    put(&world, secret, &other).await;

    let ran = compromised(&world, secret, &["--json"]).await;
    let ran = ran.code(1).stderr_eq(str![[r#"
containing a leak of demo/orders/single (single user) in account 123456789012, region us-east-1
rotatectl: the leak is not contained, or it is unknown whether it is: the credential of orders_[..] that was stored before still works: if the rotations above succeeded, they changed another credential; end this one with ALTER ROLE … PASSWORD NULL, or delete the key at its service; when the causes are gone, run the command again

"#]]);
    let report = json_of(&ran);
    assert_eq!(report["contained"], json!(false));
    assert_eq!(report["old_credentials"][0]["proof"], "login_rejected");
    assert_eq!(report["old_credentials"][1]["proof"], "none");
    log_in(&world, &left).await.unwrap();
}

#[tokio::test]
async fn a_leak_inside_a_promised_overlap_is_contained_at_once() {
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let leaked = document(&world, secret, "AWSCURRENT").await;
    let promised = document(&world, secret, "AWSPREVIOUS").await;
    compromised(&world, secret, &[]).await.success();
    for old in [leaked, promised] {
        assert_rejected(&world, &old).await;
    }
}

#[tokio::test]
async fn a_failed_revocation_is_reported_at_the_end_and_the_later_steps_still_run() {
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let current = document(&world, secret, "AWSCURRENT").await;
    let _session = log_in(&world, &current).await.unwrap();
    let admin = administrator(&world);
    execute(&world, &format!("REVOKE pg_signal_backend FROM {admin}")).await;
    compromised(&world, secret, &[])
        .await
        .code(1)
        .stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/stock/alternating-[..] is treated as leaked (alternating users)
[..]Z  2 of 2 stored credentials log in
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the password of stock_[..] in version [..], the former AWSPREVIOUS, no longer works: the server rejects a login with it (28P01)
[..]Z  problem: revokeSecret failed (AdministratorForbidden: [..]); when the cause is gone, run rotatectl revoke arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/stock/alternating-[..]
[..]Z  the password of stock_[..]_clone in version [..], the former AWSCURRENT, no longer works: the server rejects a login with it (28P01)
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: 0
[..]Z  stock_[..]_clone logs in with version [..], AWSCURRENT

"#]])
        .stderr_eq(str![[r#"
containing a leak of demo/stock/alternating (alternating users) in account 123456789012, region us-east-1
rotatectl: the leak is not contained, or it is unknown whether it is: revokeSecret failed (AdministratorForbidden: the administrator admin_of_orders_[..] may not end the sessions of stock_[..]_clone on localhost:[..] (SQLSTATE 42501: [..]): as a superuser, run GRANT "pg_signal_backend" TO "admin_of_orders_[..]"); when the cause is gone, run rotatectl revoke arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/stock/alternating-[..]; when the causes are gone, run the command again

"#]]);
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_done() {
    let world = world().await;
    let ran = rotatectl(&world, &["compromised", world.single_user()]).await;
    ran.code(1).stdout_eq("").stderr_eq(str![[r#"
containing a leak of demo/orders/single (single user) in account 123456789012, region us-east-1
rotatectl: cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes

"#]]);
    assert_eq!(called(&world, "RotateSecret"), 0);
}

#[tokio::test]
async fn a_leaked_api_key_and_the_one_before_it_are_deleted_and_the_service_confirms_it() {
    let world = common::world_with_key_service().await;
    let (secret, service) = (world.api_key(), world.key_service().unwrap());
    // the account is full, and the overlap lasts
    rotated(&world, secret).await;
    let leaked = service.keys();
    assert_eq!(leaked.len(), 2);

    let ran = compromised(&world, secret, &[]).await;
    ran.success().stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/mail/api-key-[..] is treated as leaked (api key)
[..]Z  2 of 2 stored credentials log in
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: 0
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the key [..] in version [..], the former AWSPREVIOUS, no longer works: the service rejects it
[..]Z  the credential before AWSCURRENT: revoked, sessions ended: 0
[..]Z  the key [..] in version [..], the former AWSCURRENT, no longer works: the service rejects it
[..]Z  [..] logs in with version [..], AWSCURRENT
[..]Z  contained: all 2 old credentials are rejected by the server; sessions ended: 0

"#]]);
    let current = document(&world, secret, "AWSCURRENT").await;
    assert_eq!(service.keys(), [current["key_id"].as_str().unwrap()]);
}

#[tokio::test]
async fn a_key_is_tried_only_at_hosts_that_the_function_may_ask() {
    let world = common::world_with_key_service().await;
    let secret = world.api_key();
    let stranger = Recorder::start(&["localhost"], "{}").await.unwrap();
    let trusted = std::fs::read_to_string(world.ca_file()).unwrap() + stranger.ca();
    std::fs::write(world.ca_file(), trusted).unwrap();
    let mut hostile = document(&world, secret, "AWSCURRENT").await;
    hostile["verify"]["url"] = format!("https://localhost:{}/", stranger.port()).into();
    put(&world, secret, &hostile).await;

    let said = async |access_key: &str| {
        let arguments = ["compromised", secret, "--yes", "--give-up-after", "1s"];
        let mut command = command(&world, &arguments);
        command.env("AWS_ACCESS_KEY_ID", access_key);
        stdout_of(&run(command).await.failure())
    };
    let asked = said("any").await;
    assert!(asked.contains("which this function may not ask"), "{asked}");
    // without the right to read what the function may ask, nobody is asked
    let allowed = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["secretsmanager:*", "lambda:InvokeFunction", "logs:*"], "Resource": "*" },
    ] });
    let restricted = world.iam().restrict("reader", "reader", &[allowed]);
    restricted.unwrap();
    let asked = said("reader").await;
    assert!(asked.contains("lambda:GetFunctionConfiguration"), "{asked}");
    assert_eq!(stranger.connections(), 0);
}
