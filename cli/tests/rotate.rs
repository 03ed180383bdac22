//! `rotatectl rotate` against the local world.

#![cfg(test)]

mod common;

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    at, call, called, change_password_by_hand, command, current, document, execute, inject_error,
    labels, leave_over, log_in, options_with, password, put, rotatectl, rotated, run, start,
    stdout_of, tag, until, version, world,
};
use local::{
    secrets_manager::{Behavior, Fault, Hang, ServiceError, When},
    world::{Options, World},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use snapbox::{cmd::OutputAssert, str};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Steps of rotations stop before their version becomes current, until this is released.
fn hold_promotions(world: &World) -> Hang {
    let hang = Hang::default();
    let behavior = Behavior::Hang(When::BeforeEffect, hang.clone());
    let fault = Fault::on("UpdateSecretVersionStage", behavior).times(99);
    world.secrets_manager().inject(fault);
    hang
}

#[tokio::test]
async fn rotations_are_followed_to_their_end_and_each_step_is_reported() {
    let world = world().await;
    let secrets = [world.single_user(), world.alternating_users()];
    let mut before = Vec::new();
    for secret in secrets {
        before.push(password(&world, secret, "AWSCURRENT").await);
    }
    // one after the other, for the order of the lines
    let arguments = [
        "rotate",
        secrets[0],
        secrets[1],
        "--wait",
        "--max-parallel",
        "1",
    ];
    rotatectl(&world, &arguments)
        .await
        .success()
        .stdout_eq(str![[r#"
demo/orders/single: rotated in [..] s (createSecret [..] s, setSecret [..] s, testSecret [..] s, finishSecret [..] s)
demo/stock/alternating: rotated in [..] s (createSecret [..] s, setSecret [..] s, testSecret [..] s, finishSecret [..] s)

"#]])
        .stderr_eq(str![[r#"
rotating 2 secrets in account 123456789012, region us-east-1

"#]]);
    for (secret, before) in secrets.into_iter().zip(before) {
        assert_eq!(password(&world, secret, "AWSPREVIOUS").await, before);
    }
    let one = ["RotateSecret", "UpdateSecretVersionStage"];
    let calls = world.secrets_manager().calls().into_iter();
    let operations = calls.map(|call| call.operation);
    let operations = operations.filter(|operation| one.contains(&operation.as_str()));
    let operations: Vec<String> = operations.collect();
    assert_eq!(operations, [one, one].concat(), "one at a time");
}

#[tokio::test]
async fn without_wait_the_command_ends_when_the_rotation_has_begun() {
    let world = world().await;
    let hang = hold_promotions(&world);
    let before = current(&world, world.single_user()).await;
    let ran = rotatectl(&world, &["rotate", world.single_user()]).await;
    let ran = ran.success().stdout_eq(str![[r#"
demo/orders/single: the rotation to version [..] has begun

"#]]);
    let said = stdout_of(&ran);
    let version = said.split_whitespace().nth(5).unwrap();
    assert_eq!(current(&world, world.single_user()).await, before);
    hang.release();
    let service = world.secrets_manager();
    let rotation = service.rotation(world.single_user(), version).await;
    assert!(rotation.succeeded);
}

#[tokio::test]
async fn a_failure_is_reported_with_the_functions_error_and_the_same_command_continues_after_the_repair()
 {
    let world = world().await;
    let secret = world.single_user();
    let right = password(&world, secret, "AWSCURRENT").await;
    change_password_by_hand(&world).await;
    let arguments = ["rotate", secret, "--wait", "--give-up-after", "5s"];
    rotatectl(&world, &arguments)
        .await
        .code(1)
        .stdout_eq(str![[r#"
demo/orders/single: not rotated: setSecret failed, 3 times in this rotation: none of AWSCURRENT, AWSPENDING and AWSPREVIOUS logs in as orders_[..] on localhost:[..], which rejects them: the credential was changed by hand; set one there (a role's with ALTER ROLE), store it with PutSecretValue, then rotate again

"#]])
        .stderr_eq(str![[r#"
rotating 1 secret in account 123456789012, region us-east-1
rotatectl: 1 of 1 secrets were not rotated, for the reasons above: when the causes are gone, run the command again; it continues with the rotations that are in progress

"#]]);
    let begun = version(&world, secret, "AWSPENDING").await;

    let cured = format!("ALTER ROLE {} PASSWORD '{right}'", world.role());
    execute(&world, &cured).await;
    rotatectl(&world, &arguments)
        .await
        .success()
        .stdout_eq(str![[r#"
demo/orders/single: rotated in [..] s (createSecret [..] s, setSecret [..] s, testSecret [..] s, finishSecret [..] s)

"#]]);
    assert_eq!(current(&world, secret).await, begun, "no second rotation");
}

#[tokio::test]
async fn an_interrupted_command_leaves_the_rotation_to_the_service_and_the_next_one_follows_it() {
    let world = world().await;
    let secret = world.single_user();
    let hang = hold_promotions(&world);
    let mut process = command(&world, &["rotate", secret, "--wait"]);
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = process.spawn().unwrap();
    hang.reached().await;
    let pid = Pid::from_raw(process.id().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let output = tokio::task::spawn_blocking(move || process.wait_with_output());
    OutputAssert::new(output.await.unwrap().unwrap())
        .code(130)
        .stdout_eq("")
        .stderr_eq(str![[r#"
rotating 1 secret in account 123456789012, region us-east-1
rotatectl: interrupted: the service continues the rotations that have begun; run the command again to follow them

"#]]);

    let begun = version(&world, secret, "AWSPENDING").await;
    let arguments = ["rotate", secret, "--wait"];
    let released = async {
        let asked_again = || called(&world, "RotateSecret") == 2;
        until("it asks for the rotation again", asked_again).await;
        hang.release();
    };
    let (ran, ()) = tokio::join!(rotatectl(&world, &arguments), released);
    ran.success();
    assert_eq!(current(&world, secret).await, begun);
}

#[tokio::test]
async fn recently_rotated_secrets_with_the_tag_are_left_alone() {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        tag(&world, secret, "team", "orders").await;
    }
    rotatectl(&world, &["rotate", world.single_user(), "--wait"])
        .await
        .success();
    let once = current(&world, world.single_user()).await;
    let arguments = [
        "rotate",
        "--tag",
        "team=orders",
        "--yes",
        "--wait",
        "--if-older-than",
        "1h",
        "--max-parallel",
        "1",
    ];
    rotatectl(&world, &arguments)
        .await
        .success()
        .stdout_eq(str![[r#"
demo/orders/single: skipped, rotated [..]s ago
demo/stock/alternating: rotated in [..] s ([..])

"#]]);
    assert_eq!(current(&world, world.single_user()).await, once);
    let none = rotatectl(&world, &["rotate", "--tag", "team=nobody"]).await;
    none.code(1).stderr_eq(str![[r#"
rotatectl: no secret with these tags rotates here: check --tag, --region and --profile, or run rotatectl status

"#]]);
}

#[tokio::test]
async fn a_rotation_that_another_person_cancels_or_abandons_is_reported_as_such() {
    for (operation, value, said) in [
        (
            "CancelRotateSecret",
            Value::Null,
            "someone turned rotation off during the rotation",
        ),
        ("PutSecretValue", json!("{}"), "the rotation was abandoned"),
    ] {
        let world = world().await;
        let secret = world.single_user();
        let hang = hold_promotions(&world);
        let arguments = ["rotate", secret, "--wait"];
        let ended = async {
            hang.reached().await;
            let mut input = json!({ "SecretId": secret });
            if !value.is_null() {
                input["SecretString"] = value;
            }
            call(&world, operation, input).await;
        };
        let (ran, ()) = tokio::join!(rotatectl(&world, &arguments), ended);
        let told = stdout_of(&ran.code(1));
        assert!(told.contains(said), "{told}");
        hang.release();
    }
}

#[tokio::test]
async fn the_output_says_when_the_function_logs_nothing() {
    let world = world().await;
    let hang = hold_promotions(&world);
    // staged, and nobody invokes anything: as when the service may not invoke the function
    let secret = world.single_user();
    leave_over(&world, secret, 0).await;
    let refused = "A previous rotation isn't complete. That rotation will be reattempted.";
    inject_error(&world, "RotateSecret", "InvalidRequestException", refused);
    let arguments = ["rotate", secret, "--wait", "--give-up-after", "1s"];
    let ran = rotatectl(&world, &arguments).await;
    ran.code(3).stdout_eq(str![[r#"
demo/orders/single: unknown whether it was rotated: no sign of life from the rotation for 1s: check that Secrets Manager invokes the function (its policy must allow secretsmanager.amazonaws.com), or run rotatectl doctor

"#]]);
    hang.release();
}

#[tokio::test]
async fn a_secret_that_cannot_rotate_is_reported_with_what_to_do() {
    let world = world().await;
    rotatectl(
        &world,
        &["rotate", world.admin(), "nowhere", "--max-parallel", "1"],
    )
    .await
    .code(1)
    .stdout_eq(str![[r#"
demo/admin: not rotated: rotation was never turned on: turn it on with aws secretsmanager rotate-secret --rotation-lambda-arn
nowhere: not rotated: no secret "nowhere" in us-east-1 (account 123456789012): check its name, --region and --profile

"#]])
    .stderr_eq(str![[r#"
rotating 2 secrets in account 123456789012, region us-east-1
rotatectl: 2 of 2 secrets were not rotated, for the reasons above: when the causes are gone, run the command again; it continues with the rotations that are in progress

"#]]);
    assert_eq!(called(&world, "RotateSecret"), 0);
}

#[tokio::test]
async fn forty_rotations_begin_so_slowly_that_their_writes_stay_within_the_quota() {
    // what becomes of the rotations is not looked at: a function that does nothing will do
    let world = World::start(Options::new("/bin/true")).await.unwrap();
    let document = document(&world, world.single_user(), "AWSCURRENT").await;
    let (service, function) = (world.secrets_manager(), world.function().arn());
    for number in 0..40 {
        let name = format!("many/{number}");
        let create = json!({
            "Name": name, "SecretString": document.to_string(), "Tags": [{ "Key": "many", "Value": "yes" }],
        });
        call(&world, "CreateSecret", create).await;
        service.configure_rotation(&name, &function, 30).unwrap();
    }
    let began = Instant::now();
    let ran = rotatectl(&world, &["rotate", "--tag", "many=yes", "--yes"]).await;
    // each has two writes, of 50 a second that an account may make
    let (took, least) = (began.elapsed(), Duration::from_secs(2 * 39) / 50);
    assert!(took >= least, "{took:?}");
    let said = stdout_of(&ran.success());
    assert_eq!(said.lines().count(), 40, "{said}");
    assert_eq!(called(&world, "RotateSecret"), 40);
}

#[tokio::test]
async fn a_rotation_of_all_secrets_with_a_tag_needs_confirmation_and_a_dry_run_lists_them() {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        tag(&world, secret, "team", "orders").await;
    }
    let all = ["rotate", "--tag", "team=orders"];
    let ran = rotatectl(&world, &all).await;
    ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotating 2 secrets in account 123456789012, region us-east-1
rotatectl: cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes

"#]]);
    let ran = rotatectl(&world, &[&all[..], &["--dry-run"]].concat()).await;
    ran.success().stdout_eq(str![[r#"
demo/orders/single
demo/stock/alternating

"#]]);
    assert_eq!(called(&world, "RotateSecret"), 0);
}

#[tokio::test]
async fn one_throttled_call_does_not_fail_a_rotation() {
    let world = world().await;
    let secret = world.single_user();
    let hang = hold_promotions(&world);
    let throttled = async {
        hang.reached().await;
        // more than the SDK's own three attempts take
        let error = ServiceError {
            status: 400,
            code: "ThrottlingException".to_owned(),
            message: "Rate exceeded".to_owned(),
        };
        let fault = Fault::on("DescribeSecret", Behavior::Error(error)).times(7);
        world.secrets_manager().inject(fault);
        hang.release();
    };
    let arguments = ["rotate", secret, "--wait"];
    let (ran, ()) = tokio::join!(rotatectl(&world, &arguments), throttled);
    ran.success();
}

#[tokio::test]
async fn a_rotation_that_can_no_longer_be_observed_is_unknown_and_not_failed() {
    let world = world().await;
    let secret = world.single_user();
    let hang = hold_promotions(&world);
    let denied = async {
        hang.reached().await;
        inject_error(&world, "DescribeSecret", "AccessDeniedException", "not you");
    };
    let arguments = ["rotate", secret, "--wait"];
    let (ran, ()) = tokio::join!(rotatectl(&world, &arguments), denied);
    let told = stdout_of(&ran.code(3));
    assert!(
        told.contains("unknown whether it was rotated") && told.contains("not you"),
        "{told}"
    );
    hang.release();
}

#[tokio::test]
async fn a_closed_pipe_does_not_end_the_command_that_follows_the_rotations() {
    let world = world().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let secrets = [world.single_user(), world.alternating_users()];
    let mut process = command(&world, &["rotate", secrets[0], secrets[1], "--wait"]);
    process.stdout(writer).stderr(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || process.status());
    assert!(ended.await.unwrap().is_ok());
    for secret in secrets {
        let labels = labels(&world, secret).await;
        assert!(labels.len() > 1, "{secret} has rotated: {labels:?}");
    }
}

#[tokio::test]
async fn one_query_of_the_log_covers_all_rotations_of_a_function() {
    let world = world().await;
    let document = document(&world, world.single_user(), "AWSCURRENT").await;
    let (service, function) = (world.secrets_manager(), world.function().arn());
    let mut secrets = Vec::new();
    for number in 0..20 {
        let role = format!("{}_{number}", world.role());
        execute(
            &world,
            &format!("CREATE ROLE {role} LOGIN PASSWORD 'first'"),
        )
        .await;
        let mut document = document.clone();
        document["username"] = json!(role);
        document["password"] = json!("first");
        let name = format!("many/{number}");
        let create = json!({ "Name": name, "SecretString": document.to_string() });
        call(&world, "CreateSecret", create).await;
        service.configure_rotation(&name, &function, 30).unwrap();
        secrets.push(name);
    }
    let hang = hold_promotions(&world);
    let (endpoint, asked) = counting(&world).await;
    let mut arguments = vec!["rotate", "--wait", "--max-parallel", "20"];
    arguments.extend(secrets.iter().map(String::as_str));
    let looks = async {
        until("the log was asked a few times", || {
            asked.load(Ordering::Relaxed) > 5
        })
        .await;
        hang.release();
    };
    let (ran, ()) = tokio::join!(run(at(&endpoint, &arguments)), looks);
    ran.success();
    let (asked, described) = (
        asked.load(Ordering::Relaxed),
        called(&world, "DescribeSecret"),
    );
    assert!(
        asked * 4 < described,
        "{asked} questions to the log, {described} looks at labels"
    );
}

/// The world behind an endpoint that counts the questions to the function's log.
async fn counting(world: &World) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let behind = world.endpoint().trim_start_matches("http://").to_owned();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (behind, count) = (behind.clone(), count.clone());
            tokio::spawn(async move {
                let mut server = TcpStream::connect(behind).await.unwrap();
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let requests = async {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                        let text = String::from_utf8_lossy(&buffer[..length]);
                        let found = text.matches("FilterLogEvents").count();
                        count.fetch_add(found, Ordering::Relaxed);
                        to_server.write_all(&buffer[..length]).await.unwrap();
                    }
                    let _ = to_server.shutdown().await;
                };
                let _ = tokio::join!(requests, tokio::io::copy(&mut from_server, &mut to_client));
            });
        }
    });
    (endpoint, asked)
}

#[tokio::test]
async fn inside_a_promised_overlap_the_rotation_of_each_secret_is_refused_unless_it_is_forced() {
    let world = world().await;
    let secrets = [world.single_user(), world.alternating_users()];
    for secret in secrets {
        rotated(&world, secret).await;
    }
    let promised = document(&world, secrets[1], "AWSPREVIOUS").await;
    let both = [
        "rotate",
        secrets[0],
        secrets[1],
        "--wait",
        "--max-parallel",
        "1",
    ];
    let ran = rotatectl(&world, &both).await;
    ran.code(1)
        .stdout_eq(str![[r#"
demo/orders/single: rotated in [..] s ([..])
demo/stock/alternating: not rotated: the credential before AWSCURRENT is promised to work until [..]Z, and this rotation would end it: wait until then, or after a suspected leak rotate with --force

"#]])
        .stderr_eq(str![[r#"
rotating 2 secrets in account 123456789012, region us-east-1
rotatectl: 1 of 2 secrets were not rotated, for the reasons above: when the causes are gone, run the command again; it continues with the rotations that are in progress

"#]]);
    log_in(&world, &promised).await.unwrap();

    let ran = rotatectl(&world, &["rotate", secrets[1], "--wait", "--force"]).await;
    ran.success();
    assert!(log_in(&world, &promised).await.is_err());
}

#[tokio::test]
async fn an_overlap_that_is_over_or_has_no_end_promises_nothing() {
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    world.secrets_manager().age(secret, 1).unwrap();
    let arguments = ["rotate", secret, "--wait"];
    rotatectl(&world, &arguments).await.success();

    let world = start(options_with(&[("OVERLAP_WINDOW", "unbounded")])).await;
    rotated(&world, secret).await;
    rotatectl(&world, &arguments).await.success();
}

#[tokio::test]
async fn without_a_window_in_the_document_the_functions_window_is_promised() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "2h")])).await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let mut document = document(&world, secret, "AWSCURRENT").await;
    document.as_object_mut().unwrap().remove("overlap_seconds");
    put(&world, secret, &document).await;
    let ran = rotatectl(&world, &["rotate", secret]).await;
    let told = stdout_of(&ran.code(1));
    assert!(told.contains("is promised to work until"), "{told}");
}

#[tokio::test]
async fn a_rotation_in_progress_inside_an_overlap_is_followed_to_its_end() {
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let begun = leave_over(&world, secret, 3).await;
    rotatectl(&world, &["rotate", secret, "--wait"])
        .await
        .success();
    assert_eq!(current(&world, secret).await, begun);
}

#[tokio::test]
async fn without_the_right_to_read_the_value_it_rotates_and_says_so_once() {
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let no_values = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": "*" },
    ]});
    world
        .iam()
        .restrict("any", "operator", &[no_values])
        .unwrap();
    rotatectl(&world, &["rotate", secret, "--wait"])
        .await
        .success()
        .stderr_eq(str![[r#"
rotating 1 secret in account 123456789012, region us-east-1
Note: it is unknown whether the credential before AWSCURRENT is promised to work: secretsmanager:GetSecretValue is denied ([..]): allow it for the principal that runs rotatectl

"#]]);
}
