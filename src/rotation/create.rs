//! createSecret: let the engine make the new credential, and store it as AWSPENDING.

use std::cell::Cell;

use rand::TryCryptoRng;

use super::{
    Outcome, Rotation, document,
    versions::{self, Standing},
    while_reads_lag,
};
use crate::{
    document::Document,
    engine::{Engine, Stored, Succession},
    error::Error,
    event::RotationEvent,
    store::{Form, SecretStore, Which, Written},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn create(
        &self,
        rng: &mut impl TryCryptoRng,
        event: &RotationEvent,
    ) -> Result<Outcome, Error> {
        while_reads_lag(async || self.create_once(rng, event).await).await
    }

    async fn create_once(
        &self,
        rng: &mut impl TryCryptoRng,
        event: &RotationEvent,
    ) -> Result<Outcome, Error> {
        let (versions, current) = tokio::join!(
            self.store.versions(&event.secret),
            self.store.read(&event.secret, Which::Current)
        );
        let versions = versions?;
        if let Standing::Current = versions::standing(&versions, &event.token)? {
            return Ok(Outcome::AlreadyCurrent);
        }
        let version = current?.ok_or(versions::Refusal::NoCurrentVersion)?;
        versions::up_to_date(&versions, Which::Current, &version.id)?;
        let current = document::<T>(&version, Which::Current)?;

        if !current.ignored().is_empty() {
            tracing::warn!(
                keys = ?current.ignored(),
                "the document has keys with this function's names and other values: single user does not use them, so they are ignored"
            );
        }
        let succession = Succession {
            secret: &event.secret,
            token: &event.token,
            current: &current,
            password: self.policy.generate(rng)?,
            overlap: self.overlap(&current),
        };
        // a retry reads the labels again
        let first = Cell::new(Some(versions));
        let known = async || {
            let versions = match first.take() {
                Some(versions) => versions,
                None => self.store.versions(&event.secret).await?,
            };
            self.known(event, &version, &current, &versions).await
        };
        let store = async |next: &Document| {
            self.store_pending(event, &current, next, version.form)
                .await
        };
        let stored = self.engine.successor(succession, known, store).await?;
        self.memory.keep(event, &current, version.created);
        Ok(match stored {
            Stored::Now => Outcome::Created,
            Stored::Before(_) => Outcome::AlreadyCreated,
            Stored::Over => Outcome::AlreadyCurrent,
        })
    }

    /// Stores the document of the token's version. A document that an earlier delivery stored stays, because the database may
    /// have it already, and the new one is discarded. Writing without a read first saves the usual rotation a call.
    async fn store_pending(
        &self,
        event: &RotationEvent,
        current: &Document,
        next: &Document,
        form: Form,
    ) -> Result<Stored, Error> {
        let json = next.to_json();
        let (token, rotation_token) = (&event.token, event.rotation_token.as_ref());
        let write = self
            .store
            .write_pending(&event.secret, token, rotation_token, &json, form);
        Ok(match write.await? {
            Written::Stored => Stored::Now,
            Written::Conflict => match self.staged(event, current).await? {
                Some(staged) => Stored::Before(Box::new(staged)),
                None => Stored::Over,
            },
        })
    }
}
