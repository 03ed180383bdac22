//! `rotatectl compromised` when things go wrong: nothing ends it between the rotation and the revocation.

#![cfg(test)]

mod common;

use std::{
    fs::File,
    process::{Command, Stdio},
};

use common::{
    call, called, change_password_by_hand, command, document, inject_error, json_of, labels,
    leave_over, log_in, rotated, run, stored, until, world, world_with_key_service,
};
use local::world::World;
use serde_json::{Value, json};
use snapbox::cmd::OutputAssert;

fn compromised(world: &World, secret: &str, arguments: &[&str]) -> Command {
    let arguments = [&["compromised", secret, "--yes"], arguments].concat();
    command(world, &arguments)
}

async fn logs_in(world: &World, document: &Value) -> bool {
    log_in(world, document).await.is_ok()
}

/// Runs it with the stdout that it was given.
async fn run_as_it_is(mut command: Command) -> OutputAssert {
    let output = tokio::task::spawn_blocking(move || command.output());
    OutputAssert::new(output.await.unwrap().unwrap())
}

fn stderr_of(ran: &OutputAssert) -> String {
    String::from_utf8(ran.get_output().stderr.clone()).unwrap()
}

/// The record that stands on stderr where stdout took not all of it.
fn record_of(ran: &OutputAssert) -> Value {
    let stderr = stderr_of(ran);
    let begin = stderr.find("{\n").unwrap();
    let end = stderr.rfind("\n}").unwrap() + 2;
    serde_json::from_str(&stderr[begin..end]).unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn with_a_full_disk_the_leak_is_contained_and_the_record_goes_to_stderr() {
    let world = world().await;
    let secret = world.alternating_users();
    for json in [&[][..], &["--json"]] {
        let leaked = document(&world, secret, "AWSCURRENT").await;
        let mut command = compromised(&world, secret, json);
        command.stdout(File::options().write(true).open("/dev/full").unwrap());
        let ran = run_as_it_is(command).await.code(1);
        assert!(!logs_in(&world, &leaked).await);
        let record = record_of(&ran);
        assert_eq!(record["contained"], true, "{record}");
        assert!(
            stderr_of(&ran).contains("stdout cannot be written"),
            "{}",
            stderr_of(&ran)
        );
    }
}

#[tokio::test]
async fn with_a_closed_pipe_the_leak_is_contained_and_the_record_goes_to_stderr() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = compromised(&world, secret, &[]);
    command.stdout(writer);
    let ran = run_as_it_is(command).await.code(1);
    assert!(!logs_in(&world, &leaked).await);
    let record = record_of(&ran);
    assert_eq!(record["contained"], true, "{record}");
    let events = record["timeline"].as_array().unwrap();
    assert!(events.len() > 4, "{record}");
}

#[tokio::test]
async fn throttled_calls_are_retried_until_the_leak_is_contained() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = document(&world, secret, "AWSCURRENT").await;
    // more than the SDK's own three attempts take
    for operation in ["DescribeSecret", "RotateSecret", "GetSecretValue"] {
        for _ in 0..7 {
            inject_error(&world, operation, "ThrottlingException", "Rate exceeded");
        }
    }
    run(compromised(&world, secret, &["--no-login"]))
        .await
        .success();
    assert!(!logs_in(&world, &leaked).await);
}

#[tokio::test]
async fn ctrl_c_ends_it_with_exit_code_130_and_a_complete_record() {
    let world = world().await;
    let secret = world.single_user();
    // the rotation does not come to its end
    change_password_by_hand(&world).await;
    let mut command = compromised(&world, secret, &["--json", "--no-login"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let process = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let begun = || called(&world, "RotateSecret") > 0;
    until("RotateSecret was called", begun).await;
    let invocations = || world.function().log().len();
    until("the function was invoked", || invocations() > 0).await;
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let ran = OutputAssert::new(output.await.unwrap().unwrap()).code(130);
    let record = json_of(&ran);
    assert_eq!(record["contained"], false);
    let events = record["timeline"].to_string();
    for event in [
        "is treated as leaked",
        "the rotation to version",
        "interrupted",
    ] {
        assert!(events.contains(event), "{record}");
    }
}

#[tokio::test]
async fn at_the_time_limit_the_record_is_printed_and_says_so() {
    let world = world().await;
    change_password_by_hand(&world).await;
    let secret = world.single_user();
    let ran = run(compromised(
        &world,
        secret,
        &["--json", "--no-login", "--timeout", "5s"],
    ))
    .await
    .code(1);
    let record = json_of(&ran);
    assert_eq!(record["contained"], false);
    assert!(
        stderr_of(&ran).contains("not finished within 5s"),
        "{}",
        stderr_of(&ran)
    );
}

/// Moves AWSCURRENT back to AWSPREVIOUS, by hand.
async fn move_back(world: &World, secret: &str) {
    let labels = labels(world, secret).await;
    let labelled = |label: &str| {
        let mut versions = labels.iter();
        let found = versions.find(|(_, labels)| labels.iter().any(|own| own == label));
        found.unwrap().0.clone()
    };
    let moved = json!({
        "SecretId": secret, "VersionStage": "AWSCURRENT",
        "MoveToVersionId": labelled("AWSPREVIOUS"), "RemoveFromVersionId": labelled("AWSCURRENT"),
    });
    call(world, "UpdateSecretVersionStage", moved).await;
}

/// What an interrupted rotation, or a person, can leave of a password's secret.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// All is well.
    AtRest,
    /// RotateSecret was called, and no step has run.
    PendingWithoutValue,
    /// createSecret has run.
    PendingNotInForce,
    /// setSecret has run.
    PendingInForce,
    /// testSecret has run.
    PendingTested,
    /// AWSCURRENT was moved back to AWSPREVIOUS by hand, and under single user logs in no more.
    LabelMovedBack,
    /// The same while setSecret was at work: AWSCURRENT's user has AWSPENDING's password. The explorer's find.
    LabelMovedBackInSetSecret,
    /// A value that the database does not know was stored as AWSPENDING by hand.
    PendingByHand,
}

impl Left {
    const ALL: [Self; 8] = [
        Self::AtRest,
        Self::PendingWithoutValue,
        Self::PendingNotInForce,
        Self::PendingInForce,
        Self::PendingTested,
        Self::LabelMovedBack,
        Self::LabelMovedBackInSetSecret,
        Self::PendingByHand,
    ];

    async fn leave(self, world: &World, secret: &str) {
        rotated(world, secret).await;
        match self {
            Self::AtRest => {}
            Self::PendingWithoutValue => drop(leave_over(world, secret, 0).await),
            Self::PendingNotInForce => drop(leave_over(world, secret, 1).await),
            Self::PendingInForce => drop(leave_over(world, secret, 2).await),
            Self::PendingTested => drop(leave_over(world, secret, 3).await),
            Self::LabelMovedBack => move_back(world, secret).await,
            Self::LabelMovedBackInSetSecret => {
                leave_over(world, secret, 2).await;
                move_back(world, secret).await;
            }
            Self::PendingByHand => {
                let mut document = document(world, secret, "AWSCURRENT").await;
                document["password"] = json!("nobody knows it");
                let put = json!({
                    "SecretId": secret, "SecretString": document.to_string(), "VersionStages": ["AWSPENDING"],
                });
                call(world, "PutSecretValue", put).await;
            }
        }
    }
}

#[tokio::test]
async fn a_leak_is_contained_from_every_state_that_a_rotation_or_a_person_leaves() {
    for left in Left::ALL {
        let world = world().await;
        for secret in [world.single_user(), world.alternating_users()] {
            let case = format!("{left:?}, {secret}");
            left.leave(&world, secret).await;
            let mut leaked = Vec::new();
            for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
                leaked.extend(stored(&world, secret, label).await);
            }
            let ran = run(compromised(
                &world,
                secret,
                &["--json", "--give-up-after", "20s"],
            ))
            .await;
            let output = ran.get_output();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&ran);
            assert!(output.status.success(), "{case}: {said}");
            for document in &leaked {
                assert!(
                    !logs_in(&world, document).await,
                    "{case}: {} of before logs in: {said}",
                    document["username"]
                );
            }
            let current = document(&world, secret, "AWSCURRENT").await;
            assert!(logs_in(&world, &current).await, "{case}: {said}");
        }
    }
}

#[tokio::test]
async fn both_leaked_keys_end_from_every_state_with_too_many_keys() {
    for stuck in [false, true] {
        let world = world_with_key_service().await;
        let (secret, service) = (world.api_key(), world.key_service().unwrap());
        // the account is full, and the overlap lasts
        rotated(&world, secret).await;
        if stuck {
            let token = leave_over(&world, secret, 0).await;
            let arn = world.secrets_manager().arn(secret);
            let event =
                json!({ "Step": "createSecret", "SecretId": arn, "ClientRequestToken": token });
            let refused = world.function().invoke(event).await.outcome.unwrap_err();
            assert_eq!(refused.error_type, "TooManyKeys");
        }
        let leaked = service.keys();
        assert_eq!(leaked.len(), 2);
        let ran = run(compromised(&world, secret, &["--json"])).await;
        let output = ran.get_output();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&ran);
        assert!(output.status.success(), "{stuck}: {said}");
        let left = service.keys();
        assert!(
            leaked.iter().all(|key| !left.contains(key)),
            "{stuck}: {said}"
        );
    }
}
