//! What the tests of the local world's parts share: the parts on a socket, and clients of theirs.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration,
};

use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use axum::Router;
use local::{
    control,
    invocation::{FunctionError, Invoke, Invoked},
    lambda::FunctionSettings,
    secrets_manager::SecretsManager,
    sts,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const REGION: &str = "eu-central-1";

/// A Secrets Manager whose function does nothing.
pub(crate) fn service() -> SecretsManager {
    let invoke: Invoke = Arc::new(|event| Box::pin(async { invoked(Ok(event)) }));
    SecretsManager::new(REGION, invoke)
}

/// Serves it with all that stands beside it: STS, and what tests move and break it with.
pub(crate) async fn serve_with_all(service: &SecretsManager) -> SocketAddr {
    let router = service.router().merge(control::router(service));
    serve(sts::beside(router, service.iam().clone())).await
}

/// Serves on a port of its own until the test ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// Posts as HTTP has it on the wire, and reads all that comes back.
pub(crate) async fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> String {
    send(address, "POST", path, headers, body).await
}

/// The same with another method.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A client of the Secrets Manager there that holds this access key.
pub(crate) fn client(address: SocketAddr, access_key_id: &str, retry: RetryConfig) -> Client {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(access_key_id, "any", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retry)
        .build();
    Client::from_conf(config)
}

/// The code and the message of an answer that has to be an error.
#[track_caller]
pub(crate) fn refused<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E>>,
) -> (String, String) {
    let Err(error) = result else {
        panic!("should have been refused")
    };
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    (text(error.code()), text(error.message()))
}

/// An invocation that came to this, at once and without a word in the log.
pub(crate) fn invoked(outcome: Result<Value, FunctionError>) -> Invoked {
    Invoked {
        outcome,
        log: Vec::new(),
        took: Duration::ZERO,
    }
}

/// Settings of a function that is this program.
pub(crate) fn settings(binary: impl Into<PathBuf>) -> FunctionSettings {
    FunctionSettings {
        binary: binary.into(),
        name: "example".to_owned(),
        region: REGION.to_owned(),
        env: vec![("OWN".to_owned(), "value".to_owned())],
        timeout: Duration::from_secs(20),
        cold_starts: false,
        show_log: false,
        extensions: None,
        freezes: false,
    }
}

/// A program of these lines of shell, in this folder.
pub(crate) fn script(folder: &tempfile::TempDir, name: &str, lines: &str) -> PathBuf {
    let file = folder.path().join(name);
    fs::write(&file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}
