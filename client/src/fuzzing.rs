//! Private functions that the fuzzer needs.

use hyper::StatusCode;

use crate::{causes::in_one_line, postgres::Guarded, provider};

/// The stream of a login that sends no password in clear text.
pub fn guarded<S>(stream: S) -> Guarded<S> {
    Guarded::over(stream)
}

/// The text of a login's error.
pub fn error_text(error: &tokio_postgres::Error) -> String {
    in_one_line(error)
}

/// The texts of an answer's errors, as the agent's provider and Key Vault's read it.
pub fn answers(status: u16, body: &[u8]) -> Vec<String> {
    let by_agent = StatusCode::from_u16(status).ok();
    let by_agent = by_agent.map(|status| provider::agent_error_text(status, body));
    by_agent
        .into_iter()
        .chain([provider::azure_error_text(status, body)])
        .collect()
}
