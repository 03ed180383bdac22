//! Why the agent does not start.

use std::{io, net::SocketAddr, path::PathBuf};

use rotating_secret::{BuildError, postgres::TlsError, provider::ProviderError};

use crate::{
    fields::Refused,
    files::Unsafe,
    names::{is_shown_variable, shown_path},
};

/// Why the agent does not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// Mistakes in the settings files, each with its file and line.
    #[error("{}", mistakes.join("\n"))]
    Settings { mistakes: Vec<String> },
    /// Variables or settings that cannot be used in Lambda.
    #[error("in Lambda: {}", problems.join("; "))]
    InLambda { problems: Vec<String> },
    /// Lambda does not accept this process as an extension.
    #[error(
        "Lambda does not register this extension ({reason}): let Lambda start it, as a file of /opt/extensions; \
         elsewhere start it with `sm start`"
    )]
    NotRegistered { reason: String },
    /// Lambda ends the conversation.
    #[error(
        "Lambda gives this extension no next event ({reason}): see what the function's log says before this line"
    )]
    NoEvent { reason: String },
    /// No variable holds a token.
    #[error(
        "there is no token: set {} to it, or to file://PATH of a file that holds it; requests carry the same token in a header",
        shown(variables)
    )]
    NoToken { variables: Vec<String> },
    /// A token that is short enough to guess.
    #[error(
        "the token in {variable} has {length} characters, and needs at least 8: set it to a random one, as `openssl rand -hex 32` makes"
    )]
    WeakToken { variable: String, length: usize },
    /// A token that an attacker tries first.
    #[error(
        "the token in {variable} is one that attackers try first: set it to a random one, as `openssl rand -hex 32` makes"
    )]
    GuessedToken { variable: String },
    /// A token that no request can carry.
    #[error(
        "the token in {variable} has blanks at its ends, or characters that no header carries: set it to one without them, \
         as `openssl rand -hex 32` makes"
    )]
    UnsentToken { variable: String },
    /// The file with the token cannot be read.
    #[error(
        "the token's file {}, which {variable} names, cannot be read ({source}): correct {variable}",
        shown_path(path)
    )]
    TokenFile {
        variable: String,
        path: PathBuf,
        source: io::Error,
    },
    /// A token that another one would hide.
    #[error(
        "the token's file {}, which [[tokens]] names, holds the same as another token: give each its own, or join the tables",
        shown_path(path)
    )]
    SameToken { path: PathBuf },
    /// All tokens that cannot be used.
    #[error("{}", texts(mistakes).join("\n"))]
    Tokens { mistakes: Vec<Error> },
    /// Another process has the port.
    #[error("port {} on {} cannot be used ({source}): stop what listens there, or set {setting}", address.port(), address.ip())]
    Port {
        address: SocketAddr,
        setting: &'static str,
        source: io::Error,
    },
    /// A unix socket cannot be made.
    #[error("the socket {}: {why}", path.display())]
    Socket { path: PathBuf, why: String },
    /// Another recorder collects the metrics of this process.
    #[error("the metrics cannot be collected ({0}): leave metrics_port out")]
    Telemetry(String),
    /// `validate_credentials` is set, and they are not valid.
    #[error(
        "the AWS credentials are not valid ({0}): correct them, or set validate_credentials = false, and the first read reports it"
    )]
    Credentials(String),
    /// Secrets Manager cannot be called.
    #[error(transparent)]
    Upstream(#[from] ProviderError),
    /// The settings of a followed secret contradict each other.
    #[error(transparent)]
    Followed(#[from] BuildError),
    /// The roots for a database's certificate.
    #[error("ca_file in [[listen]]: {0}")]
    Listen(#[from] TlsError),
    /// A folder in which it is not safe to write a secret.
    #[error(transparent)]
    Files(#[from] Unsafe),
    /// A child's secret cannot be read.
    #[error(transparent)]
    Secret(#[from] rotating_secret::Error),
    /// A value that an environment cannot hold.
    #[error("the child's environment: {0}")]
    Variable(#[from] Refused),
    /// The secrets or files of a child did not come in time.
    #[error(
        "not there after a minute: {}; see the warnings above, and correct the ids or the role's policy",
        missing.join(", ")
    )]
    NotReady { missing: Vec<String> },
    /// The answer to a probe.
    #[error(
        "the agent on port {port} of 127.0.0.1 is not ready ({reason}): see its log; give -c FILE if it listens on another port"
    )]
    Probed { port: u16, reason: String },
    /// No handler for signals could be set.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// The child's program does not start.
    #[error("{command} does not start: {source}; no shell reads it: write sh -c '…' for one")]
    NotStarted { command: String, source: io::Error },
}

/// The names of variables, without what may be a token.
fn shown(variables: &[String]) -> String {
    let named = variables.iter().filter(|name| is_shown_variable(name));
    let mut named: Vec<&str> = named.map(String::as_str).collect();
    if named.len() < variables.len() {
        named.push(
            "the variable that ssrf_env_variables names (not shown: it may be the token itself)",
        );
    }
    named.join(" or ")
}

fn texts(errors: &[Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

impl Error {
    /// Each mistake on its own.
    pub fn mistakes(&self) -> Vec<String> {
        match self {
            Self::Settings { mistakes } => mistakes.clone(),
            Self::Tokens { mistakes } => texts(mistakes),
            other => vec![other.to_string()],
        }
    }
}
