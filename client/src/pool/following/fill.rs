//! Fills the next version's pool while the old one serves.

use std::{error::Error as StdError, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use backon::BackoffBuilder;
use futures_util::FutureExt;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{Driver, SeqCst, Shared, Versioned, has_no_room, room::Room};
use crate::{
    LogInError,
    refresh::{LONGEST_DELAY, backoff},
    slot::Change,
};

/// A login of a fill that takes longer hangs. The fill would hang with it, and keep its places.
const LONGEST_LOGIN: Duration = Duration::from_secs(30);

const PANICKED: &str = "a callback of this pool's panicked: see its message on standard error";

/// A connection that does not come back within this time is in use, or broken.
const TAKEN_BACK: Duration = Duration::from_secs(1);

impl<D: Driver> Shared<D> {
    pub(super) async fn follow(self: Arc<Self>, mut changes: watch::Receiver<Change>) {
        let mut serving = self.serving.subscribe();
        while changes.changed().await.is_ok() {
            let mut delays = backoff().build();
            let mut wait = self.settings.jitter.mul_f64(fastrand::f64());
            loop {
                let version = changes.borrow_and_update().version.clone();
                if serving.borrow_and_update().version == version {
                    // the pool of a change that was reverted before the pool was full
                    self.drop_next();
                    break;
                }
                // checked again above: another pool may be next by now
                let filled = async {
                    sleep(wait).await;
                    // a panic in a user's callback must not stop later changes
                    AssertUnwindSafe(self.fill()).catch_unwind().await
                };
                let filled = tokio::select! {
                    filled = filled => filled.unwrap_or_else(|_| Err(PANICKED.into())),
                    // another version, or a rejected login was faster
                    Ok(()) = changes.changed() => continue,
                    Ok(()) = serving.changed() => continue,
                };
                wait = delays.next().unwrap_or(LONGEST_DELAY);
                if let Err(error) = filled {
                    tracing::warn!(
                        secret = self.secret.id(), version = %version, %error, again_in = ?wait,
                        "a pool has no connection of the next version yet: the old one still serves"
                    );
                }
            }
        }
    }

    /// Fills the next pool with as many connections as the serving one has, and then makes it serve.
    async fn fill(&self) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.one_for_one.store(self.settings.one_for_one, SeqCst);
        let old = self.serving.borrow().clone();
        let wanted = old.pool.holds().all;
        if wanted == 0 {
            let credential = self.secret.usable().await?;
            let next = self.pool_of(&credential).map_err(LogInError::Failed)?;
            self.put_in_place(&next, Duration::ZERO);
            return Ok(());
        }
        let first = self.one_more(&old, || self.log_in(None));
        let Some((next, first)) = self.within_time(first).await? else {
            return Err("the server has no room, and all connections are in use".into());
        };
        // held together, so that each is a different one
        let mut held = vec![first];
        // the next pool may have a smaller maximum
        let enough = || (wanted.max(old.pool.holds().all)).min(next.pool.holds().at_most);
        while held.len() < enough() {
            let login = async || next.pool.log_in().await.map_err(LogInError::Failed);
            match self.within_time(self.one_more(&old, login)).await? {
                Some(one_more) => held.push(one_more),
                // all connections of the old pool are in use
                None => break,
            }
        }
        let made = held.len();
        drop(held);
        // sqlx takes a connection back in its own task
        let idle = async {
            while next.pool.holds().idle < made {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(TAKEN_BACK, idle).await;
        // the server has no room for both
        let over = match self.one_for_one.load(SeqCst) {
            true => Duration::ZERO,
            false => self.settings.drain,
        };
        self.put_in_place(&next, over);
        Ok(())
    }

    /// A login that hangs is dropped with its pool, where it would keep a place.
    async fn within_time<T>(
        &self,
        login: impl Future<Output = Result<T, LogInError<D::Error>>>,
    ) -> Result<T, Box<dyn StdError + Send + Sync>> {
        let limit = LONGEST_LOGIN.saturating_add(self.secret.shared.lag);
        match timeout(limit, login).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                self.drop_next();
                Err(format!("a login hangs for {limit:?}").into())
            }
        }
    }

    /// `None` if the server has no room and no old connection can be closed.
    async fn one_more<T, F>(
        &self,
        old: &Versioned<D>,
        login: impl Fn() -> F,
    ) -> Result<Option<T>, LogInError<D::Error>>
    where
        F: Future<Output = Result<T, LogInError<D::Error>>>,
    {
        let mut room = Room::default();
        if self.one_for_one.load(SeqCst) {
            room.has_left = old.pool.let_one_go().await;
        }
        loop {
            match login().await {
                Err(LogInError::Failed(error)) if has_no_room::<D>(&error) => {
                    self.one_for_one.store(true, SeqCst);
                    if !room.is_made_by(Some(&old.pool)).await {
                        return Ok(None);
                    }
                }
                answer => return answer.map(Some),
            }
        }
    }
}
