//! Our own settings. AWS's agent would refuse them in its file.

use std::time::Duration;

use rotating_secret::postgres;
use serde::Deserialize;

use super::{Limited, Listen, Settings, mistakes::Mistake, own_files, own_sockets};
use crate::spelling::is_sound;

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
    listen: Vec<Listen>,
    #[serde(default)]
    tokens: Vec<Limited>,
    #[serde(default)]
    sockets: Vec<own_sockets::Table>,
}

/// Applies the file. Returns its errors.
pub(super) fn apply(own: Own, settings: &mut Settings) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut duration = |key, text: Option<String>, into: &mut Duration| {
        let Some(text) = text else { return };
        match humantime::parse_duration(&text) {
            Ok(time) if !time.is_zero() => *into = time,
            _ => mistakes.push(Mistake::new(key, "write a time above zero, as 24h or 90m")),
        }
    };
    duration(
        "overlap_window",
        own.overlap_window,
        &mut settings.overlap_window,
    );
    duration("idle", own.idle, &mut settings.idle);
    if settings.overlap_window <= settings.ttl {
        let ttl = settings.ttl.as_secs();
        mistakes.push(Mistake::new(
            "overlap_window",
            format!("it is not above ttl_seconds = {ttl}, and a password that has ended would be served: shorten ttl_seconds"),
        ));
    }
    settings.metrics_port = own.metrics_port.and_then(|port| match port {
        0 | 1024..=65535 => port.try_into().ok(),
        _ => {
            mistakes.push(Mistake::new(
                "metrics_port",
                "write a number from 1024 to 65535",
            ));
            None
        }
    });
    settings.metrics_name_secrets = own.metrics_name_secrets;
    settings.files = own_files::read(own.files, &mut mistakes);
    settings.sockets = own_sockets::read(own.sockets, &mut mistakes);
    for (at, listen) in own.listen.iter().enumerate() {
        if listen.secret.is_empty() || !is_sound(&listen.secret) {
            let at = format!("listen.{at}.secret");
            mistakes.push(Mistake::new(
                at,
                "it is no secret's id: write its name or its ARN",
            ));
        }
        if let Err(error) = postgres::tls(listen.ca_file.as_deref()) {
            mistakes.push(Mistake::new(
                format!("listen.{at}.ca_file"),
                error.to_string(),
            ));
        }
    }
    settings.listen = own.listen;
    settings.endpoint = own.endpoint;
    settings.sts_endpoint = own.sts_endpoint;
    settings.tokens = own.tokens;
    settings.hosts = own
        .hosts
        .iter()
        .map(|host| host.to_ascii_lowercase())
        .collect();
    mistakes
}
