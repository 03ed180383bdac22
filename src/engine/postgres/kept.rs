//! Sessions kept open from one step to the next.
//!
//! The administrator's is needed in setSecret and in finishSecret, the new credential's in testSecret and, to tell
//! listeners, in finishSecret: two invocations of the same environment each, as a rule. Keeping them spares the
//! rotation two logins. A session is taken when it is used, replaced by the next rotation's, and the server ends it
//! where finishSecret never comes (`idle_session_timeout`, from PostgreSQL 14 on). Nothing depends on it: an
//! environment that has none, or gets no answer from it, logs in. None serves a step of another secret, whatever that one says.

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
    /// As the step that kept something named it.
    secret: Mutex<String>,
    administrator: Mutex<Option<(Service, Session)>>,
    /// The session of the version with this id.
    proven: Mutex<Option<(String, Session)>>,
    /// The connections of sessions that are over, until they have said goodbye to the server.
    pub(super) closing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Whose session it is, and for whom.
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
    /// Lets go of what was kept for another secret: it has not proven itself.
    pub(super) fn only_for(&self, secret: &str) {
        let before = mem::replace(&mut *lock(&self.secret), secret.to_owned());
        if before != secret {
            replace(&self.administrator, None);
            replace(&self.proven, None);
        }
    }

    /// Keeps the session until the user is to be retired, if the server ends it where that never comes.
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

    /// Keeps the session of a version that was proven, likewise.
    pub(super) async fn keep_proven(&self, version: &str, session: Session) {
        // a standby takes no notification
        if !session.standby && ends_when_idle(&session).await {
            replace(&self.proven, Some((version.to_owned(), session)));
        }
    }

    /// That session, likewise.
    pub(super) async fn take_proven(&self, version: &str) -> Option<Session> {
        let (kept, session) = replace(&self.proven, None)?;
        (kept == version && session.answers().await).then_some(session)
    }

    /// Waits until what is not kept has said goodbye to the server, a second at most: a server that does not take a
    /// goodbye must not fail a step that is done.
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

/// A pooler's connection is other people's too: nothing is set on it.
async fn ends_when_idle(session: &Session) -> bool {
    let doing = Doing::new("limit its own session");
    !session.pooled && session.run(roles::END_WHEN_IDLE, doing).await.is_ok()
}

/// What was there leaves the lock before it is dropped, for its end takes another one.
fn replace<T>(place: &Mutex<Option<T>>, with: Option<T>) -> Option<T> {
    mem::replace(&mut *lock(place), with)
}
