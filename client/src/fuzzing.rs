//! What the fuzzer asks of what nobody else can ask.

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_postgres::{Config, NoTls, config::SslMode};

use crate::{causes::in_one_line, postgres, provider};

/// Logs in over a stream on which the server's words stand ready; what was sent, and what the error says.
pub async fn log_in(server: &[u8], password: &str) -> (Vec<u8>, String) {
    let (ours, mut theirs) = duplex(1 << 20);
    let _ = theirs.write_all(server).await;
    let _ = theirs.shutdown().await;
    let mut config = Config::new();
    config
        .user("app")
        .password(password)
        .ssl_mode(SslMode::Disable);
    let connected = config
        .connect_raw(postgres::Guarded::over(ours), NoTls)
        .await;
    let said = connected.err().map(|error| in_one_line(&error));
    let mut sent = Vec::new();
    let _ = theirs.read_to_end(&mut sent).await;
    (sent, said.unwrap_or_default())
}

/// What is told of an answer, by the agent's reading of it and by Key Vault's.
pub fn answers(status: u16, body: &[u8]) -> Vec<String> {
    let by_agent = StatusCode::from_u16(status).ok();
    let by_agent = by_agent.map(|status| provider::agent_told(status, body));
    by_agent
        .into_iter()
        .chain([provider::azure_told(status, body)])
        .collect()
}
