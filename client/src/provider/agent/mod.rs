//! AWS's Secrets Manager Agent, and its Lambda extension, which has the same address and answers in the same way.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the provider |
//! | `ask` | one request, over plain HTTP |
//! | `answer` | a version, or why there is none |

mod answer;
mod ask;

use std::{
    env, fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use tokio::task::spawn_blocking;

use self::answer::Answer;
use super::{ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version, small_file};

const PORT: u16 = 2773;

/// Where the agent's own installation puts its token.
const TOKEN_FILE: &str = "/var/run/awssmatoken";

/// No token that a header can carry is larger.
const LARGEST_TOKEN: u64 = 16 * 1024;

/// AWS's Secrets Manager Agent, or the AWS Parameters and Secrets Lambda extension, on this machine.
///
/// A secret's id is its name or its ARN. The permissions are the agent's: `secretsmanager:GetSecretValue` and `DescribeSecret`
/// on the secret, and the use of its KMS key.
///
/// An answer whose ARN or name is not that of the secret that was asked for is an error.
///
/// The agent has its own cache, for 5 minutes by default (`ttl_seconds`). It answers the question at the end of a lifetime. So
/// a version may be older than [`age`](crate::Credential::age) says, by that time, and also by the length of an outage, during
/// which the agent serves what it has (`ignore_transient_errors`). Both times together must be below the overlap window. A
/// rejected login, a notification, [`refresh`](crate::RotatingSecret::refresh), and a question for another than the current
/// version go to Secrets Manager itself (`refreshNow`).
///
/// The Lambda extension does not document `refreshNow`. If it refuses it, the question is asked without it, with one warning;
/// then a login that is rejected after a rotation fails until the extension's own cache ends. Set `SECRETS_MANAGER_TTL` to a
/// few seconds there, because this crate already has a cache. The extension answers only within an invocation.
#[derive(Clone)]
pub struct Agent {
    port: u16,
    token: Token,
    /// Whether it refused to bypass its cache.
    is_bound_to_cache: Arc<AtomicBool>,
}

/// The token that the agent requires in each request, so that nobody is tricked into sending one.
#[derive(Clone)]
enum Token {
    Given(SecretString),
    /// Read for each request: the agent writes another one when it starts.
    InFile(PathBuf),
}

/// Shows where it is, and nothing of the token.
impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// The port and the token, as AWS's own clients find them.
    ///
    /// The port is `PARAMETERS_SECRETS_EXTENSION_HTTP_PORT`, or 2773. The token is the first of `AWS_TOKEN`,
    /// `AWS_SESSION_TOKEN` and `AWS_CONTAINER_AUTHORIZATION_TOKEN`, where `file://` begins the path of a file that holds it; or
    /// else the content of `/var/run/awssmatoken`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Kind::Invalid): the variable holds no port.
    pub fn from_env() -> Result<Self, ProviderError> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        const NAME: &str = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";
        let port = variable(NAME).map_or(Ok(PORT), |port| port.parse());
        let port =
            port.map_err(|_| invalid(format!("{NAME} is no port: correct it or unset it")))?;
        let tokens = [
            "AWS_TOKEN",
            "AWS_SESSION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        ];
        let token = tokens.into_iter().find_map(variable);
        Ok(match token {
            None => Self::with_token_file(port, TOKEN_FILE),
            Some(token) => match token.strip_prefix("file://") {
                Some(path) => Self::with_token_file(port, path),
                None => Self::with_token(port, token),
            },
        })
    }

    /// At this port of this machine, with this token.
    pub fn with_token(port: u16, token: impl Into<SecretString>) -> Self {
        Self::of(port, Token::Given(token.into()))
    }

    /// At this port of this machine, with the token that this file holds when a request is made: a regular file of 16 KiB at most.
    pub fn with_token_file(port: u16, path: impl Into<PathBuf>) -> Self {
        Self::of(port, Token::InFile(path.into()))
    }

    fn of(port: u16, token: Token) -> Self {
        Self {
            port,
            token,
            is_bound_to_cache: Arc::default(),
        }
    }

    async fn token(&self) -> Result<SecretString, ProviderError> {
        let path = match &self.token {
            Token::Given(token) => return Ok(token.clone()),
            Token::InFile(path) => path.clone(),
        };
        let place = path.display().to_string();
        // a file system may hang; then the question's time limit ends the wait
        let read = spawn_blocking(move || small_file::read(&path, LARGEST_TOKEN)).await;
        let text = read.unwrap_or_else(|error| Err(error.into())).map_err(|error| {
            // an agent that starts writes it
            let kind = match error.kind() {
                io::ErrorKind::NotFound => Kind::Unavailable,
                _ => Kind::Invalid,
            };
            let message = format!(
                "the agent's token is not read from {place} ({error}): let this process read it, or set AWS_TOKEN"
            );
            ProviderError::new(kind, message)
        })?;
        Ok(text.trim().into())
    }

    /// The answer to this query.
    async fn ask(&self, query: &str) -> Result<Answer, ProviderError> {
        let token = self.token().await?;
        ask::get(self.port, query, &token).await
    }
}

impl SecretProvider for Agent {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        if stage != Stage::Current {
            return self.fetch_uncached(secret, stage).await;
        }
        self.ask(&query(secret, stage)).await?.version(secret)
    }

    async fn fetch_uncached(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let query = query(secret, stage);
        if !self.is_bound_to_cache.load(Ordering::Relaxed) {
            let answer = self.ask(&format!("{query}&refreshNow=true")).await?;
            if !answer.refuses_query() {
                return answer.version(secret);
            }
        }
        let answer = self.ask(&query).await?;
        if answer.is_version() && !self.is_bound_to_cache.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                port = self.port,
                "the agent does not bypass its cache: a rejected login waits for its end; shorten SECRETS_MANAGER_TTL"
            );
        }
        answer.version(secret)
    }
}

/// The query always names the stage: an agent caches each form of a question separately, and one does not renew another.
fn query(secret: &str, stage: Stage) -> String {
    let secret = utf8_percent_encode(secret, NON_ALPHANUMERIC);
    format!("secretId={secret}&versionStage={}", stage.label())
}

fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(Kind::Invalid, message)
}

#[cfg(fuzzing)]
pub(crate) fn error_text(status: hyper::StatusCode, body: &[u8]) -> String {
    match Answer::new(status, body.to_vec()).version("secret") {
        Ok(version) => format!("{version:?}"),
        Err(error) => error.to_string(),
    }
}
