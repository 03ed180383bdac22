//! What the fuzzer asks of what nobody else can ask.

use hyper::StatusCode;

use crate::{causes::in_one_line, postgres::Guarded, provider};

/// The stream of a login on which no password is given in clear.
pub fn guarded<S>(stream: S) -> Guarded<S> {
    Guarded::over(stream)
}

/// What an error of the login says.
pub fn error_text(error: &tokio_postgres::Error) -> String {
    in_one_line(error)
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
