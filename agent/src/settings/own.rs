//! Our own settings. AWS's agent would refuse them in its file.

use std::time::Duration;

use serde::Deserialize;

use super::{Limited, Settings, own_files, own_sockets};

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Own {
    endpoint: Option<String>,
    sts_endpoint: Option<String>,
    overlap_window: Option<String>,
    idle: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
    metrics_port: Option<i64>,
    #[serde(default)]
    metrics_name_secrets: bool,
    #[serde(default)]
    files: Vec<own_files::Table>,
    #[serde(default)]
    tokens: Vec<Limited>,
    #[serde(default)]
    sockets: Vec<own_sockets::Table>,
}

/// Applies the file. Returns its errors.
pub(super) fn apply(own: Own, settings: &mut Settings) -> Vec<String> {
    let mut problems = Vec::new();
    let mut duration = |key, text: Option<String>, into: &mut Duration| {
        let Some(text) = text else { return };
        match humantime::parse_duration(&text) {
            Ok(time) if !time.is_zero() => *into = time,
            _ => problems.push(format!("{key} = \"{text}\" is no time: write 24h or 90m")),
        }
    };
    duration(
        "overlap_window",
        own.overlap_window,
        &mut settings.overlap_window,
    );
    duration("idle", own.idle, &mut settings.idle);
    if settings.overlap_window <= settings.ttl {
        let (window, ttl) = (settings.overlap_window, settings.ttl);
        problems.push(format!(
            "overlap_window = {window:?} is not above ttl_seconds = {}: a password that has ended would be served; shorten ttl_seconds",
            ttl.as_secs()
        ));
    }
    settings.metrics_port = own.metrics_port.and_then(|port| match port {
        0 | 1024..=65535 => port.try_into().ok(),
        _ => {
            problems.push(format!("metrics_port = {port} is not from 1024 to 65535"));
            None
        }
    });
    settings.metrics_name_secrets = own.metrics_name_secrets;
    settings.files = own_files::read(own.files, &mut problems);
    settings.sockets = own_sockets::read(own.sockets, &mut problems);
    settings.endpoint = own.endpoint;
    settings.sts_endpoint = own.sts_endpoint;
    settings.tokens = own.tokens;
    settings.hosts = own
        .hosts
        .iter()
        .map(|host| host.to_ascii_lowercase())
        .collect();
    problems
}
