//! `rotatectl status` on ten thousand secrets.

#![cfg(test)]

mod common;

use std::{
    io::Read,
    net::Ipv4Addr,
    ops::Range,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use common::at;
use local::{
    invocation::{Invoke, Invoked},
    memory,
    secrets_manager::SecretsManager,
    world::REGION,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::spawn_blocking};

const FEW: usize = 1_000;
const MANY: usize = 10_000;
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:secret-rotation";

/// The output of a command that ends with 2, and its memory at most, in KiB; 0 where there is no /proc.
fn watched(mut command: Command) -> (Vec<u8>, u64) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut output, mut part, mut peak) = (Vec::new(), vec![0; 0x1000], 0);
    // the output does not fit into a pipe, so the command still lives when most of it has been read
    loop {
        let read = stdout.read(&mut part).unwrap();
        peak = memory::peak(child.id()).unwrap_or_default().max(peak);
        if read == 0 {
            break;
        }
        output.extend_from_slice(&part[..read]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(2));
    (output, peak)
}

async fn create(service: &SecretsManager, numbers: Range<usize>) {
    for number in numbers {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_ten_thousand_secrets_needs_little_memory_and_the_overdue_ones_come_first() {
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
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = service.router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let overdue = "fleet/00777/an/application/with/a/path";
    let (mut created, mut peaks) = (0, Vec::new());
    for secrets in [FEW, MANY] {
        create(&service, created..secrets).await;
        created = secrets;
        service.age(overdue, 45).unwrap();
        let began = Instant::now();
        let command = at(&endpoint, &["status", "--json"]);
        let (output, peak) = spawn_blocking(|| watched(command)).await.unwrap();
        let took = began.elapsed();
        // a call reads 20 values, and the next one begins 12.5 ms later
        let calls = u32::try_from(secrets / 20).unwrap();
        assert!(took >= Duration::from_millis(12) * calls, "{took:?}");
        let report: Value = serde_json::from_slice(&output).unwrap();
        let listed = report["secrets"].as_array().unwrap();
        assert_eq!(listed.len(), secrets);
        assert_eq!(listed[0]["name"], overdue);
        eprintln!("{secrets} secrets: {took:.1?}, {peak} KiB at most"); // seen with --nocapture
        peaks.push(peak);
    }
    // each further one is kept in 200 bytes, and 2,200 were too many; the allocator has some room
    let more = peaks[1].saturating_sub(peaks[0]) * 1024;
    let each = more / u64::try_from(MANY - FEW).unwrap();
    assert!(
        each <= 500,
        "{each} bytes for each further secret, {peaks:?} KiB"
    );
    server.abort();
}
