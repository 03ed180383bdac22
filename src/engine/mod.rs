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
pub mod postgres;
mod roots;

use std::time::{Duration, SystemTime};

use secrecy::SecretString;

pub use error::EngineError;

use crate::document::{Document, Overlap};

/// The system whose credential is rotated.
///
/// What every implementation owes: a login is [`Login::Accepted`] or [`Login::Rejected`] only when the server
/// said so, and everything else that keeps an answer away is an error; every method may be repeated, and may
/// be cut off anywhere.
///
/// Two methods are enough where an administrator, or the user itself, replaces a password: [`log_in`](Self::log_in)
/// and [`change`](Self::change). docs/engines.md leads through it, and `kit` (a feature) checks what is owed.
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

    /// Logs in with a credential that was just made: where the system takes time to know it, it is tried until then.
    async fn first_log_in(&self, document: &Document) -> Result<Login<Self::Session>, EngineError> {
        self.log_in(document).await
    }

    /// Makes the server accept the user and the password of the pending document.
    ///
    /// `proven` is a session of one of the secret's own credentials: its user changes itself, or, where there is
    /// an administrator, it is the proof that the administrator's credential goes to the right server. Of two
    /// at once, one waits for the other.
    ///
    /// A delivery may be held up, and its work be wrong by then. So the document comes from `wanted`, which asks Secrets
    /// Manager: call it when nobody else can change the credential, and let nothing stand between its answer and the
    /// change. If it is `None`, change nothing and return false. Not called where the service [`mints`](Self::mints).
    async fn change<E: From<EngineError>>(
        &self,
        proven: Self::Session,
        administrator: Option<&Document>,
        current: &Document,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<bool, E> {
        let _ = (proven, administrator, current, wanted);
        Err(EngineError::Unable { what: "change" }.into())
    }

    /// The document that shall follow `current`: the same user with the new password, if nothing else is said.
    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, EngineError> {
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
    ) -> Result<(), EngineError> {
        let _ = (session, document, version);
        Ok(())
    }

    /// Has the password of the retired document's user end after a window, by the server's clock.
    ///
    /// `promoted` makes the successor current, or sees that it still is: call it when nobody else can change the credential.
    /// If it is false, change nothing. Its answer is returned. `successor` reads the new credential, for an engine that
    /// needs a session of it. A password that ends earlier already is left as it is. Called for a key only if the window
    /// is zero.
    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        successor: impl AsyncFnOnce() -> Result<Document, E>,
        promoted: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let _ = (retiring, successor);
        promoted().await
    }

    /// Tells whoever listens that this version of the secret is current. Nothing depends on it.
    ///
    /// Without the current document it is told only if a session was kept.
    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, EngineError> {
        let _ = (current, secret, version);
        Ok(Announced::NotHere)
    }

    /// Ends logins and open sessions at once, and tells how many sessions there were.
    ///
    /// `proven` is a session of the current credential, which is not touched. `wanted` fails if the labels are not what
    /// they were: call it when nobody else can change the credential.
    async fn revoke<E: From<EngineError>>(
        &self,
        proven: Self::Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<u64, E> {
        let _ = (proven, what, wanted);
        Err(EngineError::Unable { what: "revoke" }.into())
    }

    /// Whether the service itself makes what follows this document: then createSecret asks it with
    /// [`mint`](Self::mint), and there is nothing to [`propose`](Self::propose) and to [`change`](Self::change).
    fn mints(&self, current: &Document) -> bool {
        let _ = current;
        false
    }

    /// Has the service make the credential, once for each token as far as it can, and makes room for it before.
    ///
    /// Where that takes to delete what no version holds, the first look ends with [`EngineError::LeftOver`]: then the
    /// versions are read again, and it is called once more.
    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, EngineError> {
        let _ = minting;
        Err(EngineError::Unable { what: "mint" })
    }

    /// Ends what was made for this token and is not `stored`.
    ///
    /// `minted` is what this delivery made, if it is another one.
    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
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
    /// The users of all versions with a label; none, if one of them is not known.
    pub held: Option<&'a [String]>,
    /// What was there before `held` was read: only this may go because no version holds it. None at the first look.
    pub seen: Option<&'a [String]>,
    /// Whether clients may still use the previous one, as far as is known.
    pub overlaps: bool,
    /// How long they may use the current one when it is replaced.
    pub overlap: Overlap,
}

/// Whose password is to end, and when.
#[derive(Debug)]
pub struct Retiring<'a> {
    /// Who may do that.
    pub administrator: &'a Document,
    /// Whose it is.
    pub retired: &'a Document,
    /// How long it may be used yet.
    pub window: Duration,
    /// The version that follows it.
    pub version: &'a str,
}

/// How long a step and its parts may take.
///
/// They nest: what is asked while a lock is held, the lease on that lock, the wait of others for it, the step.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All of it.
    pub step: Duration,
    /// TCP, TLS and login together.
    pub connect: Duration,
    /// One statement, the wait for its locks included.
    pub statement: Duration,
}

impl Limits {
    /// What fits into a step: three logins and a change.
    pub fn of(step: Duration) -> Self {
        Self {
            step,
            connect: step / 5,
            statement: step * 2 / 5,
        }
    }

    /// One request to a service, its connection included.
    pub fn request(self) -> Duration {
        self.connect.saturating_mul(2)
    }

    /// How long a lock may be held without a word: then the server ends the transaction.
    pub fn lease(self) -> Duration {
        self.statement * 3 / 4
    }

    /// How long to wait for a lock, which is longer than another delivery may hold it without a word.
    pub fn lock(self) -> Duration {
        self.statement * 7 / 8
    }

    /// How long Secrets Manager may take to answer while a lock is held.
    pub fn fence(self) -> Duration {
        self.statement / 2
    }
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Those who listen were told.
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
