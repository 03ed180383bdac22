//! finishSecret: make the new version AWSCURRENT, and bound the old user.

use std::sync::Arc;

use super::{Outcome, Rotation, document, versions};
use crate::{
    document::{Document, Overlap},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, StoreError, Which},
    target::Target,
};

impl<S: SecretStore, T: Target> Rotation<'_, S, T> {
    pub(super) async fn finish(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let versions = self.store.versions(&event.secret).await?;
        let standing = versions::standing(&versions, &event.token)?;
        let promoted = match standing {
            versions::Standing::Current => false,
            versions::Standing::Pending { current } => self.promote(event, current).await?,
        };
        // a late repetition, and the next rotation is under way: the old user's turn may have come again
        if !promoted && versions::at_rest(&versions).is_err() {
            return Ok(Outcome::AlreadyCurrent);
        }
        // after the promotion, never before: nothing ends whose successor is not current. If this fails the
        // promotion stands, and the step's repetition comes here again.
        self.bound_the_old_user(event).await?;
        Ok(if promoted {
            Outcome::Promoted
        } else {
            Outcome::AlreadyCurrent
        })
    }

    /// False if a second delivery of this step was faster.
    async fn promote(&self, event: &RotationEvent, current: &str) -> Result<bool, Error> {
        // AWSPENDING is left where it is: the service takes it off, or not, and both end states are legal
        match self
            .store
            .promote(&event.secret, &event.token, current)
            .await
        {
            Ok(()) => Ok(true),
            // the label was elsewhere already: moved by a second delivery, or by somebody else
            Err(refused @ StoreError::Refused { .. }) => {
                let versions = self.store.versions(&event.secret).await?;
                match versions::standing(&versions, &event.token)? {
                    versions::Standing::Current => Ok(false),
                    versions::Standing::Pending { .. } => Err(refused.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Under alternating users, has the old one's password end with the overlap window.
    async fn bound_the_old_user(&self, event: &RotationEvent) -> Result<(), Error> {
        let Some(retired) = self.retired(event).await? else {
            return Ok(());
        };
        if let (Overlap::Bounded(window), Some(administrator)) =
            (self.overlap(&retired), self.administrator(&retired).await?)
        {
            self.target.retire(&administrator, &retired, window).await?;
        }
        Ok(())
    }

    /// The document that AWSCURRENT had before, if it is about another user than the one that is current now.
    async fn retired(&self, event: &RotationEvent) -> Result<Option<Arc<Document>>, Error> {
        if let Some(replaced) = self.memory.replaced_by(&event.token) {
            return Ok(Some(replaced));
        }
        let (current, previous) = tokio::join!(
            self.store.read(&event.secret, Which::Current),
            self.store.read(&event.secret, Which::Previous),
        );
        let (Some(current), Some(previous)) = (current?, previous?) else {
            return Ok(None);
        };
        let current = document(&current, Which::Current)?;
        let previous = document(&previous, Which::Previous)?;
        // the same user twice (a single user's secret, or one that was written by hand): it must not be ended
        Ok(Some(previous)
            .filter(|previous| previous.username() != current.username())
            .map(Arc::new))
    }
}
