//! `rotatectl status` on ten thousand secrets.

#![cfg(test)]

mod common;

use std::{
    io::Read,
    net::Ipv4Addr,
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

async fn create(service: &SecretsManager, numbers: std::ops::Range<usize>) {
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
async fn ten_thousand_secrets_need_little_more_memory_than_a_tenth_and_the_overdue_ones_come_first()
{
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
    let (mut figures, mut peaks) = (String::new(), Vec::new());
    let mut created = 0;
    for (secrets, options) in [
        (FEW, &[][..]),
        (FEW, &["--no-values"]),
        (MANY, &[]),
        (MANY, &["--no-values"]),
    ] {
        create(&service, created..secrets).await;
        created = secrets;
        service.age(overdue, 45).unwrap();
        let arguments = [&["status", "--json"][..], options].concat();
        let began = Instant::now();
        let command = at(&endpoint, &arguments);
        let (output, peak) = spawn_blocking(|| watched(command)).await.unwrap();
        let took = began.elapsed();
        // each value's call is one of 80 a second, and has 20 values
        let batches = if options.is_empty() { secrets / 20 } else { 0 };
        let least = Duration::from_millis(12) * u32::try_from(batches).unwrap();
        assert!(took >= least, "{took:?}");
        let report: Value = serde_json::from_slice(&output).unwrap();
        let listed = report["secrets"].as_array().unwrap();
        assert_eq!(listed.len(), secrets);
        assert_eq!(listed[0]["name"], overdue);
        figures += &format!(
            "{secrets}, {}: {took:.1?}, {peak} KiB at most\n",
            arguments.join(" ")
        );
        peaks.push(peak);
    }
    eprintln!("{figures}"); // seen with --nocapture
    for (few, many) in [(peaks[0], peaks[2]), (peaks[1], peaks[3])] {
        assert!(many * 10 <= few * 12, "{figures}");
    }
    server.abort();
}
