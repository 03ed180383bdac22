//! PostgreSQL.
//!
//! | file | what |
//! |---|---|
//! | `connect` | a login within its deadline, and what the server's answer means |
//! | `tls` | the roots, and the proof that the server is the one named |
//! | `roles` | SQL: quoting, and the statement that changes a password |
//! | `single_user` | the strategy: one role, its password is replaced |

mod connect;
mod roles;
mod single_user;
mod tls;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;
use tokio::task::JoinSet;

pub use connect::Session;
pub use tls::Roots;

use super::{Login, Target, TargetError};
use crate::{document::Document, settings::PasswordHashing};

/// How long one connection and one statement may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// TCP, TLS and login together.
    pub connect: Duration,
    /// One statement, the wait for its locks included.
    pub statement: Duration,
}

/// The PostgreSQL server that a secret names, for the time of one invocation.
#[derive(Debug)]
pub struct Postgres<'a> {
    roots: &'a Roots,
    hashing: PasswordHashing,
    limits: Limits,
    logins: AtomicU32,
    connections: Mutex<JoinSet<()>>,
}

impl<'a> Postgres<'a> {
    /// Nothing is connected, and no root is loaded, before the first login.
    pub fn new(roots: &'a Roots, hashing: PasswordHashing, limits: Limits) -> Self {
        Self {
            roots,
            hashing,
            limits,
            logins: AtomicU32::new(0),
            connections: Mutex::default(),
        }
    }

    /// How many logins were tried.
    pub fn logins(&self) -> u32 {
        self.logins.load(Ordering::Relaxed)
    }

    /// Waits until the closed sessions have said goodbye to the server.
    ///
    /// Between two invocations the environment is frozen: a session that was only dropped would stay open for
    /// the server until then.
    pub async fn disconnect(&self) {
        let mut connections = std::mem::take(
            &mut *self
                .connections
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        // a server that does not take a goodbye must not fail a step that is done
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            while connections.join_next().await.is_some() {}
        })
        .await;
    }
}

impl Target for Postgres<'_> {
    type Session = Session;

    fn propose(&self, current: &Document, password: SecretString) -> Document {
        single_user::propose(current, password)
    }

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, TargetError> {
        self.logins.fetch_add(1, Ordering::Relaxed);
        self.connect(document).await
    }

    async fn change(&self, session: Session, pending: &Document) -> Result<(), TargetError> {
        single_user::change(&session, pending, self.hashing, self.limits).await
    }
}
