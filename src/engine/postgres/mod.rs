//! PostgreSQL.
//!
//! | file | what |
//! |---|---|
//! | `connect` | a login within its deadline |
//! | `wire` | what the server asks at a login, read on its way to the driver |
//! | `session` | a session, its statements, and what a failed one means |
//! | `errors` | what a failed login means |
//! | `pin` | what a session that changes something is pinned to |
//! | `change` | a transaction that changes a role: pinned, locked, and only if it is wanted |
//! | `instance` | the proof that two sessions are on one running server |
//! | `at_host` | the address where applications log in, if roles are changed elsewhere |
//! | `kept` | sessions between two steps |
//! | `mutex` | a lock that outlives a panic |
//! | `announce` | tells listeners that there is a new version |
//! | `proof` | what testSecret proves beyond a login |
//! | `tls` | the roots, and the proof that the server is the one named |
//! | `rights` | what the administrator, or the role itself, may not do |
//! | `roles` | SQL: quoting, the statements, and the questions to the catalogs |
//! | `single_user` | one role, its password is replaced |
//! | `alternating_users` | two roles that take turns |

mod alternating_users;
mod announce;
mod at_host;
mod change;
mod connect;
mod errors;
mod instance;
mod kept;
mod mutex;
mod pin;
mod proof;
#[cfg(feature = "doctor")]
mod rights;
mod roles;
mod session;
mod single_user;
mod tls;
mod wire;

use std::sync::atomic::{AtomicU32, Ordering};

pub use kept::Kept;
#[cfg(feature = "doctor")]
pub use rights::Missing;
pub use session::Session;
pub use tls::Roots;

use self::session::Purpose;
pub use super::Limits;
use super::{
    Disconnect, Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Revoked, Stored,
    Succession, Whose,
};
use crate::{
    document::{self, Document},
    settings::Settings,
};

/// The PostgreSQL server that a secret names, for the time of one invocation.
#[derive(Debug)]
pub struct Postgres<'a> {
    roots: &'a Roots,
    kept: &'a Kept,
    settings: &'a Settings,
    limits: Limits,
    logins: AtomicU32,
}

impl<'a> Postgres<'a> {
    /// Nothing is connected, and no root is loaded, before the first login.
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

/// What only a login has. Another engine's document comes here by mistake only.
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
    ) -> Result<(), E> {
        let Some(proven) = proven().await? else {
            return Ok(());
        };
        let session = proven.session;
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

    async fn prove(&self, document: &Document, version: &str) -> Result<Login<()>, EngineError> {
        let Login::Accepted(session) = self.connect(document, Purpose::Application).await? else {
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
        let promotion = match retiring.window {
            Some(window) => {
                alternating_users::retire(self, retiring, window, &read, promote).await?
            }
            None => promote().await?,
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
    ) -> Result<u64, E> {
        match what {
            // the password was replaced before: nothing of it is changed
            Revoked::SessionsBegunBefore(begun) => Ok(single_user::revoke(&proven, begun).await?),
            Revoked::Previous {
                administrator,
                previous,
            } => {
                let user = previous.username();
                alternating_users::revoke(self, &proven, administrator, user, wanted).await
            }
        }
    }
}

impl Disconnect for Postgres<'_> {
    /// Between two invocations the environment is frozen: a session that was only dropped would stay open for the
    /// server until then.
    async fn disconnect(&self) -> u32 {
        self.kept.disconnect().await;
        self.logins.load(Ordering::Relaxed)
    }
}
