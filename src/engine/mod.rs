//! The systems where a credential logs in.
//!
//! | where | what |
//! |---|---|
//! | [`postgres`] | roles of a PostgreSQL server |
//! | [`api_key`] | keys of any service with an HTTP API |
//! | [`engines`] | the choice between the two, by the document |

pub mod api_key;
pub mod engines;
mod error;
mod limits;
mod obstacle;
pub mod postgres;
mod roots;

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

pub use error::EngineError;
pub use limits::Limits;
pub use obstacle::Obstacle;

use crate::document::{Document, Overlap};

/// The system whose credential is rotated.
///
/// The duties of every implementation: a login is [`Login::Accepted`] or [`Login::Rejected`] only when the server said so, and
/// every other missing answer is an error; every method may be repeated, and may be cut off anywhere.
///
/// Two methods are enough if an administrator, or the user itself, replaces a password: [`log_in`](Self::log_in) and
/// [`change`](Self::change). docs/engines.md is the guide, and `kit` (a feature) checks the duties.
///
/// A delivery may be delayed until its work is wrong. So a method gets what it needs of Secrets Manager as a question, which is
/// asked when the method calls it. Do nothing else between the last answer and the change.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait Engine {
    /// The engines in documents that it rotates; a document without one belongs to the first.
    const ENGINES: &'static [&'static str];

    /// An open session of a user who logged in.
    type Session;

    /// Logs in and asks the server one question, so that a proxy's answer does not count as the server's.
    async fn log_in(&self, document: &Document) -> Result<Login<Self::Session>, EngineError>;

    /// createSecret: makes the document that follows the current one, and stores it with `store`. By default: the same user with
    /// the new password.
    ///
    /// `known` reads what the secret's versions hold, for a service that makes the credential itself: `None` if the token is
    /// now current.
    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        let _ = known;
        store(&succession.current.with_password(succession.password)).await
    }

    /// setSecret: makes the server accept the user and the password of the pending document.
    ///
    /// `proven` logs in with one of the secret's own credentials. That user changes its own password; or, if there is an
    /// administrator, it proves that the administrator's credential goes to the right server. `None` if there is nothing to
    /// change.
    ///
    /// Of two at once, one waits for the other. The pending document comes from `wanted`: call it when nobody else can change
    /// the credential. If it is `None`, change nothing.
    ///
    /// If the change ends an old password before its promised end, the result is that promised end.
    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<Self::Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E>;

    /// testSecret: proves that the new credential can do all that the application expects of it, and changes nothing. `version`
    /// is the id of the document's version; `current` reads what it will replace, to find out why it is rejected.
    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        current: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        let _ = (version, current);
        Ok(self.log_in(document).await?.map(drop))
    }

    /// finishSecret: sets an end for the password of the replaced document's user, after its window, by the server's clock, and
    /// notifies the clients that listen.
    ///
    /// `promote` makes the successor current, or finds that it is: call it once, when nobody else can change the credential. If
    /// it says [`Promotion::Outdated`], change nothing. Return its answer. A password that already ends earlier stays as it is.
    /// `read` reads a credential that is needed.
    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let _ = (retiring, read);
        promote().await
    }

    /// revokeSecret: ends logins and open sessions at once, and returns what it ended.
    ///
    /// `proven` is a session of the current credential, which stays unchanged. `wanted` fails if the labels have changed: call
    /// it when nobody else can change the credential.
    async fn revoke<E: From<EngineError>>(
        &self,
        proven: Self::Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        let _ = (proven, what, wanted);
        Err(EngineError::Unable { what: "revoke" }.into())
    }
}

/// An engine that keeps connections open from one call to the next.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait Disconnect {
    /// A step of this secret begins. Closes what was kept open for another secret: an attacker's secret may say all that
    /// another one says.
    fn begin(&self, secret: &str) {
        let _ = secret;
    }

    /// Says goodbye on the open connections when a step is over, and returns how many logins were tried.
    async fn disconnect(&self) -> u32 {
        0
    }
}

/// The input for a new credential.
#[derive(Debug)]
pub struct Succession<'a> {
    /// The secret's ARN.
    pub secret: &'a str,
    /// The rotation's token.
    pub token: &'a str,
    /// The document that it will replace.
    pub current: &'a Document,
    /// A new password that satisfies the policy.
    pub password: SecretString,
    /// How long clients may use the current credential after it is replaced.
    pub overlap: Overlap,
}

/// What the secret's versions hold.
#[derive(Debug)]
pub struct Known {
    /// The master secret, which may make a credential.
    pub administrator: Document,
    /// The document that an earlier delivery has stored for the token.
    pub stored: Option<Document>,
    /// The document that the current one replaced.
    pub previous: Option<Document>,
    /// The users of all labelled versions; `None` if one of them is unknown.
    pub held: Option<Vec<String>>,
    /// Whether clients may still use the previous one, as far as is known.
    pub overlaps: bool,
}

/// The result of storing a document.
#[derive(Debug)]
pub enum Stored {
    /// It is now the token's version.
    Now,
    /// An earlier delivery has stored this document, which stays.
    Before(Box<Document>),
    /// The token is now AWSCURRENT.
    Over,
}

/// A session of one of the secret's own credentials.
#[derive(Debug)]
pub struct Proven<Session> {
    /// The session.
    pub session: Session,
    /// The administrator, if the secret has one.
    pub administrator: Option<Document>,
}

/// Whose password must end, and when.
#[derive(Debug)]
pub struct Retiring<'a> {
    /// The secret's ARN.
    pub secret: &'a str,
    /// The version that replaces it.
    pub version: &'a str,
    /// The document with the password.
    pub replaced: &'a Document,
    /// How long it may still be used; `None` if it has no end.
    pub window: Option<Duration>,
    /// Whether a version with a label that people made may hold it too.
    pub pinned: bool,
}

/// A credential that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The administrator's.
    Administrator,
    /// The new one.
    Successor,
}

/// The result of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// The new version is current now.
    Now,
    /// It was already current.
    Before,
    /// The next rotation is in progress.
    Outdated,
}

/// The target of a revocation.
#[derive(Debug)]
pub enum Revoked<'a> {
    /// Single user: the old password no longer logs in; the sessions that it opened must end.
    SessionsBegunBefore(SystemTime),
    /// Alternating users: the password and all sessions of the user who is not current. API keys: the key that is not current.
    Previous {
        /// The administrator who may end them.
        administrator: &'a Document,
        /// The document of that user or key.
        previous: &'a Document,
    },
}

/// What a revocation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many sessions.
    pub sessions: u64,
    /// How long a login with the old password that had already begun may still succeed: then revoke again.
    pub late: Option<Duration>,
}

/// The server's answer to a user and a password.
#[derive(Debug)]
pub enum Login<Session> {
    /// They log in.
    Accepted(Session),
    /// The server rejects them.
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
