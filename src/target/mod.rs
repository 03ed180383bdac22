//! Where the credential is used to log in.

pub mod postgres;

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use crate::document::{Document, Overlap};

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

    /// The document that shall follow `current`: the same user or the other one, with the new password.
    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, TargetError>;

    /// Logs in, and has the server answer one question, so that a proxy's word is not taken for the server's.
    async fn log_in(&self, document: &Document) -> Result<Login<Self::Session>, TargetError>;

    /// Proves that the session is all that the application expects of it, and changes nothing.
    ///
    /// It may be kept, as the session of the version with this id, for [`announce`](Self::announce).
    async fn prove(
        &self,
        session: Self::Session,
        document: &Document,
        version: &str,
    ) -> Result<(), TargetError>;

    /// Makes the server accept the pending document's user and password.
    ///
    /// `proven` is a session of one of the secret's own credentials: its user changes itself, or, where there is
    /// an administrator, it is the proof that the administrator's credential goes to the right cluster. Of two
    /// at once, one waits for the other.
    async fn change(
        &self,
        proven: Self::Session,
        administrator: Option<&Document>,
        current: &Document,
        pending: &Document,
    ) -> Result<(), TargetError>;

    /// Has the password of the retired document's user end after `window`, by the server's clock.
    ///
    /// A password that ends earlier already is left as it is.
    async fn retire(
        &self,
        administrator: &Document,
        retired: &Document,
        window: Duration,
    ) -> Result<(), TargetError>;

    /// Tells whoever listens that this version of the secret is current. Nothing depends on it.
    ///
    /// Without the current document it is told only if a session was kept.
    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, TargetError>;

    /// Ends logins and open sessions at once, and tells how many sessions there were.
    ///
    /// `proven` is a session of the current credential, which is not touched.
    async fn revoke(&self, proven: Self::Session, what: Revoked<'_>) -> Result<u64, TargetError>;
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Whoever listens was told.
    Told,
    /// No session was kept: it takes the document to log in.
    NoSession,
    /// The server does not pass announcements on.
    NotHere,
}

/// What is revoked.
#[derive(Debug)]
pub enum Revoked<'a> {
    /// Single user: the old password does not log in any more, sessions that it opened are to go.
    SessionsBegunBefore(SystemTime),
    /// Alternating users: the password and all sessions of the user who is not current.
    OtherUser {
        /// Who may do that.
        administrator: &'a Document,
        /// Whose they are.
        user: &'a str,
    },
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
    /// A login that is not what it has to be.
    #[error(
        "{user} logs in on {server}, but {what}: rotate again, which repairs the role, or repair it by hand"
    )]
    NotAsExpected {
        server: String,
        user: String,
        what: &'static str,
    },
    /// `VERIFY_SQL` failed.
    #[error(
        "{user} logs in on {server}, but VERIFY_SQL fails with SQLSTATE {code} ({message}): grant what it needs to the \
         role, or correct the function's VERIFY_SQL"
    )]
    VerifyFailed {
        server: String,
        user: String,
        code: String,
        message: String,
    },
    /// The other user's name does not fit.
    #[error(
        "the other user's name, {user}, is longer than the 63 bytes that PostgreSQL keeps: rename the role to 57 \
         bytes or less, or take \"masterarn\" out for a single user"
    )]
    NameTooLong { user: String },
    /// The pending document is about neither of the secret's users.
    #[error(
        "the AWSPENDING version names the user {user}, and it is {expected}'s turn: rotate again, from a version that \
         was not written by hand"
    )]
    AnotherUser { user: String, expected: String },
    /// The administrator's credential is out of date.
    #[error(
        "{server} rejects the administrator {user} (28P01): store the administrator's password in the secret that \
         \"masterarn\" names"
    )]
    AdministratorRejected { server: String, user: String },
    /// The administrator's secret leads to another cluster.
    #[error(
        "the administrator's server {server} is another cluster than the secret's ({administrators} and {secrets}): \
         correct the host of either secret"
    )]
    AnotherCluster {
        server: String,
        administrators: String,
        secrets: String,
    },
    /// The administrator lacks a right.
    #[error(
        "the administrator {user} may not {action} on {server} (SQLSTATE 42501): as a superuser, run {cure}"
    )]
    AdministratorForbidden {
        server: String,
        user: String,
        action: String,
        cure: String,
    },
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
            Self::NotAsExpected { .. } => "CredentialNotAsExpected",
            Self::VerifyFailed { .. } => "VerifyFailed",
            Self::NameTooLong { .. } => "UserNameTooLong",
            Self::AnotherUser { .. } => "AnotherUser",
            Self::AdministratorRejected { .. } => "AdministratorRejected",
            Self::AnotherCluster { .. } => "AnotherCluster",
            Self::AdministratorForbidden { .. } => "AdministratorForbidden",
            Self::Refused { .. } => "DatabaseRefused",
        }
    }
}
