//! `rotatectl status` on ten thousand secrets. It has a process of its own, for its memory is measured as that of the
//! largest child.

#![cfg(test)]

mod common;

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{at, run};
use local::{
    invocation::{Invoke, Invoked},
    secrets_manager::SecretsManager,
    world::REGION,
};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const SECRETS: usize = 10_000;
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:secret-rotation";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_secrets_are_listed_in_less_than_100_mb_and_the_overdue_ones_come_first() {
    let nothing: Invoke = Arc::new(|_| {
        Box::pin(async {
            Invoked {
                outcome: Ok(Value::Null),
                log: Vec::new(),
                took: Duration::ZERO,
            }
        })
    });
    let service = SecretsManager::new(REGION, nothing);
    for number in 0..SECRETS {
        let name = format!("fleet/{number:05}/an/application/with/a/path");
        let document = json!({
            "host": "db", "username": "app", "password": "not a password", "masterarn": "arn",
        });
        let create = json!({
            "Name": name, "SecretString": document.to_string(), "Tags": [{ "Key": "fleet", "Value": "yes" }],
        });
        service.call("CreateSecret", create).await.unwrap();
        service.configure_rotation(&name, FUNCTION, 30).unwrap();
    }
    let overdue = "fleet/07777/an/application/with/a/path";
    service.age(overdue, 45).unwrap();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = service.router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let mut figures = String::new();
    for arguments in [
        &["status", "--json"][..],
        &["status", "--json", "--no-values"],
    ] {
        let is_first = figures.is_empty();
        let began = Instant::now();
        let ran = run(at(&endpoint, arguments)).await.code(2);
        let took = began.elapsed();
        // a child's peak counts what this process held when it started it, so no schema is compiled here
        // 500 calls read the values, of 100 a second that an account may make
        let least = Duration::from_secs(if is_first { 5 } else { 0 });
        assert!(took >= least, "{took:?}");
        let report: Value = serde_json::from_slice(&ran.get_output().stdout).unwrap();
        let secrets = report["secrets"].as_array().unwrap();
        assert_eq!(secrets.len(), SECRETS);
        assert_eq!(secrets[0]["name"], overdue);
        // KiB on Linux
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1024;
        figures += &format!("{}: {took:.1?}, {peak} MiB at most\n", arguments.join(" "));
        // the second child's peak counts the first one's answer, which this process has read
        assert!(
            peak < 100 || !is_first || !cfg!(target_os = "linux"),
            "{figures}"
        );
    }
    eprintln!("{figures}"); // seen with --nocapture
    server.abort();
}
