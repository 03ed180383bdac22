//! Sessions kept open from one step to the next.
//!
//! setSecret and finishSecret need the administrator's session; testSecret and, to notify listeners, finishSecret need the new
//! credential's. Usually one environment runs both steps of a pair, so keeping the sessions saves a rotation two logins. A
//! session is removed when it is used, and the next rotation's replaces it. If finishSecret never comes, the server ends it
//! (`idle_session_timeout`, from PostgreSQL 14 on). Nothing depends on it: an environment without a session, or without an
//! answer from it, logs in. No session serves a step of another secret.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};

use super::{Session, errors::Doing, mutex::lock, roles};
use crate::document::Document;

/// What outlives an invocation.
#[derive(Debug, Default)]
pub struct Kept {
    /// The secret of the step that kept something, as that step named it.
    secret: Mutex<String>,
    administrator: Mutex<Option<(Service, Session)>>,
    /// The session of the version with this id.
    proven: Mutex<Option<(String, Session)>>,
    /// The connections of closed sessions, until they have said goodbye to the server.
    pub(super) closing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// The server and the user of the session, and the user that it will retire.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    host: String,
    port: u16,
    administrator: String,
    retired: String,
}

impl Service {
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
    /// Drops what was kept for another secret: this secret has not proven itself.
    pub(super) fn only_for(&self, secret: &str) {
        let before = mem::replace(&mut *lock(&self.secret), secret.to_owned());
        if before != secret {
            replace(&self.administrator, None);
            replace(&self.proven, None);
        }
    }

    /// Keeps the session until the user is retired, if the server would end it without that.
    pub(super) async fn keep(
        &self,
        administrator: &Document,
        retired: &Document,
        session: Session,
    ) {
        if ends_when_idle(&session).await {
            let service = Service::of(administrator, retired);
            replace(&self.administrator, Some((service, session)));
        }
    }

    /// The session that was kept for this, if the server still answers.
    pub(super) async fn take(
        &self,
        administrator: &Document,
        retired: &Document,
    ) -> Option<Session> {
        let (service, session) = replace(&self.administrator, None)?;
        let serves = service == Service::of(administrator, retired) && session.answers().await;
        serves.then_some(session)
    }

    /// Keeps the session of a proven version, on the same condition.
    pub(super) async fn keep_proven(&self, version: &str, session: Session) {
        // a standby takes no notification
        if !session.standby && ends_when_idle(&session).await {
            replace(&self.proven, Some((version.to_owned(), session)));
        }
    }

    /// Takes that session, if the server still answers.
    pub(super) async fn take_proven(&self, version: &str) -> Option<Session> {
        let (kept, session) = replace(&self.proven, None)?;
        (kept == version && session.answers().await).then_some(session)
    }

    /// Waits, for a second at most, until the closed sessions have said goodbye to the server: a server that does not accept a
    /// goodbye must not fail a finished step.
    pub(super) async fn disconnect(&self) {
        let closing = mem::take(&mut *lock(&self.closing));
        let _ = timeout(Duration::from_secs(1), async {
            for connection in closing {
                let _ = connection.await;
            }
        })
        .await;
    }
}

/// Other clients use a pooler's connection too: nothing is set on it.
async fn ends_when_idle(session: &Session) -> bool {
    let doing = Doing::new("limit its own session");
    !session.pooled && session.run(roles::END_WHEN_IDLE, doing).await.is_ok()
}

/// The old value leaves the lock before it is dropped, because its drop takes another lock.
fn replace<T>(place: &Mutex<Option<T>>, with: Option<T>) -> Option<T> {
    mem::replace(&mut *lock(place), with)
}
