//! The agent's settings: AWS's configuration file (`awss` has its shape, `limits` its values), and our own (`own`; its `[[files]]` in
//! `own_files`, its `[[sockets]]` in `own_sockets`), and the variables of AWS's Lambda extension (`lambda`).

mod awss;
mod changed;
pub mod files;
mod lambda;
mod limits;
mod mistakes;
mod own;
mod own_files;
mod own_sockets;
pub mod sockets;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::HeaderName;
use serde::{Deserialize, de::DeserializeOwned};

use self::mistakes::{Mistake, line, parsers};
use crate::{Error, arguments::Files};

/// All settings, checked. [`Settings::default`] is an agent without files.
#[derive(Clone, Debug)]
pub struct Settings {
    /// If false, the agent ends at once, as AWS's does.
    pub enabled: bool,
    /// What is logged.
    pub log_level: LogLevel,
    /// The port on 127.0.0.1. 0 means any free port.
    pub port: u16,
    /// The region of Secrets Manager; the SDK chooses if not set.
    pub region: Option<String>,
    /// How long a version is served until it must be confirmed.
    pub ttl: Duration,
    /// How many versions the cache holds.
    pub cache_size: usize,
    /// Headers that may carry the token.
    pub token_headers: Vec<HeaderName>,
    /// Variables that may hold the token.
    pub token_variables: Vec<String>,
    /// The prefix of paths with an id.
    pub path_prefix: String,
    /// How many connections are served at a time.
    pub connections: usize,
    /// How many roles are assumed at a time.
    pub roles: usize,
    /// A file with credentials. It replaces the SDK's own search.
    pub credentials_file: Option<PathBuf>,
    /// Whether the agent needs credentials that STS accepts in order to start.
    pub validates_credentials: bool,
    /// What to read before the first request.
    pub prefetch: Prefetch,
    /// Whether cached versions are served in an outage.
    pub stale_on_error: bool,
    /// Secrets Manager's address, if not the region's.
    pub endpoint: Option<String>,
    /// STS's address, if not the region's.
    pub sts_endpoint: Option<String>,
    /// How long the previous password still logs in.
    pub overlap_window: Duration,
    /// How long a secret that nobody reads is renewed.
    pub idle: Duration,
    /// Tokens that open some of the secrets.
    pub tokens: Vec<Limited>,
    /// The unix sockets to listen on.
    pub sockets: Vec<sockets::Socket>,
    /// Names that `Host` may have, apart from localhost.
    pub hosts: Vec<String>,
    /// The folders of files to write.
    pub files: Vec<files::Folder>,
    /// The secrets whose database announces new versions.
    pub listen: Vec<Listen>,
    /// The port of the metrics on both loopback addresses, if there is one. 0 means any free port.
    pub metrics_port: Option<u16>,
    /// Whether metrics name the secrets of `files`.
    pub metrics_name_secrets: bool,
    /// Settings without an effect here.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let name = |name| HeaderName::from_static(name);
        let variables = [
            "AWS_TOKEN",
            "AWS_SESSION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        ];
        Self {
            enabled: true,
            log_level: LogLevel::Info,
            port: 2773,
            region: None,
            ttl: Duration::from_secs(300),
            cache_size: 1000,
            token_headers: vec![
                name("x-aws-parameters-secrets-token"),
                name("x-vault-token"),
            ],
            token_variables: variables.map(str::to_owned).to_vec(),
            path_prefix: "/v1/".to_owned(),
            connections: 800,
            roles: 20,
            credentials_file: None,
            validates_credentials: false,
            prefetch: Prefetch::default(),
            stale_on_error: true,
            endpoint: None,
            sts_endpoint: None,
            overlap_window: Duration::from_secs(24 * 60 * 60),
            idle: Duration::from_secs(60 * 60),
            tokens: Vec::new(),
            sockets: Vec::new(),
            hosts: Vec::new(),
            files: Vec::new(),
            listen: Vec::new(),
            metrics_port: None,
            metrics_name_secrets: false,
            warnings: Vec::new(),
        }
    }
}

/// The secrets to read when the agent starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefetch {
    /// Ids, each with the role to read it with.
    pub secrets: Vec<(String, Option<String>)>,
    /// Keys of tags, each with the role to list and read with.
    pub tags: Vec<(String, Option<String>)>,
    /// The largest number of secrets to read.
    pub most: usize,
    /// The start is delayed by a random time up to this: many machines then do not read at once.
    pub jitter: Duration,
}

/// A token that opens some of the secrets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limited {
    /// The file that holds it.
    pub file: PathBuf,
    /// Patterns of the names that it opens: `*` is any text, `?` any character.
    pub secrets: Vec<String>,
}

/// A secret whose database announces new versions.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The secret's id.
    pub secret: String,
    /// A PEM file of roots to trust, besides those of RDS and the public ones.
    pub ca_file: Option<PathBuf>,
}

/// The levels of AWS's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    None,
}

impl LogLevel {
    /// The level as tracing has it; `None` logs nothing.
    pub fn tracing(self) -> Option<tracing::Level> {
        match self {
            Self::Debug => Some(tracing::Level::DEBUG),
            Self::Info => Some(tracing::Level::INFO),
            Self::Warn => Some(tracing::Level::WARN),
            Self::Error => Some(tracing::Level::ERROR),
            Self::None => None,
        }
    }
}

impl Settings {
    /// Reads these files.
    ///
    /// # Errors
    ///
    /// All mistakes in both files: a file cannot be read, has an unknown key, or a value is out of its limits.
    pub fn read(files: &Files) -> Result<Self, Error> {
        let (mut settings, mut mistakes) = (Self::default(), Vec::new());
        if let Some(path) = &files.config {
            mistakes.extend(read(path, |file: awss::File| {
                let mut mistakes = Vec::new();
                if file.has_certificates() {
                    let told = "[capabilities.acm] has no effect: run AWS's agent for certificates";
                    settings.warnings.push(told.to_owned());
                }
                let (logging, all) = awss::shape(file, &mut mistakes);
                limits::take(logging, all, &mut settings, &mut mistakes);
                mistakes
            }));
        }
        let mut problems = Vec::new();
        if files.in_lambda {
            problems = lambda::apply(&mut settings, |name| env::var(name).ok());
        }
        if let Some(path) = &files.settings {
            mistakes.extend(read(path, |file| own::apply(file, &mut settings)));
        }
        if files.in_lambda {
            problems.extend(lambda::unusable(&mut settings));
        }
        match (mistakes.is_empty(), problems.is_empty()) {
            (true, true) => Ok(settings),
            (true, false) => Err(Error::InLambda { problems }),
            (false, _) => {
                let problems = problems
                    .iter()
                    .map(|problem| format!("in Lambda: {problem}"));
                mistakes.extend(problems);
                Err(Error::Settings { mistakes })
            }
        }
    }
}

/// Reads a file. Returns its mistakes.
fn read<T: DeserializeOwned>(path: &Path, apply: impl FnOnce(T) -> Vec<Mistake>) -> Vec<String> {
    let shown = path.display();
    let file = match fs::read_to_string(path) {
        Ok(file) => file,
        Err(error) => {
            return vec![format!(
                "{shown}: {error}: correct the path, or leave the option out"
            )];
        }
    };
    match toml::from_str(&file) {
        Ok(read) => {
            let mistakes = apply(read).into_iter();
            mistakes.map(|mistake| mistake.told(path, &file)).collect()
        }
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let (line, reason) = (line(&file, at), parsers(error.message()));
            vec![format!("{shown}:{line}: {reason}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_lambda_mistakes_of_files_and_what_cannot_be_used_there_are_reported_together() {
        let folder = tempfile::tempdir().unwrap();
        let (config, settings) = (folder.path().join("c.toml"), folder.path().join("s.toml"));
        let awss = "[capabilities.secrets_manager]\nenabled = false\nhttp_port = 80\n";
        fs::write(&config, awss).unwrap();
        fs::write(&settings, "idle = \"never\"\n").unwrap();
        let files = Files {
            config: Some(config),
            settings: Some(settings),
            in_lambda: true,
        };
        let error = Settings::read(&files).unwrap_err();
        let (told, mistakes) = (error.to_string(), error.mistakes());
        for part in ["c.toml:3: http_port", "s.toml:1: idle", "enabled = false"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }
}
