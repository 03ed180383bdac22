//! Places that must hold neither the token nor a secret: logs at any level, errors, Debug, the process's environment and arguments.

#![cfg(test)]

mod common;

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use common::{Agent, TOKEN, exchange, secrets_manager};
use rotating_secret_agent::{settings::Settings, start};
use serde_json::json;
use tokio::{net::TcpStream, sync::oneshot};
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "s3cret-that-stands-nowhere";

const KEY: &str = "the-k3y-of-these-credentials";

/// Good and bad requests of every kind.
fn requests(token: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20");
    let header = format!("X-Aws-Parameters-Secrets-Token: {token}\r\n");
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
    };
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )
    };
    let body = json!({ "SecretId": "orders/db" }).to_string();
    vec![
        get("/v1/orders/db", &header),
        get(
            "/secretsmanager/get?secretId=orders/db&refreshNow=1",
            &header,
        ),
        get("/secretsmanager/get?secretId=absent", &header),
        get(
            "/secretsmanager/get?secretId=orders/db&versionId=absent",
            &header,
        ),
        get(&format!("/sdk/{encoded}"), ""),
        get(&format!("/{encoded}?token={encoded}"), &header),
        get(&format!("/secretsmanager/get?{encoded}=a"), ""),
        post(&format!("/sdk/{encoded}"), "", &body),
        post(&format!("/sdk/{encoded}/"), "", "{"),
        post(
            &format!("/sdk/{encoded}"),
            "Origin: https://evil.example\r\n",
            &body,
        ),
        post("/", &format!("X-Amz-Security-Token: {token}\r\n"), &body),
        post(
            "/sdk/wrong-token",
            &format!("X-Amz-Security-Token: {token}\r\n"),
            &body,
        ),
        format!("GET /sdk/{encoded}\u{1} HTTP/1.1\r\n{header}\r\n"),
    ]
}

#[tokio::test]
async fn with_the_token_in_a_file_neither_it_nor_a_secret_stands_in_the_process_or_its_log() {
    let (service, endpoint) = secrets_manager().await;
    let input = json!({ "Name": "orders/db", "SecretString": SECRET });
    service.call("CreateSecret", input).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let lines = "[logging]\nlog_level = \"debug\"";
    let mut agent = Agent::start_with(&endpoint, lines, "", |command| {
        command.env("AWS_TOKEN", format!("file://{}", file.display()));
    });
    for request in requests(TOKEN) {
        let mut stream = agent.connect().await;
        exchange(&mut stream, &request).await.unwrap();
    }
    assert_eq!(agent.read("orders/db").await.value(), SECRET);
    let of_process = |name: &str| fs::read(format!("/proc/{}/{name}", agent.pid())).unwrap();
    let (environment, arguments) = (of_process("environ"), of_process("cmdline"));
    for (place, text) in [
        ("environ", environment),
        ("cmdline", arguments),
        ("log", agent.whole_log().into_bytes()),
    ] {
        let text = String::from_utf8_lossy(&text);
        assert!(!text.is_empty(), "{place}");
        assert!(
            !text.contains(TOKEN) && !text.contains(SECRET),
            "{place}: {text}"
        );
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The command has no trace level. A library might log secrets there, and a user may turn on any level.
#[tokio::test]
async fn at_the_level_trace_no_crate_writes_the_token_or_a_secret() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    let (service, endpoint) = secrets_manager().await;
    let input = json!({ "Name": "orders/db", "SecretString": SECRET });
    service.call("CreateSecret", input).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    let keys = format!("[default]\naws_access_key_id = AKIAANY\naws_secret_access_key = {KEY}\n");
    fs::write(&credentials, keys).unwrap();
    // a variable that every test has: setting one is unsafe while threads run
    let token = env!("CARGO_PKG_DESCRIPTION");
    let settings = Settings {
        port: 0,
        region: Some("us-east-1".to_owned()),
        token_variables: vec!["CARGO_PKG_DESCRIPTION".to_owned()],
        endpoint: Some(endpoint),
        credentials_file: Some(credentials),
        ..Settings::default()
    };
    assert!(!format!("{settings:?}").contains(token));
    let server = start(settings).await.unwrap();
    let address = ("127.0.0.1", server.port());
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = ended.await;
    }));
    for request in requests(token) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        exchange(&mut stream, &request).await.unwrap();
    }
    end.send(()).unwrap();
    serving.await.unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("TRACE"), "{log}");
    for line in log.lines() {
        assert!(!line.contains(token), "{line}");
        assert!(!line.contains(SECRET), "{line}");
        assert!(!line.contains(KEY), "{line}");
    }
}
