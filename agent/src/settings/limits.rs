//! The limits of the values in AWS's file, and what each means here.

use std::time::Duration;

use axum::http::HeaderName;

use super::{
    LogLevel, Prefetch, Settings,
    awss::{self, Logging, SecretsManager},
    mistakes::Mistake,
};
use crate::{
    names::is_variable,
    spelling::{ROLE, is_role, is_sound},
};

/// Takes the values that are within their limits. The others go to `mistakes`.
pub(super) fn take(
    logging: Logging,
    all: SecretsManager,
    settings: &mut Settings,
    mistakes: &mut Vec<Mistake>,
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
        mistakes.push(Mistake::new(
            key,
            format!("write a number from {from} to {to}"),
        ));
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
    settings.prefetch = prefetched(prefetch, jitter, settings.cache_size, mistakes);
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
            None => mistakes.push(Mistake::new(
                "log_level",
                "write debug, info, warn, error or none",
            )),
        }
    }
    match all.path_prefix {
        Some(prefix) if !prefix.starts_with('/') => {
            mistakes.push(Mistake::new("path_prefix", "begin it with /"));
        }
        Some(prefix) => settings.path_prefix = prefix,
        None => {}
    }
    match security.ssrf_headers.as_deref() {
        Some([]) => mistakes.push(Mistake::new(
            "ssrf_headers",
            "name the header that carries the token",
        )),
        Some(names) => {
            let names = names.iter().map(|name| HeaderName::try_from(name.as_str()));
            match names.collect() {
                Ok(names) => settings.token_headers = names,
                Err(_) => mistakes.push(Mistake::new(
                    "ssrf_headers",
                    "one of them is no header's name: write names alone",
                )),
            }
        }
        None => {}
    }
    match security.ssrf_env_variables {
        Some(names) if names.is_empty() => {
            mistakes.push(Mistake::new(
                "ssrf_env_variables",
                "name the variable that holds the token",
            ));
        }
        Some(names) if !names.iter().all(|name| is_variable(name)) => {
            mistakes.push(Mistake::new(
                "ssrf_env_variables",
                "one of them is no variable's name: write names alone, and the token in the variable",
            ));
        }
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
    mistakes: &mut Vec<Mistake>,
) -> Prefetch {
    let ratio = table.cache_buffer_ratio.unwrap_or(0.8);
    if !(0.1..=1.0).contains(&ratio) {
        mistakes.push(Mistake::new(
            "cache_buffer_ratio",
            "write a number from 0.1 to 1",
        ));
    }
    let is_wrong = |role: &Option<String>| role.as_deref().is_some_and(|role| !is_role(role));
    let mut wrong_role = |list: &str, at: usize, role: &Option<String>| {
        if is_wrong(role) {
            let at = format!("prefetch.{list}.{at}.role_arn");
            mistakes.push(Mistake::new(at, format!("it is no role: {ROLE}")));
        }
    };
    for (at, named) in table.secrets.iter().enumerate() {
        wrong_role("secrets", at, &named.role_arn);
    }
    for (at, tagged) in table.filter_tags.iter().enumerate() {
        wrong_role("filter_tags", at, &tagged.role_arn);
    }
    for (at, named) in table.secrets.iter().enumerate() {
        if named.secret_id.is_empty() || !is_sound(&named.secret_id) {
            let at = format!("prefetch.secrets.{at}.secret_id");
            mistakes.push(Mistake::new(
                at,
                "write a name or an ARN, without control characters",
            ));
        }
    }
    let secrets = table.secrets.into_iter();
    let secrets = secrets
        .map(|named| (named.secret_id, named.role_arn))
        .collect();
    let tags = table.filter_tags.into_iter();
    let tags = tags.map(|tagged| (tagged.key, tagged.role_arn)).collect();
    Prefetch {
        secrets,
        tags,
        most: (cache_size as f64 * ratio) as usize,
        jitter: Duration::from_secs(jitter.unwrap_or(0) as u64),
    }
}
