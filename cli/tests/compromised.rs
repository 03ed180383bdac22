//! `rotatectl compromised` against the local world.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{command, json_of, password, run, world};
use local::world::World;
use serde_json::{Value, json};
use snapbox::{cmd::OutputAssert, str};
use tokio_postgres::Client;

const TOKEN: &str = "00000000-0000-4000-8000-000000000001";

async fn compromised(world: &World, secret: &str, arguments: &[&str]) -> OutputAssert {
    let arguments = [&["compromised", secret], arguments].concat();
    let mut command = command(world.endpoint(), &arguments);
    command.env("TLS_CA_FILE", world.postgres().ca_file());
    run(command).await
}

async fn document(world: &World, secret: &str, label: &str) -> Value {
    let input = json!({ "SecretId": secret, "VersionStage": label });
    let value = world.secrets_manager().call("GetSecretValue", input).await;
    serde_json::from_str(value.unwrap()["SecretString"].as_str().unwrap()).unwrap()
}

async fn log_in(world: &World, document: &Value) -> Result<Client, local::postgres::Error> {
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    let (user, password, dbname) = (text("username"), text("password"), text("dbname"));
    world.postgres().connect(&user, &password, &dbname).await
}

async fn assert_rejected(world: &World, document: &Value) {
    let Err(local::postgres::Error::Refused(error)) = log_in(world, document).await else {
        panic!("{} logs in with an old password", document["username"])
    };
    assert_eq!(error.code().unwrap().code(), "28P01");
}

async fn is_alive(client: &Client) -> bool {
    client.simple_query("SELECT 1").await.is_ok()
}

#[tokio::test]
async fn under_single_user_the_leaked_password_and_its_sessions_end_and_the_timeline_tells_when() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    let session = log_in(&world, &leaked).await.unwrap();

    let ran = compromised(&world, secret, &["--yes"]).await;
    let ran = ran.success().stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders/single-[..] is treated as leaked (single user)
[..]Z  1 of 1 stored credentials log in
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the password of orders_[..] in version [..], AWSCURRENT of before, does not work any more: the server rejects a login with it (28P01)
[..]Z  what came before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  orders_[..] logs in with version [..], AWSCURRENT
[..]Z  contained: all 1 old credentials are rejected by the server; sessions ended: [..]

"#]]).stderr_eq("");

    assert_rejected(&world, &leaked).await;
    assert!(!is_alive(&session).await);
    let current = document(&world, secret, "AWSCURRENT").await;
    log_in(&world, &current).await.unwrap();
    let said = String::from_utf8(ran.get_output().stdout.clone()).unwrap();
    for document in [&leaked, &current] {
        assert!(!said.contains(document["password"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn under_alternating_users_no_password_and_no_session_of_before_is_left_to_either() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(
        world
            .secrets_manager()
            .rotate(secret)
            .await
            .unwrap()
            .succeeded
    );
    let mut before = Vec::new();
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        let document = document(&world, secret, label).await;
        let session = log_in(&world, &document).await.unwrap();
        before.push((document, session));
    }

    compromised(&world, secret, &["--yes"])
        .await
        .success()
        .stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/stock/alternating-[..] is treated as leaked (alternating users)
[..]Z  2 of 2 stored credentials log in
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the password of stock_[..] in version [..], AWSPREVIOUS of before, does not work any more: the server rejects a login with it (28P01)
[..]Z  what came before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  the password of stock_[..]_clone in version [..], AWSCURRENT of before, does not work any more: the server rejects a login with it (28P01)
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  what came before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  stock_[..]_clone logs in with version [..], AWSCURRENT
[..]Z  contained: all 2 old credentials are rejected by the server; sessions ended: [..]

"#]]);

    for (document, session) in &before {
        assert_rejected(&world, document).await;
        assert!(!is_alive(session).await, "{}", document["username"]);
    }
    // what the rotations themselves left behind as AWSPREVIOUS is ended too
    assert_rejected(&world, &document(&world, secret, "AWSPREVIOUS").await).await;
    log_in(&world, &document(&world, secret, "AWSCURRENT").await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rotation_that_was_under_way_comes_to_its_end_and_its_password_counts_as_leaked() {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        let service = world.secrets_manager();
        service.stage(secret, TOKEN).unwrap();
        for step in ["createSecret", "setSecret"] {
            let event = json!({
                "Step": step, "SecretId": service.arn(secret), "ClientRequestToken": TOKEN,
            });
            world.function().invoke(event).await.outcome.unwrap();
        }
        let pending = document(&world, secret, "AWSPENDING").await;
        let session = log_in(&world, &pending).await.unwrap();

        let ran = compromised(&world, secret, &["--yes", "--json"])
            .await
            .success();

        assert_rejected(&world, &pending).await;
        assert!(!is_alive(&session).await);
        let report = json_of(&ran);
        let old = report["old_credentials"].as_array().unwrap();
        let old = old.iter().find(|old| old["version"] == TOKEN).unwrap();
        assert_eq!(old["proof"], "login_rejected", "{report}");
    }
}

#[tokio::test]
async fn the_report_is_json_when_it_is_asked_for() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    let _session = log_in(&world, &leaked).await.unwrap();
    compromised(&world, secret, &["--yes", "--json"])
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
      "event": "the password of orders_[..] in version [..], AWSCURRENT of before, does not work any more: the server rejects a login with it (28P01)"
    },
    {
      "time": "[..]Z",
      "event": "what came before AWSCURRENT: revoked, sessions ended: [..]"
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
async fn where_the_database_cannot_be_reached_from_here_the_functions_word_stands_and_that_is_said()
{
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    // no CA: its certificate is not trusted
    let ran = run(command(world.endpoint(), &["compromised", secret, "--yes"])).await;
    ran.success().stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders/single-[..] is treated as leaked (single user)
[..]Z  the password of orders_[..] in version [..], AWSCURRENT of before, cannot be tried from here, so the function's word will stand for it: the certificate of localhost:[..] does not hold (invalid peer certificate: UnknownIssuer): store as host the name that the certificate carries, and name a private CA's file in TLS_CA_FILE
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  what came before AWSCURRENT: revoked, sessions ended: [..]
[..]Z  contained: 0 of 1 old credentials are rejected by the server, for the others stands the function's word; sessions ended: [..]

"#]]);
    assert_rejected(&world, &leaked).await;

    let leaked = document(&world, secret, "AWSCURRENT").await;
    let ran = compromised(&world, secret, &["--yes", "--no-login", "--json"])
        .await
        .success();
    let report = json_of(&ran);
    let proof = &report["old_credentials"][0]["proof"];
    assert_eq!(*proof, json!({ "not_tried": "--no-login" }));
    assert_rejected(&world, &leaked).await;
}

#[tokio::test]
async fn an_old_password_that_goes_on_logging_in_is_a_failure() {
    let world = world().await;
    let secret = world.single_user();
    // the secret was given to another role by hand, and the old role's password was left as it was
    let left = document(&world, secret, "AWSCURRENT").await;
    let mut other = left.clone();
    other["username"] = json!(world.alternating_role());
    other["password"] = json!(password(&world, world.alternating_users(), "AWSCURRENT").await);
    let put = json!({ "SecretId": secret, "SecretString": other.to_string() });
    world
        .secrets_manager()
        .call("PutSecretValue", put)
        .await
        .unwrap();

    let ran = compromised(&world, secret, &["--yes", "--json"]).await;
    let ran = ran.code(1).stderr_eq(str![[r#"
rotatectl: the credential of orders_[..] that was stored before still works, for the rotation is about another one: end it with ALTER ROLE … PASSWORD NULL, or delete the key at its service

"#]]);
    let report = json_of(&ran);
    assert_eq!(report["contained"], json!(false));
    assert_eq!(report["old_credentials"][0]["proof"], "login_rejected");
    assert_eq!(report["old_credentials"][1]["proof"], "none");
    log_in(&world, &left).await.unwrap();
}

#[tokio::test]
async fn a_revocation_that_fails_is_told_with_what_the_function_said_after_what_was_done() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(
        world
            .secrets_manager()
            .rotate(secret)
            .await
            .unwrap()
            .succeeded
    );
    let _session = log_in(&world, &document(&world, secret, "AWSCURRENT").await)
        .await
        .unwrap();
    let revoke = format!("REVOKE pg_signal_backend FROM admin_of_{}", world.role());
    world.postgres().execute(&revoke).await.unwrap();
    compromised(&world, secret, &["--yes"])
        .await
        .code(1)
        .stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/stock/alternating-[..] is treated as leaked (alternating users)
[..]Z  2 of 2 stored credentials log in
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the password of stock_[..] in version [..], AWSPREVIOUS of before, does not work any more: the server rejects a login with it (28P01)

"#]])
        .stderr_eq(str![[r#"
rotatectl: revokeSecret failed (AdministratorForbidden: the administrator admin_of_orders_[..] may not end the sessions of stock_[..]_clone on localhost:[..] (SQLSTATE 42501): as a superuser, run GRANT "pg_signal_backend" TO "admin_of_orders_[..]"); when the cause is gone, run the command again

"#]]);
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_done() {
    let world = world().await;
    let mut command = command(world.endpoint(), &["compromised", world.single_user()]);
    command.stdin(std::process::Stdio::null());
    run(command).await.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: stdin is no terminal, so nobody can be asked whether to go on: say so with --yes

"#]]);
    let calls = world.secrets_manager().calls();
    assert!(
        calls.iter().all(|call| call.operation != "RotateSecret"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn of_a_leaked_api_key_and_the_one_before_it_nothing_is_left_and_the_service_says_so() {
    let world = common::world_with_key_service().await;
    let (secret, service) = (world.api_key(), world.key_service().unwrap());
    // the account is full, and the overlap lasts
    assert!(
        world
            .secrets_manager()
            .rotate(secret)
            .await
            .unwrap()
            .succeeded
    );
    let leaked = service.keys();
    assert_eq!(leaked.len(), 2);

    let mut command = command(world.endpoint(), &["compromised", secret, "--yes"]);
    command.env("TLS_CA_FILE", world.ca_file());
    run(command).await.success().stderr_eq("").stdout_eq(str![[r#"
[..]Z  arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/mail/api-key-[..] is treated as leaked (api key)
[..]Z  2 of 2 stored credentials log in
[..]Z  what came before AWSCURRENT: revoked, sessions ended: 0
[..]Z  the rotation to version [..] begins
[..]Z  version [..] is AWSCURRENT, after [..] s
[..]Z  the key [..] in version [..], AWSPREVIOUS of before, does not work any more: the service rejects it
[..]Z  what came before AWSCURRENT: revoked, sessions ended: 0
[..]Z  the key [..] in version [..], AWSCURRENT of before, does not work any more: the service rejects it
[..]Z  [..] logs in with version [..], AWSCURRENT
[..]Z  contained: all 2 old credentials are rejected by the server; sessions ended: 0

"#]]);
    let current = document(&world, secret, "AWSCURRENT").await;
    assert_eq!(service.keys(), [current["key_id"].as_str().unwrap()]);
}
