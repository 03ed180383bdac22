//! PostgreSQL.
//!
//! | file | what |
//! |---|---|
//! | `connect` | a login within its deadline, and what the server's answer means |
//! | `kept` | sessions between two steps |
//! | `announce` | tells listeners that there is a new version |
//! | `proof` | what testSecret proves beyond a login |
//! | `tls` | the roots, and the proof that the server is the one named |
//! | `rights` | what the administrator, or the role itself, may not do |
//! | `roles` | SQL: quoting, the statements, and the questions to the catalogs |
//! | `single_user` | one role, its password is replaced |
//! | `alternating_users` | two roles that take turns |

mod alternating_users;
mod announce;
mod connect;
mod kept;
mod proof;
#[cfg(feature = "doctor")]
mod rights;
mod roles;
mod single_user;
mod tls;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use secrecy::SecretString;

pub use connect::Session;
pub use kept::Kept;
#[cfg(feature = "doctor")]
pub use rights::Missing;
pub use tls::Roots;

pub use super::Limits;
use super::{Announced, Engine, EngineError, Login, Revoked};
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
        self.connect(document).await
    }

    async fn prove(
        &self,
        session: Session,
        document: &Document,
        version: &str,
    ) -> Result<(), EngineError> {
        let verify_sql = self.settings.verify_sql.as_deref();
        proof::prove(&session, document, verify_sql, self.limits).await?;
        announce::keep(self, session, version, self.limits).await;
        Ok(())
    }

    async fn change(
        &self,
        proven: Session,
        administrator: Option<&Document>,
        current: &Document,
        pending: &Document,
    ) -> Result<(), EngineError> {
        match administrator {
            None => single_user::change(&proven, pending, self.settings.hashing, self.limits).await,
            Some(administrator) => {
                alternating_users::change(self, &proven, administrator, current, pending).await
            }
        }
    }

    async fn retire(
        &self,
        administrator: &Document,
        retired: &Document,
        window: Duration,
    ) -> Result<(), EngineError> {
        alternating_users::retire(self, administrator, retired, window).await
    }

    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, EngineError> {
        announce::announce(self, current, secret, version).await
    }

    async fn revoke(&self, proven: Session, what: Revoked<'_>) -> Result<u64, EngineError> {
        match what {
            Revoked::SessionsBegunBefore(begun) => {
                single_user::revoke(&proven, begun, self.limits).await
            }
            Revoked::Previous {
                administrator,
                previous,
            } => {
                let user = previous.username();
                alternating_users::revoke(self, &proven, administrator, user).await
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
