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

use secrecy::SecretString;

pub use kept::Kept;
#[cfg(feature = "doctor")]
pub use rights::Missing;
pub use session::Session;
pub use tls::Roots;

use self::session::Purpose;
pub use super::Limits;
use super::{Announced, Engine, EngineError, Login, Retiring, Revoked};
use crate::{
    document::{Document, Overlap},
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

impl Engine for Postgres<'_> {
    const ENGINES: &'static [&'static str] = &["postgres", "aurora-postgresql"];
    type Session = Session;

    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, EngineError> {
        match current.administrator() {
            None => Ok(single_user::propose(current, password)),
            Some(_) => alternating_users::propose(current, password, overlap),
        }
    }

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        self.connect(document, Purpose::Owner).await
    }

    async fn first_log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        match self.connect(document, Purpose::Application).await? {
            Login::Accepted(session) if document.has_rotation_address() => {
                at_host::known(self, document, session).await
            }
            login => Ok(login),
        }
    }

    async fn prove(
        &self,
        session: Session,
        document: &Document,
        version: &str,
    ) -> Result<(), EngineError> {
        let verify_sql = self.settings.verify_sql.as_deref();
        proof::prove(&session, document, verify_sql).await?;
        self.kept.keep_proven(version, session).await;
        Ok(())
    }

    async fn change<E: From<EngineError>>(
        &self,
        proven: Session,
        administrator: Option<&Document>,
        current: &Document,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<bool, E> {
        match administrator {
            None => {
                at_host::may_change(self, current, &proven).await?;
                single_user::change(&proven, self.settings.hashing, wanted).await
            }
            Some(administrator) => {
                alternating_users::change(self, &proven, administrator, current, wanted).await
            }
        }
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        successor: impl AsyncFnOnce() -> Result<Document, E>,
        promoted: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        alternating_users::retire(self, retiring, successor, promoted).await
    }

    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, EngineError> {
        announce::announce(self, current, secret, version).await
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

    /// Between two invocations the environment is frozen: a session that was only dropped would stay open for the
    /// server until then.
    async fn disconnect(&self) -> u32 {
        self.kept.disconnect().await;
        self.logins.load(Ordering::Relaxed)
    }
}
