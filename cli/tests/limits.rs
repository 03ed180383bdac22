//! Nothing is waited for without an end, and a long wait is not silent.

#![cfg(test)]

mod common;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

use clap::Parser;
use common::{at, command, leave_over, run, world};
use rotatectl::{arguments::Arguments, aws};

async fn stderr_of(command: Command) -> String {
    let ran = run(command).await.code(1);
    String::from_utf8(ran.get_output().stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_call_to_an_endpoint_that_never_answers_ends_at_the_time_limit() {
    // it takes connections, and says nothing
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for arguments in [
        &["status"][..],
        &["rotate", "orders/db", "--wait"],
        &["doctor", "orders/db"],
        &["revoke", "orders/db", "--yes"],
        &[
            "init",
            "orders/db",
            "--username",
            "x",
            "--administrator",
            "y",
        ],
    ] {
        let arguments = [arguments, &["--timeout", "1s"]].concat();
        let said = stderr_of(at(&endpoint, &arguments)).await;
        assert!(
            said.contains("not finished within 1s"),
            "{arguments:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_call_has_the_aws_clis_time_limits() {
    let arguments = ["rotatectl", "--region", "us-east-1", "status"];
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let configuration = aws::configuration(&arguments.aws, &[]).await.unwrap();
    let limits = configuration.timeout_config().unwrap();
    let minute = Some(Duration::from_secs(60));
    assert_eq!(
        (limits.connect_timeout(), limits.read_timeout()),
        (minute, minute)
    );
}

#[tokio::test]
async fn a_long_wait_is_reported_if_stdout_is_not_a_terminal() {
    let world = world().await;
    let secret = world.single_user();
    leave_over(&world, secret, 0).await;
    let mut rotate = command(
        &world,
        &["rotate", secret, "--wait", "--give-up-after", "10m"],
    );
    // nothing that the function could do, so the rotation stays where it is
    world.set_function_role(&[]).unwrap();
    let mut process = rotate
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(process.stderr.take().unwrap());
    let told = tokio::task::spawn_blocking(move || {
        stderr
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("still working"))
    });
    let told = told.await.unwrap().unwrap();
    // a busy machine is late
    assert!(told.starts_with("still working after 1"), "{told}");
    assert!(told.ends_with("s: 0 of 1 rotations have ended"), "{told}");
    process.kill().unwrap();
    process.wait().unwrap();
}
