//! Where the credential is used to log in.

pub mod postgres;

use secrecy::SecretString;

use crate::document::Document;

/// The system whose credential is rotated.
///
/// What every implementation owes: a login is [`Login::Accepted`] or [`Login::Rejected`] only when the server
/// said so, and everything else that keeps an answer away is an error; every method may be repeated, and may
/// be cut off anywhere.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait Target {
    /// An open session of a user who logged in.
    type Session;

    /// The document that shall follow `current`, with the new password.
    fn propose(&self, current: &Document, password: SecretString) -> Document;

    /// Logs in, and has the server answer one question, so that a proxy's word is not taken for the server's.
    async fn log_in(&self, document: &Document) -> Result<Login<Self::Session>, TargetError>;

    /// Makes the server accept the pending document's password, acting as the session's user.
    ///
    /// Of two at once, one waits for the other.
    async fn change(&self, session: Self::Session, pending: &Document) -> Result<(), TargetError>;
}

/// What the server said to a user and a password.
#[derive(Debug)]
pub enum Login<Session> {
    /// They log in.
    Accepted(Session),
    /// The server knows them not.
    Rejected,
}

/// Why the database gave no answer, or refused a change.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum TargetError {
    /// No connection.
    #[error(
        "cannot reach {server} ({reason}): check the secret's host and port, and that the security groups let the \
         function in"
    )]
    Unreachable { server: String, reason: String },
    /// No answer in time.
    #[error(
        "{server} gave no answer within {seconds:.1} s: see what keeps the server busy, then rotate again"
    )]
    TimedOut { server: String, seconds: f32 },
    /// The server speaks no TLS.
    #[error(
        "{server} refuses TLS: turn it on at the server; only if the network itself is trusted, set \
         \"ssl\": false in the secret"
    )]
    TlsRefused { server: String },
    /// The certificate is not that server's, or nobody trusted signed it.
    #[error(
        "the certificate of {server} does not hold ({reason}): store as host the name that the certificate \
         carries, and name a private CA's file in TLS_CA_FILE"
    )]
    CertificateInvalid { server: String, reason: String },
    /// The roots cannot be loaded.
    #[error("cannot load the trusted roots ({reason}): point TLS_CA_FILE at a readable PEM file")]
    Roots { reason: String },
    /// The server knows the role but does not let it in from here.
    #[error(
        "{server} does not let {user} log in ({message}): give the role LOGIN, and let pg_hba.conf admit it from \
         the function's address"
    )]
    LoginForbidden {
        server: String,
        user: String,
        message: String,
    },
    /// A read-only copy.
    #[error(
        "{server} is a standby, it takes no changes: store the writer's address as the secret's host"
    )]
    Standby { server: String },
    /// The role may not change its own password.
    #[error(
        "{user} may not change its own password on {server} (SQLSTATE 42501): where rds.restrict_password_commands \
         is on, run GRANT rds_password TO the role"
    )]
    ChangeForbidden { server: String, user: String },
    /// Any other answer.
    #[error(
        "{server} answered with SQLSTATE {code} ({message}): cure what the server names, then rotate again"
    )]
    Refused {
        server: String,
        code: String,
        message: String,
    },
}

impl TargetError {
    /// The stable name of the kind, for alarms.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "DatabaseUnreachable",
            Self::TimedOut { .. } => "DatabaseTimedOut",
            Self::TlsRefused { .. } => "TlsRefused",
            Self::CertificateInvalid { .. } => "CertificateInvalid",
            Self::Roots { .. } => "TlsRootsUnreadable",
            Self::LoginForbidden { .. } => "LoginForbidden",
            Self::Standby { .. } => "DatabaseIsStandby",
            Self::ChangeForbidden { .. } => "ChangeForbidden",
            Self::Refused { .. } => "DatabaseRefused",
        }
    }
}
