//! The line that `local up` prints when a world is ready.

use std::path::PathBuf;

use serde::Serialize;

/// All addresses and names, as one line of JSON.
#[derive(Debug, Serialize)]
pub struct Ready {
    pub(crate) endpoint: String,
    pub(crate) region: &'static str,
    pub(super) function_arn: String,
    pub(crate) ca_file: PathBuf,
    pub(super) postgres: ReadyPostgres,
    pub(super) secrets: ReadySecrets,
}

#[derive(Debug, Serialize)]
pub(super) struct ReadyPostgres {
    pub(super) host: &'static str,
    pub(super) port: u16,
    pub(super) dbname: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ReadySecrets {
    pub(super) admin: &'static str,
    pub(super) single_user: &'static str,
    pub(super) alternating_users: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_key: Option<&'static str>,
}
