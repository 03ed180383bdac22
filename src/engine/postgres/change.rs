//! A change of a role: one transaction, pinned, locked, and only if it is still wanted.
//!
//! A delivery may be delayed anywhere, and continue when a later rotation has made its work wrong. So it takes the lock first;
//! while it holds the lock it asks Secrets Manager whether the work is still wanted; then it sends the change and COMMIT in one
//! message. If it is delayed in between for longer than the lease, the server has ended the transaction.

use tokio::time::timeout;

use super::{Session, administrator::Altering, errors::Doing, pin, roles};
use crate::{document::Document, engine::EngineError};

/// An open transaction that holds the lock of a pair of roles.
#[derive(Debug)]
pub(super) struct Change<'a> {
    session: &'a Session,
}

impl<'a> Change<'a> {
    /// Begins, and waits until no other session changes a credential of the pair that `base` names.
    pub(super) async fn begin(session: &'a Session, base: &str) -> Result<Self, EngineError> {
        session.takes_changes()?;
        let sql = format!(
            "{}; SELECT pg_catalog.pg_advisory_xact_lock(\
             pg_catalog.hashtext('secret-rotation'), pg_catalog.hashtext({}))",
            pin::begin(session),
            roles::text(base)
        );
        let action = format!("lock {base}");
        session.run(&sql, Doing::new(&action)).await?;
        Ok(Self { session })
    }

    /// The answer of Secrets Manager, asked while the lock is held.
    pub(super) async fn asked<W, E: From<EngineError>>(
        &self,
        wanted: impl AsyncFnOnce() -> Result<W, E>,
    ) -> Result<W, E> {
        let limit = self.session.limits.fence();
        timeout(limit, wanted()).await.unwrap_or_else(|_| {
            Err(EngineError::Unasked {
                server: self.session.server.clone(),
                seconds: limit.as_secs_f32(),
            }
            .into())
        })
    }

    /// The pending document, if it is still wanted and names this user; otherwise nothing was changed.
    pub(super) async fn pending<E: From<EngineError>>(
        self,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
        expected: &str,
    ) -> Result<Option<(Self, Document)>, E> {
        let Some(pending) = self.asked(wanted).await? else {
            self.roll_back().await?;
            return Ok(None);
        };
        match pending.username() == expected {
            true => Ok(Some((self, pending))),
            false => Err(EngineError::AnotherUser {
                label: "AWSPENDING",
                user: pending.username().to_owned(),
                expected: expected.to_owned(),
            }
            .into()),
        }
    }

    /// A statement before the last one, with the same rights: a missing right shows before Secrets Manager is asked.
    pub(super) async fn run(&self, sql: &str, doing: Doing<'_>) -> Result<(), EngineError> {
        self.session.run(sql, doing).await
    }

    /// A role's password no longer ends (VALID UNTIL).
    pub(super) async fn lift_end(&self, role: &str) -> Result<(), EngineError> {
        let altering = Altering::new(self.session, "alter", role);
        altering.run(&roles::no_end(role)).await
    }

    /// The last statement and COMMIT, in one message.
    pub(super) async fn commit(self, sql: &str, doing: Doing<'_>) -> Result<(), EngineError> {
        let sql = zeroize::Zeroizing::new(format!("{sql}; COMMIT"));
        self.session.run(&sql, doing).await
    }

    /// Commits what was done.
    pub(super) async fn keep(self) -> Result<(), EngineError> {
        self.session.run("COMMIT", Doing::new("commit")).await
    }

    /// Changes nothing.
    pub(super) async fn roll_back(self) -> Result<(), EngineError> {
        let doing = Doing::new("roll back");
        self.session.run("ROLLBACK", doing).await
    }
}
