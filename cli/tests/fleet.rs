//! `rotatectl status` on many secrets. `make bench` measures its memory.

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
use serde_json::{Value, json};
use tokio::net::TcpListener;

const SECRETS: u32 = 1000;
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:secret-rotation";

async fn create(service: &SecretsManager) {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_secrets_are_read_within_the_quota_and_the_overdue_ones_come_first() {
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
    create(&service).await;
    service.age(overdue, 45).unwrap();
    let began = Instant::now();
    let ran = run(at(&endpoint, &["status", "--json"])).await.code(2);
    // a call reads 20 values, and the next one begins 12.5 ms later
    let least = Duration::from_millis(12) * (SECRETS / 20);
    assert!(began.elapsed() >= least);
    let report: Value = serde_json::from_slice(&ran.get_output().stdout).unwrap();
    let listed = report["secrets"].as_array().unwrap();
    assert_eq!(listed.len(), SECRETS as usize);
    assert_eq!(listed[0]["name"], overdue);
    server.abort();
}
