//! The administrator's session, kept open from setSecret to finishSecret.
//!
//! Both need the administrator, in two invocations of the same environment as a rule. Keeping the session spares
//! the rotation a login. It is taken when it is used, replaced by the next rotation's, and the server ends it where
//! finishSecret never comes (`idle_session_timeout`, from PostgreSQL 14 on). Nothing depends on it: an environment
//! that has none, or finds it closed, logs in.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

use super::Session;
use crate::document::Document;

/// What outlives an invocation.
#[derive(Debug, Default)]
pub struct Kept {
    session: Mutex<Option<(Purpose, Session)>>,
    pub(super) connections: Mutex<JoinSet<()>>,
}

/// Whose session it is, and for whom.
#[derive(Debug, PartialEq, Eq)]
struct Purpose {
    host: String,
    port: u16,
    administrator: String,
    retired: String,
}

impl Purpose {
    fn of(administrator: &Document, retired: &Document) -> Self {
        Self {
            host: administrator.host().to_owned(),
            port: administrator.port(),
            administrator: administrator.username().to_owned(),
            retired: retired.username().to_owned(),
        }
    }
}

impl Kept {
    /// Keeps the session until the user is to be retired.
    pub(super) fn keep(&self, administrator: &Document, retired: &Document, session: Session) {
        *self.lock() = Some((Purpose::of(administrator, retired), session));
    }

    /// The session that was kept for this, if the server has not closed it.
    pub(super) fn take(&self, administrator: &Document, retired: &Document) -> Option<Session> {
        let (purpose, session) = self.lock().take()?;
        let serves = purpose == Purpose::of(administrator, retired) && !session.client.is_closed();
        serves.then_some(session)
    }

    /// Waits until what is not kept any more has said goodbye to the server.
    pub(super) async fn disconnect(&self) {
        if self.lock().is_none() {
            drain(&self.connections).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Purpose, Session)>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until these connections have ended, a second at most: a server that does not take a goodbye must not fail
/// a step that is done.
pub(super) async fn drain(connections: &Mutex<JoinSet<()>>) {
    let mut connections =
        std::mem::take(&mut *connections.lock().unwrap_or_else(PoisonError::into_inner));
    let _ = timeout(Duration::from_secs(1), async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}
