//! The configuration file of AWS's agent: nested, or the same keys flat at the root as its first releases had them.

use serde::Deserialize;

use super::mistakes::Mistake;

/// The file as written. In the flat form a number may stand in quotes.
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
pub(super) struct Logging {
    pub(super) log_level: Option<String>,
    pub(super) log_to_file: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    secrets_manager: Option<SecretsManager>,
    acm: Option<toml::Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretsManager {
    pub(super) enabled: Option<bool>,
    pub(super) http_port: Option<i64>,
    pub(super) region: Option<String>,
    pub(super) cache: Option<Cache>,
    pub(super) security: Option<Security>,
    pub(super) path_prefix: Option<String>,
    pub(super) max_conn: Option<i64>,
    pub(super) max_roles: Option<i64>,
    pub(super) ignore_transient_errors: Option<bool>,
    pub(super) validate_credentials: Option<bool>,
    pub(super) credentials_file_path: Option<String>,
    pub(super) prefetch: Option<Prefetch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cache {
    pub(super) ttl_seconds: Option<i64>,
    pub(super) cache_size: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Security {
    pub(super) ssrf_headers: Option<Vec<String>>,
    pub(super) ssrf_env_variables: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prefetch {
    pub(super) cache_buffer_ratio: Option<f64>,
    pub(super) max_jitter_seconds: Option<i64>,
    #[serde(default)]
    pub(super) filter_tags: Vec<Tagged>,
    #[serde(default)]
    pub(super) secrets: Vec<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tagged {
    pub(super) key: String,
    pub(super) role_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) secret_id: String,
    pub(super) role_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Quoted(String),
}

/// The file in the nested form. Errors in its shape go to `mistakes`.
pub(super) fn shape(file: File, mistakes: &mut Vec<Mistake>) -> (Logging, SecretsManager) {
    let is_nested = file.logging.is_some() || file.capabilities.is_some();
    if is_nested && flat(&file) {
        let table = match file.logging {
            Some(_) => "logging",
            None => "capabilities",
        };
        let told = "keys stand at the root and in tables: write all of them in [logging] and [capabilities.secrets_manager]";
        mistakes.push(Mistake::new(table, told));
    }
    if !is_nested {
        return nested(file, mistakes);
    }
    let all = file.capabilities.and_then(|all| all.secrets_manager);
    (file.logging.unwrap_or_default(), all.unwrap_or_default())
}

impl File {
    /// Whether it configures certificates, which are another service.
    pub(super) fn has_certificates(&self) -> bool {
        let all = self.capabilities.as_ref();
        all.is_some_and(|all| all.acm.is_some())
    }
}

/// Whether the file has a key of the flat form.
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

/// Turns the flat form into the nested one.
fn nested(file: File, mistakes: &mut Vec<Mistake>) -> (Logging, SecretsManager) {
    let mut number = |key, number: Option<Number>| match number? {
        Number::Plain(number) => Some(number),
        Number::Quoted(text) => match text.parse() {
            Ok(number) => Some(number),
            Err(_) => {
                mistakes.push(Mistake::new(key, "write a number"));
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
