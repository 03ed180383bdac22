//! Room on a server that has none for one connection more.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Driver, SeqCst, Shared, Versioned, lock};

/// How long the server has to end the session of a connection that was closed for a new one.
const TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// The room that one login needs.
#[derive(Default)]
pub(super) struct Room {
    /// A connection was closed for it.
    pub(super) has_left: bool,
    tries: u32,
}

impl Room {
    /// Closes an idle connection of this pool, unless one was closed, and returns whether another try makes sense.
    pub(super) async fn is_made_by<D: Driver>(&mut self, pool: Option<&D>) -> bool {
        if let Some(pool) = pool.filter(|_| !self.has_left) {
            self.has_left = pool.let_one_go().await;
        }
        if !self.has_left || self.tries == TRIES {
            return false;
        }
        self.tries += 1;
        // the server may not have ended its session yet
        sleep(BETWEEN_TRIES).await;
        true
    }
}

impl<D: Driver> Shared<D> {
    /// Whether a request that the server has no room for is tried again: the connections of the other version take that room.
    pub(super) async fn has_room(&self, room: &mut Room, serving: &Arc<Versioned<D>>) -> bool {
        self.one_for_one.store(true, SeqCst);
        self.hurry(serving);
        // those that filled the next pool come back to it now
        room.has_left |= !Arc::ptr_eq(serving, &self.serving.borrow());
        let leaving = lock(&self.leaving).upgrade();
        let leaves = leaving.as_ref().map(|leaving| &leaving.old.pool);
        room.is_made_by(leaves).await
    }
}
