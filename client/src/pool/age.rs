//! Which connections are of an older version, in pools that know when one was made and not with what.

use std::time::Duration;

use crate::slot::Change;

/// A login that began before a change may end after it, but not much later.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

impl Change {
    /// Whether a connection of this age belongs to a version before this one, and has to leave its pool.
    ///
    /// Those made within a second after the change are looked at once more when that second is over: one of them may
    /// have begun its login before.
    pub(super) fn outdates(&self, age: Duration) -> bool {
        self.at.is_some_and(|at| {
            let since = at.elapsed();
            age > since || (since >= SETTLED && age > since - SETTLED)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_leaves_if_it_is_older_than_the_change_and_once_if_it_was_made_in_the_second_after()
     {
        let first = Change {
            version: "1".into(),
            at: None,
        };
        assert!(!first.outdates(Duration::from_secs(100)));

        let at = Instant::now();
        let change = Change {
            version: "2".into(),
            at: Some(at),
        };
        let made_after =
            |offset| change.outdates(at.elapsed().saturating_sub(Duration::from_millis(offset)));
        advance(Duration::from_millis(500)).await;
        assert!(
            change.outdates(Duration::from_millis(501)),
            "made before the change"
        );
        assert!(!made_after(10), "used while the second lasts");
        advance(Duration::from_millis(500)).await;
        assert!(
            made_after(10) && made_after(999),
            "its login may have begun before the change"
        );
        assert!(!made_after(1000));
    }
}
