//! A login at a server that says what the fuzzer says.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_postgres::{Config, NoTls, config::SslMode};

use super::{errors, wire};
use crate::document::Document;

/// Logs in over a stream on which the server's words stand ready; what was sent, and what the error says.
pub async fn log_in(server: &[u8], password: &str) -> (Vec<u8>, String) {
    let (ours, mut theirs) = duplex(1 << 20);
    let _ = theirs.write_all(server).await;
    let _ = theirs.shutdown().await;
    let login = Arc::new(Mutex::new(wire::Login::default()));
    let mut config = Config::new();
    config
        .user("app")
        .password(password)
        .ssl_mode(SslMode::Disable);
    let connected = config.connect_raw(wire::Watched::new(ours, login), NoTls);
    let json = serde_json::json!({ "host": "h", "username": "app", "password": password });
    let said = match (connected.await, Document::parse(&json.to_string().into())) {
        (Err(error), Ok(document)) => format!("{}", errors::of_login(&error, &document)),
        (_, document) => format!("{:?}", document.err()),
    };
    let mut sent = Vec::new();
    let _ = theirs.read_to_end(&mut sent).await;
    (sent, said)
}
