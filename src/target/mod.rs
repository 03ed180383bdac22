//! Where the credential is used to log in.
//!
//! | where | what |
//! |---|---|
//! | [`postgres`] | roles of a PostgreSQL server |
//! | [`api_key`] | keys of any service with an HTTP API |
//! | [`engines`] | which of the two, by the document |

pub mod api_key;
pub mod engines;
pub mod postgres;
mod roots;

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use crate::document::{Document, Overlap};

/// The system whose credential is rotated.
///
/// What every implementation owes: a login is [`Login::Accepted`] or [`Login::Rejected`] only when the server
/// said so, and everything else that keeps an answer away is an error; every method may be repeated, and may
/// be cut off anywhere.
///
/// Two methods are enough where an administrator, or the user itself, replaces a password: [`log_in`](Self::log_in)
/// and [`change`](Self::change). docs/targets.md leads through it, and `kit` (a feature) checks what is owed.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait Target {
    /// The engines in documents that it rotates; one that names none is of the first.
    const ENGINES: &'static [&'static str];

    /// An open session of a user who logged in.
    type Session;

    /// Logs in, and has the server answer one question, so that a proxy's word is not taken for the server's.
    async fn log_in(&self, document: &Document) -> Result<Login<Self::Session>, TargetError>;

    /// Makes the server accept the pending document's user and password.
    ///
    /// `proven` is a session of one of the secret's own credentials: its user changes itself, or, where there is
    /// an administrator, it is the proof that the administrator's credential goes to the right cluster. Of two
    /// at once, one waits for the other. Not called where the service [`mints`](Self::mints).
    async fn change(
        &self,
        proven: Self::Session,
        administrator: Option<&Document>,
        current: &Document,
        pending: &Document,
    ) -> Result<(), TargetError>;

    /// The document that shall follow `current`: the same user with the new password, if nothing else is said.
    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, TargetError> {
        let _ = overlap;
        Ok(current.with_password(password))
    }

    /// Proves that the session is all that the application expects of it, and changes nothing.
    ///
    /// It may be kept, as the session of the version with this id, for [`announce`](Self::announce).
    async fn prove(
        &self,
        session: Self::Session,
        document: &Document,
        version: &str,
    ) -> Result<(), TargetError> {
        let _ = (session, document, version);
        Ok(())
    }

    /// Has the password of the retired document's user end after `window`, by the server's clock.
    ///
    /// A password that ends earlier already is left as it is. Called where another user is current now, or for a
    /// key only if the window is zero.
    async fn retire(
        &self,
        administrator: &Document,
        retired: &Document,
        window: Duration,
    ) -> Result<(), TargetError> {
        let _ = (administrator, retired, window);
        Ok(())
    }

    /// Tells whoever listens that this version of the secret is current. Nothing depends on it.
    ///
    /// Without the current document it is told only if a session was kept.
    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, TargetError> {
        let _ = (current, secret, version);
        Ok(Announced::NotHere)
    }

    /// Ends logins and open sessions at once, and tells how many sessions there were.
    ///
    /// `proven` is a session of the current credential, which is not touched.
    async fn revoke(&self, proven: Self::Session, what: Revoked<'_>) -> Result<u64, TargetError> {
        let _ = (proven, what);
        Err(TargetError::Unable { what: "revoke" })
    }

    /// Whether the service itself makes what follows this document: then createSecret asks it with
    /// [`mint`](Self::mint), and there is nothing to [`propose`](Self::propose) and to [`change`](Self::change).
    fn mints(&self, current: &Document) -> bool {
        let _ = current;
        false
    }

    /// Has the service make the credential, once for each token as far as it can, and makes room for it before.
    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, TargetError> {
        let _ = minting;
        Err(TargetError::Unable { what: "mint" })
    }

    /// Ends what was made for this token and is not `stored`.
    ///
    /// `minted` is what this delivery made, if it is another one.
    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), TargetError> {
        let _ = (minting, stored, minted);
        Ok(())
    }

    /// Says goodbye to what is open when a step is over, and tells how many logins were tried.
    async fn disconnect(&self) -> u32 {
        0
    }
}

/// What a new credential is made for.
#[derive(Debug)]
pub struct Minting<'a> {
    /// Who may make it: the master secret.
    pub administrator: &'a Document,
    /// The secret's ARN.
    pub secret: &'a str,
    /// The rotation's token.
    pub token: &'a str,
    /// What it will replace.
    pub current: &'a Document,
    /// What that replaced.
    pub previous: Option<&'a Document>,
    /// Whether clients may still use the previous one.
    pub overlaps: bool,
    /// How long they may use the current one when it is replaced.
    pub overlap: Overlap,
}

/// How long the parts of a step may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// TCP, TLS and login together.
    pub connect: Duration,
    /// One statement, the wait for its locks included, or one request.
    pub statement: Duration,
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
    /// Alternating users: the password and all sessions of the user who is not current. Or the key that is not.
    Previous {
        /// Who may do that.
        administrator: &'a Document,
        /// Whose they are.
        previous: &'a Document,
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

impl<Session> Login<Session> {
    /// The same answer with another session.
    pub fn map<Other>(self, session: impl FnOnce(Session) -> Other) -> Login<Other> {
        match self {
            Self::Accepted(accepted) => Login::Accepted(session(accepted)),
            Self::Rejected => Login::Rejected,
        }
    }
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
    /// A service that is asked for API keys, and may not be.
    #[error(
        "the secret's {request} request goes to {server}, which this function may not ask: add the host to its \
         ALLOWED_HOSTS, or correct the secret"
    )]
    HostNotAllowed {
        request: &'static str,
        server: String,
    },
    /// A placeholder without a value.
    #[error(
        "the secret's {request} request wants {{{name}}}, which is not there or is no text: add it to the secret that \
         \"masterarn\" names, or correct the request"
    )]
    NoValue { request: &'static str, name: String },
    /// A request that cannot be sent as it stands.
    #[error(
        "the secret's {request} request cannot be sent ({reason}): correct it with PutSecretValue, then rotate again"
    )]
    RequestInvalid {
        request: &'static str,
        reason: String,
    },
    /// A service's answer to a request, whose body may hold a secret.
    #[error(
        "{server} answered the {request} request with HTTP {status}: {cure}, then rotate again"
    )]
    Answered {
        server: String,
        request: &'static str,
        status: u16,
        cure: &'static str,
    },
    /// An answer that is not what the document says.
    #[error(
        "the answer of {server} to the {request} request has no text or number at {pointer}: correct the pointer in the \
         secret with PutSecretValue, then rotate again"
    )]
    AnswerWithout {
        server: String,
        request: &'static str,
        pointer: String,
    },
    /// No more keys than there are, and one of them is still needed.
    #[error(
        "{server} makes no further key (HTTP {status}) while the AWSPREVIOUS one is kept, and its overlap is not over: \
         rotate again when it is, or end it now with revokeSecret"
    )]
    NoRoom { server: String, status: u16 },
    /// A key that should be gone.
    #[error(
        "{server} knows no key {user} to delete, and still accepts it: correct the secret's delete request, which asks \
         for another one, then rotate again"
    )]
    StillAccepted { server: String, user: String },
    /// A method that a target does not have.
    #[error(
        "this target cannot {what}: let its author implement Target::{what}, or do by hand what it is to do"
    )]
    Unable { what: &'static str },
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
            Self::HostNotAllowed { .. } => "HostNotAllowed",
            Self::NoValue { .. } => "PlaceholderWithoutValue",
            Self::RequestInvalid { .. } => "RequestInvalid",
            Self::Answered { .. } => "ServiceRefused",
            Self::AnswerWithout { .. } => "AnswerUnreadable",
            Self::NoRoom { .. } => "TooManyKeys",
            Self::StillAccepted { .. } => "KeyStillAccepted",
            Self::Unable { .. } => "TargetUnable",
            Self::Refused { .. } => "DatabaseRefused",
        }
    }
}
