//! Where the credential is used to log in.
//!
//! | where | what |
//! |---|---|
//! | [`postgres`] | roles of a PostgreSQL server |
//! | [`api_key`] | keys of any service with an HTTP API |
//! | [`engines`] | which of the two, by the document |

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
/// What every implementation owes: a login is [`Login::Accepted`] or [`Login::Rejected`] only when the server
/// said so, and everything else that keeps an answer away is an error; every method may be repeated, and may
/// be cut off anywhere.
///
/// Two methods are enough where an administrator, or the user itself, replaces a password: [`log_in`](Self::log_in)
/// and [`change`](Self::change). docs/engines.md leads through it, and `kit` (a feature) checks what is owed.
///
/// A delivery may be held up, and its work be wrong by then. So what a method needs of Secrets Manager is passed as a
/// question: it is asked when the method calls it. Let nothing stand between the last answer and the change.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait Engine {
    /// The engines in documents that it rotates; one that names none is of the first.
    const ENGINES: &'static [&'static str];

    /// An open session of a user who logged in.
    type Session;

    /// Logs in, and has the server answer one question, so that a proxy's word is not taken for the server's.
    async fn log_in(&self, document: &Document) -> Result<Login<Self::Session>, EngineError>;

    /// createSecret: makes the document that follows the current one, and has it stored with `store`. The same user with the
    /// new password, if nothing else is said.
    ///
    /// `known` reads what the secret's versions hold, for a service that makes the credential itself: None if the token is
    /// current by now.
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
    /// `proven` logs in with one of the secret's own credentials: that user changes itself, or, where there is an
    /// administrator, it is the proof that the administrator's credential goes to the right server. None if there is
    /// nothing to change.
    ///
    /// Of two at once, one waits for the other. The pending document comes from `wanted`: call it when nobody else can change
    /// the credential. If it is None, change nothing.
    ///
    /// Where that ends an old password earlier than was promised, it tells until when the promise was.
    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<Self::Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E>;

    /// testSecret: proves that the new credential does all that the application expects of it, and changes nothing.
    /// `version` is the id of the document's version; `current` reads what it will replace, for who asks why it is rejected.
    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        current: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        let _ = (version, current);
        Ok(self.log_in(document).await?.map(drop))
    }

    /// finishSecret: has the password of the replaced document's user end after its window, by the server's clock, and tells
    /// the clients that listen.
    ///
    /// `promote` makes the successor current, or sees that it is: call it once, when nobody else can change the credential.
    /// If it says [`Promotion::Outdated`], change nothing. Its answer is returned. A password that ends earlier already is
    /// left as it is. `read` reads a credential that it takes.
    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let _ = (retiring, read);
        promote().await
    }

    /// revokeSecret: ends logins and open sessions at once, and tells what it came to.
    ///
    /// `proven` is a session of the current credential, which is not touched. `wanted` fails if the labels are not what
    /// they were: call it when nobody else can change the credential.
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
    /// A step of this secret begins. What was kept open for another secret is closed: an attacker's own secret may say all that
    /// another one says.
    fn begin(&self, secret: &str) {
        let _ = secret;
    }

    /// Says goodbye to what is open when a step is over, and tells how many logins were tried.
    async fn disconnect(&self) -> u32 {
        0
    }
}

/// What a new credential is made for.
#[derive(Debug)]
pub struct Succession<'a> {
    /// The secret's ARN.
    pub secret: &'a str,
    /// The rotation's token.
    pub token: &'a str,
    /// What it will replace.
    pub current: &'a Document,
    /// A new password, as the policy wants it.
    pub password: SecretString,
    /// How long clients may use the current one when it is replaced.
    pub overlap: Overlap,
}

/// What the secret's versions hold.
#[derive(Debug)]
pub struct Known {
    /// Who may make a credential: the master secret.
    pub administrator: Document,
    /// What an earlier delivery has stored for the token.
    pub stored: Option<Document>,
    /// What the current one replaced.
    pub previous: Option<Document>,
    /// The users of all versions with a label; none, if one of them is not known.
    pub held: Option<Vec<String>>,
    /// Whether clients may still use the previous one, as far as is known.
    pub overlaps: bool,
}

/// What storing a document came to.
#[derive(Debug)]
pub enum Stored {
    /// It is the token's version.
    Now,
    /// An earlier delivery was here: its document stands.
    Before(Box<Document>),
    /// The token is AWSCURRENT by now.
    Over,
}

/// A session of one of the secret's own credentials.
#[derive(Debug)]
pub struct Proven<Session> {
    /// Where it logged in.
    pub session: Session,
    /// The administrator, if the secret has one.
    pub administrator: Option<Document>,
}

/// Whose password is to end, and when.
#[derive(Debug)]
pub struct Retiring<'a> {
    /// The secret's ARN.
    pub secret: &'a str,
    /// The version that follows it.
    pub version: &'a str,
    /// Whose it is.
    pub replaced: &'a Document,
    /// How long it may be used yet; none if it has no end.
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

/// What became of the new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// It is current now.
    Now,
    /// It was current already.
    Before,
    /// The next rotation is under way.
    Outdated,
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

/// What a revocation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many sessions.
    pub sessions: u64,
    /// How long a login with the old password that had begun already may yet end well: then revoke again.
    pub late: Option<Duration>,
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
