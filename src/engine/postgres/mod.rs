//! PostgreSQL.
//!
//! | file | what |
//! |---|---|
//! | `connect`, `reach` | a login within its deadline, and the TCP connection for it |
//! | `wire` | what server and driver say to each other, read on its way |
//! | `session` | a session, its statements, and what a failed one means |
//! | `errors` | what a failed login means |
//! | `facts`, `pair`, `acts` | what the catalogs say about one role, about a pair, and about the roles that they act as |
//! | `obstacles`, `copied` | which of these facts block a rotation |
//! | `locks` | who holds a lock that a change needs |
//! | `pin` | what a session that changes something is pinned to |
//! | `change` | a transaction that changes a role: pinned, locked, and only if it is wanted |
//! | `instance` | the proof that two sessions are on one running server |
//! | `at_host` | the address where applications log in, if roles are changed elsewhere |
//! | `kept` | sessions that stay open between two steps |
//! | `mutex` | a lock that outlives a panic |
//! | `announce` | notifies listeners of a new version |
//! | `proof` | what testSecret proves beyond a login |
//! | `tls` | the roots, and the proof that the server is the one named |
//! | `doctor`, `copies`, `new_role` | what only rotatectl asks, and the role of a new secret |
//! | `roles`, `parameters` | SQL: quoting, and the statements |
//! | `text` | text of the catalogs that may not be UTF-8 |
//! | `catalogs` | questions to the catalogs |
//! | `administrator` | its session, and what it does to a role |
//! | `single_user` | one role: its password is replaced |
//! | `alternating_users` | two roles that take turns: the other one gets a new password |
//! | `follow` | how the clone follows the base |
//! | `retire`, `revoke` | how the old one of two ends: after its window, or now |

mod acts;
mod administrator;
mod alternating_users;
mod announce;
mod at_host;
mod catalogs;
mod change;
mod connect;
mod copied;
#[cfg(feature = "doctor")]
mod copies;
#[cfg(feature = "doctor")]
mod doctor;
mod errors;
mod facts;
mod follow;
#[cfg(fuzzing)]
pub mod fuzzing;
mod instance;
mod kept;
mod locks;
mod mutex;
#[cfg(feature = "doctor")]
mod new_role;
mod obstacles;
mod pair;
mod parameters;
mod pin;
mod proof;
mod reach;
mod retire;
mod revoke;
mod roles;
mod session;
mod single_user;
mod text;
mod tls;
mod wire;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::SystemTime,
};

pub use kept::Kept;
#[cfg(feature = "doctor")]
pub use new_role::NewRole;
pub use session::Session;
pub use tls::Roots;

use self::{mutex::lock, session::Purpose};
pub use super::Limits;
use super::{
    Disconnect, Ended, Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Revoked,
    Stored, Succession, Whose,
};
use crate::{
    document::{self, Document},
    settings::{PasswordHashing, Settings},
};

/// The PostgreSQL server that a secret names, for one invocation.
#[derive(Debug)]
pub struct Postgres<'a> {
    roots: &'a Roots,
    kept: &'a Kept,
    settings: &'a Settings,
    limits: Limits,
    logins: AtomicU32,
}

impl<'a> Postgres<'a> {
    /// The first login makes the first connection and loads the roots.
    pub fn new(roots: &'a Roots, kept: &'a Kept, settings: &'a Settings, limits: Limits) -> Self {
        Self {
            roots,
            kept,
            settings,
            limits,
            logins: AtomicU32::new(0),
        }
    }
}

impl Postgres<'_> {
    /// Whether the user of a session has an md5 password, and keeps md5.
    fn keeps_md5(&self, session: &Session) -> bool {
        lock(&session.login).md5 && self.settings.hashing != PasswordHashing::Scram
    }

    /// Runs VERIFY_SQL as AWSCURRENT, before anything is changed.
    async fn verify_first(&self, current: &Document) -> Result<(), EngineError> {
        let Some(sql) = self.settings.verify_sql.as_deref() else {
            return Ok(());
        };
        let session = match self.connect(current, Purpose::Application).await {
            Ok(Login::Accepted(session)) => session,
            // when AWSPREVIOUS logged in instead
            Ok(Login::Rejected) => return Ok(()),
            // the same; or the role has no second connection
            Err(error @ (EngineError::LoginForbidden { .. } | EngineError::Refused { .. })) => {
                tracing::warn!(kind = "VerifyUntried", %error, "VERIFY_SQL was not tried as AWSCURRENT first");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match proof::verify(&session, sql).await {
            Err(error) if current.takes_turns() => {
                // AWSCURRENT's user may be broken: then a rotation to the other user is the cure
                tracing::warn!(kind = "VerifyFailed", %error, "VERIFY_SQL fails as AWSCURRENT too");
                Ok(())
            }
            verified => verified,
        }
    }

    /// The server gives one answer for a wrong password, for a missing one, and for one that has ended. Every user who logs in
    /// may read which of them it is, so the other user of the pair does. Then it is an error. If nobody can say, it stays rejected.
    async fn explain_rejection(
        &self,
        rejected: &Document,
        current: &Document,
    ) -> Result<(), EngineError> {
        let user = rejected.username();
        let why = async {
            match self.connect(current, Purpose::Owner).await? {
                Login::Accepted(session) => facts::why_rejected(&session, user).await,
                Login::Rejected => Ok(None),
            }
        };
        match why.await {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(EngineError::RejectedBecause {
                server: rejected.server(),
                user: user.to_owned(),
                why,
            }),
            Err(error) => {
                tracing::warn!(user, %error, "the server rejects the user, and nobody can say why");
                Ok(())
            }
        }
    }
}

/// What only a login has. A document of another engine comes here by mistake only.
fn login_of(document: &Document) -> Result<&document::Login, EngineError> {
    let unable = EngineError::Unable { what: "log in" };
    document.login().ok_or(unable)
}

impl Engine for Postgres<'_> {
    const ENGINES: &'static [&'static str] = &["postgres", "aurora-postgresql"];
    type Session = Session;

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        self.connect(document, Purpose::Owner).await
    }

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        _: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        let (current, password) = (succession.current, succession.password);
        let successor = match current.takes_turns() {
            false => current.with_password(password),
            true => alternating_users::propose(current, password, succession.overlap)?,
        };
        store(&successor).await
    }

    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        let Some(proven) = proven().await? else {
            return Ok(None);
        };
        let session = proven.session;
        proof::is(&session)?;
        self.verify_first(current).await?;
        let administrator = proven.administrator.as_ref();
        match administrator.filter(|_| current.takes_turns()) {
            None => {
                at_host::may_change(self, current, &session).await?;
                single_user::change(self, session, administrator, current, wanted).await
            }
            Some(administrator) => {
                alternating_users::change(self, &session, administrator, current, wanted).await
            }
        }
    }

    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        current: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        let Login::Accepted(session) = self.connect(document, Purpose::Application).await? else {
            if document.takes_turns() {
                self.explain_rejection(document, &current().await?).await?;
            }
            return Ok(Login::Rejected);
        };
        if document.has_rotation_address() && !at_host::knows(self, document).await? {
            return Ok(Login::Rejected);
        }
        let verify_sql = self.settings.verify_sql.as_deref();
        proof::prove(&session, document, verify_sql).await?;
        self.kept.keep_proven(version, session).await;
        Ok(Login::Accepted(()))
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let promotion = match retiring.replaced.takes_turns() {
            true => retire::retire(self, retiring, &read, promote).await?,
            false => promote().await?,
        };
        if promotion == Promotion::Now {
            announce::announce(self, retiring, read).await;
        }
        Ok(promotion)
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        proven: Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        match what {
            // the password was already replaced: it does not change again
            Revoked::SessionsBegunBefore(begun) => Ok(single_user::revoke(&proven, begun).await?),
            Revoked::Previous {
                administrator,
                previous,
            } => {
                let user = previous.username();
                revoke::revoke(self, &proven, administrator, user, wanted).await
            }
        }
    }
}

impl Disconnect for Postgres<'_> {
    fn begin(&self, secret: &str) {
        self.kept.only_for(secret);
    }

    /// Between two invocations the environment is frozen: a session that was only dropped would stay open at the server until
    /// the next one.
    async fn disconnect(&self) -> u32 {
        self.kept.disconnect().await;
        self.logins.load(Ordering::Relaxed)
    }
}
