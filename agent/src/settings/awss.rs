//! The configuration file of AWS's agent: nested, or the same keys flat at the root as its first releases had them.

use std::time::Duration;

use axum::http::HeaderName;
use serde::Deserialize;

use super::{LogLevel, Settings};

/// The file, as it is written. A number of the flat form may stand in quotes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    logging: Option<Logging>,
    capabilities: Option<Capabilities>,
    log_level: Option<String>,
    log_to_file: Option<bool>,
    http_port: Option<Number>,
    region: Option<String>,
    ttl_seconds: Option<Number>,
    cache_size: Option<Number>,
    ssrf_headers: Option<Vec<String>>,
    ssrf_env_variables: Option<Vec<String>>,
    path_prefix: Option<String>,
    max_conn: Option<Number>,
    max_roles: Option<Number>,
    ignore_transient_errors: Option<bool>,
    validate_credentials: Option<bool>,
    credentials_file_path: Option<String>,
    prefetch: Option<Prefetch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Logging {
    log_level: Option<String>,
    log_to_file: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    secrets_manager: Option<SecretsManager>,
    acm: Option<toml::Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretsManager {
    enabled: Option<bool>,
    http_port: Option<i64>,
    region: Option<String>,
    cache: Option<Cache>,
    security: Option<Security>,
    path_prefix: Option<String>,
    max_conn: Option<i64>,
    max_roles: Option<i64>,
    ignore_transient_errors: Option<bool>,
    validate_credentials: Option<bool>,
    credentials_file_path: Option<String>,
    prefetch: Option<Prefetch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cache {
    ttl_seconds: Option<i64>,
    cache_size: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Security {
    ssrf_headers: Option<Vec<String>>,
    ssrf_env_variables: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read for its shape: nothing is prefetched yet")]
struct Prefetch {
    cache_buffer_ratio: Option<f64>,
    max_jitter_seconds: Option<i64>,
    #[serde(default)]
    filter_tags: Vec<toml::Table>,
    #[serde(default)]
    secrets: Vec<toml::Table>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Quoted(String),
}

/// Takes over what the file says. Returns what is wrong with it, all of it.
pub(super) fn apply(file: File, settings: &mut Settings) -> Vec<String> {
    let mut problems = Vec::new();
    let acm = file.capabilities.as_ref().and_then(|all| all.acm.as_ref());
    if acm.is_some() {
        let told = "[capabilities.acm] has no effect: this agent serves secrets, and no certificates; leave AWS's agent to them";
        settings.warnings.push(told.to_owned());
    }
    let is_nested = file.logging.is_some() || file.capabilities.is_some();
    let (logging, all) = match (is_nested, flat(&file)) {
        (true, true) => {
            problems.push("keys stand at the root and in tables: write all of them in [logging] and [capabilities.secrets_manager]".to_owned());
            return problems;
        }
        (true, false) => {
            let all = file.capabilities.and_then(|all| all.secrets_manager);
            (file.logging.unwrap_or_default(), all.unwrap_or_default())
        }
        (false, _) => nested(file, &mut problems),
    };
    take(logging, all, settings, &mut problems);
    problems
}

/// Whether a key of the flat form is there.
fn flat(file: &File) -> bool {
    let numbers = [
        &file.http_port,
        &file.ttl_seconds,
        &file.cache_size,
        &file.max_conn,
        &file.max_roles,
    ];
    let texts = [
        &file.log_level,
        &file.region,
        &file.path_prefix,
        &file.credentials_file_path,
    ];
    let lists = [&file.ssrf_headers, &file.ssrf_env_variables];
    let switches = [
        file.log_to_file,
        file.ignore_transient_errors,
        file.validate_credentials,
    ];
    numbers.iter().any(|set| set.is_some())
        || texts.iter().any(|set| set.is_some())
        || lists.iter().any(|set| set.is_some())
        || switches.iter().any(Option::is_some)
        || file.prefetch.is_some()
}

/// The flat form in the shape of the nested one.
fn nested(file: File, problems: &mut Vec<String>) -> (Logging, SecretsManager) {
    let mut number = |key, number: Option<Number>| match number? {
        Number::Plain(number) => Some(number),
        Number::Quoted(text) => match text.parse() {
            Ok(number) => Some(number),
            Err(_) => {
                problems.push(format!("{key} = \"{text}\" is no number"));
                None
            }
        },
    };
    let cache = Cache {
        ttl_seconds: number("ttl_seconds", file.ttl_seconds),
        cache_size: number("cache_size", file.cache_size),
    };
    let all = SecretsManager {
        enabled: None,
        http_port: number("http_port", file.http_port),
        region: file.region,
        cache: Some(cache),
        security: Some(Security {
            ssrf_headers: file.ssrf_headers,
            ssrf_env_variables: file.ssrf_env_variables,
        }),
        path_prefix: file.path_prefix,
        max_conn: number("max_conn", file.max_conn),
        max_roles: number("max_roles", file.max_roles),
        ignore_transient_errors: file.ignore_transient_errors,
        validate_credentials: file.validate_credentials,
        credentials_file_path: file.credentials_file_path,
        prefetch: file.prefetch,
    };
    let logging = Logging {
        log_level: file.log_level,
        log_to_file: file.log_to_file,
    };
    (logging, all)
}

fn take(
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
    // 0 is any free port
    let port = all.http_port.filter(|port| *port != 0);
    let port = number("http_port", port, 1024, 65535)
        .or(all.http_port.filter(|port| *port == 0).map(|_| 0));
    let ttl = number("ttl_seconds", cache.ttl_seconds, 0, 3600);
    let size = number("cache_size", cache.cache_size, 1, 1000);
    let connections = number("max_conn", all.max_conn, 1, 1000);
    let _ = number("max_roles", all.max_roles, 1, 20);
    settings.enabled = all.enabled.unwrap_or(true);
    settings.port = port
        .and_then(|port| port.try_into().ok())
        .unwrap_or(settings.port);
    settings.cache_size = size.unwrap_or(settings.cache_size);
    settings.connections = connections.unwrap_or(settings.connections);
    settings.region = all.region;
    settings.stale_on_error = all.ignore_transient_errors.unwrap_or(true);
    if let Some(seconds) = ttl {
        if seconds == 0 {
            settings.warnings.push(
                "ttl_seconds = 0 is read as 1: a secret is confirmed once a second".to_owned(),
            );
        }
        settings.ttl = Duration::from_secs(seconds.max(1) as u64);
    }
    match logging
        .log_level
        .as_deref()
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("info") => {}
        Some("debug") => settings.log_level = LogLevel::Debug,
        Some("warn") => settings.log_level = LogLevel::Warn,
        Some("error") => settings.log_level = LogLevel::Error,
        Some("none") => settings.log_level = LogLevel::None,
        Some(other) => problems.push(format!(
            "log_level = \"{other}\" is none of debug, info, warn, error, none"
        )),
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
    for (is_set, told) in [
        (
            logging.log_to_file == Some(true),
            "log_to_file has no effect: this agent logs to standard error",
        ),
        (
            all.validate_credentials.is_some(),
            "validate_credentials has no effect: credentials are loaded with the first secret",
        ),
        (
            all.credentials_file_path.is_some(),
            "credentials_file_path has no effect yet: give the credentials as the SDK takes them",
        ),
        (
            all.prefetch.is_some(),
            "prefetch has no effect yet: a secret is read when it is first asked for",
        ),
    ] {
        if is_set {
            settings.warnings.push(told.to_owned());
        }
    }
}
