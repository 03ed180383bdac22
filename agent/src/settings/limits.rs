//! The limits of the values in AWS's file, and what each means here.

use std::time::Duration;

use axum::http::HeaderName;

use super::{
    LogLevel, Prefetch, Settings,
    awss::{self, Logging, SecretsManager},
};
use crate::spelling::{ROLE, is_role, is_sound};

/// Takes the values that are within their limits. The others go to `problems`.
pub(super) fn take(
    logging: Logging,
    all: SecretsManager,
    settings: &mut Settings,
    problems: &mut Vec<String>,
) {
    let (cache, security) = (
        all.cache.unwrap_or_default(),
        all.security.unwrap_or_default(),
    );
    let mut number = |key, number: Option<i64>, from: i64, to: i64| {
        let number = number?;
        if (from..=to).contains(&number) {
            return usize::try_from(number).ok();
        }
        problems.push(format!("{key} = {number} is not from {from} to {to}"));
        None
    };
    // 0 means any free port
    let port = all.http_port.filter(|port| *port != 0);
    let port = number("http_port", port, 1024, 65535)
        .or(all.http_port.filter(|port| *port == 0).map(|_| 0));
    let ttl = number("ttl_seconds", cache.ttl_seconds, 0, 3600);
    let size = number("cache_size", cache.cache_size, 1, 1000);
    let connections = number("max_conn", all.max_conn, 1, 1000);
    let roles = number("max_roles", all.max_roles, 1, 20);
    let prefetch = all.prefetch.unwrap_or_default();
    let jitter = number("max_jitter_seconds", prefetch.max_jitter_seconds, 0, 10);
    settings.enabled = all.enabled.unwrap_or(true);
    settings.port = port
        .and_then(|port| port.try_into().ok())
        .unwrap_or(settings.port);
    settings.cache_size = size.unwrap_or(settings.cache_size);
    settings.connections = connections.unwrap_or(settings.connections);
    settings.roles = roles.unwrap_or(settings.roles);
    settings.region = all.region;
    settings.credentials_file = all.credentials_file_path.map(Into::into);
    settings.validates_credentials = all.validate_credentials.unwrap_or(false);
    settings.prefetch = prefetched(prefetch, jitter, settings.cache_size, problems);
    settings.stale_on_error = all.ignore_transient_errors.unwrap_or(true);
    if let Some(seconds) = ttl {
        if seconds == 0 {
            settings.warnings.push(
                "ttl_seconds = 0 is read as 1: a secret is confirmed once a second".to_owned(),
            );
        }
        settings.ttl = Duration::from_secs(seconds.max(1) as u64);
    }
    if let Some(text) = &logging.log_level {
        match log_level(text) {
            Some(level) => settings.log_level = level,
            None => problems.push(format!(
                "log_level = \"{text}\" is none of debug, info, warn, error, none"
            )),
        }
    }
    match all.path_prefix {
        Some(prefix) if !prefix.starts_with('/') => {
            problems.push(format!("path_prefix = \"{prefix}\" does not begin with /"))
        }
        Some(prefix) => settings.path_prefix = prefix,
        None => {}
    }
    match security.ssrf_headers.as_deref() {
        Some([]) => problems
            .push("ssrf_headers is empty: name the header that carries the token".to_owned()),
        Some(names) => {
            let names = names
                .iter()
                .map(|name| HeaderName::try_from(name.as_str()).map_err(|_| name));
            match names.collect() {
                Ok(names) => settings.token_headers = names,
                Err(name) => problems.push(format!("ssrf_headers: \"{name}\" is no header's name")),
            }
        }
        None => {}
    }
    match security.ssrf_env_variables {
        Some(names) if names.is_empty() => problems
            .push("ssrf_env_variables is empty: name the variable that holds the token".to_owned()),
        Some(names) => settings.token_variables = names,
        None => {}
    }
    if logging.log_to_file == Some(true) {
        let told = "log_to_file has no effect: this agent logs to standard error";
        settings.warnings.push(told.to_owned());
    }
}

/// The level with this name.
pub(super) fn log_level(name: &str) -> Option<LogLevel> {
    match &*name.to_ascii_lowercase() {
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warn" => Some(LogLevel::Warn),
        "error" => Some(LogLevel::Error),
        "none" => Some(LogLevel::None),
        _ => None,
    }
}

/// What to prefetch, and how much of the cache it may fill.
fn prefetched(
    table: awss::Prefetch,
    jitter: Option<usize>,
    cache_size: usize,
    problems: &mut Vec<String>,
) -> Prefetch {
    let ratio = table.cache_buffer_ratio.unwrap_or(0.8);
    if !(0.1..=1.0).contains(&ratio) {
        problems.push(format!("cache_buffer_ratio = {ratio} is not from 0.1 to 1"));
    }
    let secrets = table.secrets.into_iter();
    let secrets: Vec<_> = secrets
        .map(|named| (named.secret_id, named.role_arn))
        .collect();
    let tags = table.filter_tags.into_iter();
    let tags: Vec<_> = tags.map(|tagged| (tagged.key, tagged.role_arn)).collect();
    for role in secrets
        .iter()
        .chain(&tags)
        .filter_map(|(_, role)| role.as_deref())
    {
        if !is_role(role) {
            problems.push(format!("role_arn = \"{role}\" is no role: {ROLE}"));
        }
    }
    if secrets.iter().any(|(id, _)| id.is_empty() || !is_sound(id)) {
        problems.push("a secret_id in prefetch is empty, or has a control character".to_owned());
    }
    Prefetch {
        secrets,
        tags,
        most: (cache_size as f64 * ratio) as usize,
        jitter: Duration::from_secs(jitter.unwrap_or(0) as u64),
    }
}
