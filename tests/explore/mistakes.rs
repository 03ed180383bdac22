//! Mistakes that a person could make in the steps, each put in by a layer between them and the world.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use secret_rotation::{
    document::{Document, ENGINES},
    engine::{
        Ended, Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Revoked, Stored,
        Succession, Whose,
    },
    store::{Form, SecretStore, StoreError, Version, Versions, Which, Written},
};

use crate::{
    api_key::Minting,
    calls::{Call, Credential, Kind, Start, Write},
    line::{Line, Strategy, number},
    postgres::Session,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// PutSecretValue without VersionStages, which promotes at once.
    PutsWithoutStages,
    /// A retry's password takes the place of the one that is stored.
    Overwrites,
    /// "It has another value" is read as "stored".
    ConflictIsStored,
    /// The database first, then the store.
    StoresLast,
    /// An absent version is an error.
    AbsentIsAnError,
    /// AWSCURRENT is moved without a check of where it is.
    MovesFromAnywhere,
    /// A lost answer to the promotion is read as a success.
    LostPromotionIsDone,
    /// setSecret promotes, and testSecret comes too late.
    PromotesInSet,
    /// The old user is bounded before the new one is current.
    BoundsBeforePromotion,
    /// A failed setSecret cleans up after itself: it takes AWSPENDING off.
    CleansUp,
    /// setSecret changes nothing.
    ChangesNothing,
    /// The transaction is not committed.
    ForgetsCommit,
    /// setSecret makes a password of its own.
    MakesAnother,
    /// Under alternating users the current user gets the new password.
    ChangesTheCurrent,
    /// The new password goes to a role whose old end stands.
    KeepsTheOldEnd,
    /// A rejected login is treated as a session.
    RejectedIsAccepted,
    /// The new user is bounded in place of the old one.
    BoundsTheNew,
    /// The old user is bounded without a window.
    BoundsAtOnce,
    /// The old user is not bounded.
    BoundsNobody,
    /// A failed bound is only logged.
    FailedBoundIsDone,
    /// revokeSecret ends the current user.
    RevokesTheCurrent,
    /// revokeSecret does not look whether a rotation is in progress.
    RevokesInFlight,
    /// revokeSecret ends nothing.
    RevokesNothing,
    /// The key that is stored is ended, and the others stay.
    EndsTheStored,
    /// The keys of an earlier delivery stay.
    LeavesOrphans,
    /// AWSPREVIOUS's key is ended although its window is not over.
    ForgetsTheOverlap,
    /// The current key is treated as an unused one.
    EndsTheCurrent,
    /// setSecret checks that the rotation is still valid before it has the lock.
    AsksBeforeTheLock,
    /// finishSecret promotes before it has the lock.
    PromotesBeforeTheLock,
    /// revokeSecret does not check that it is still valid.
    RevokesUnasked,
}

/// A delivery's line, with the mistake between it and the world.
pub(crate) struct Mistaken<'a> {
    pub(crate) line: &'a Line<'a>,
    pub(crate) mistake: Mistake,
    pub(crate) start: Start,
}

impl Mistaken<'_> {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }
}

impl SecretStore for Mistaken<'_> {
    async fn versions(&self, secret: &str) -> Result<Versions, StoreError> {
        let mut versions = self.line.versions(secret).await?;
        if self.is(Mistake::RevokesInFlight) && self.start.step == Kind::Revoke {
            for labels in versions.labels.values_mut() {
                labels.retain(|label| label != Which::Pending("").label());
            }
        }
        Ok(versions)
    }

    async fn read(&self, secret: &str, which: Which<'_>) -> Result<Option<Version>, StoreError> {
        match self.line.read(secret, which).await {
            Ok(None) if self.is(Mistake::AbsentIsAnError) => Err(StoreError::NoSuchSecret {
                operation: "GetSecretValue",
            }),
            read => read,
        }
    }

    async fn write_pending(
        &self,
        secret: &str,
        token: &str,
        rotation_token: Option<&SecretString>,
        document: &SecretString,
        form: Form,
    ) -> Result<Written, StoreError> {
        let (version, credential) = self.line.pending(token, document);
        match self.mistake {
            Mistake::PutsWithoutStages => {
                return self.line.write(Call::PutCurrent(version, credential)).await;
            }
            Mistake::Overwrites => {
                return self.line.write(Call::Overwrite(version, credential)).await;
            }
            Mistake::StoresLast => {
                let _ = self.line.ask(Call::Lock).await;
                let change = Call::Last(Write::Password(credential));
                self.line.write(change).await?;
            }
            _ => {}
        }
        let put = self
            .line
            .write_pending(secret, token, rotation_token, document, form);
        match put.await {
            Ok(Written::Conflict) if self.is(Mistake::ConflictIsStored) => Ok(Written::Stored),
            written => written,
        }
    }

    async fn promote(&self, secret: &str, token: &str, from: &str) -> Result<(), StoreError> {
        if self.is(Mistake::MovesFromAnywhere) {
            return self.line.write(Call::Force(number(token))).await.map(drop);
        }
        match self.line.promote(secret, token, from).await {
            Err(StoreError::Unreachable { .. }) if self.is(Mistake::LostPromotionIsDone) => Ok(()),
            promoted => promoted,
        }
    }

    async fn unstage(&self, secret: &str, token: &str) -> Result<(), StoreError> {
        self.line.unstage(secret, token).await
    }
}

impl Engine for Mistaken<'_> {
    const ENGINES: &'static [&'static str] = ENGINES;
    type Session = Session;

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        match self.line.log_in(document).await {
            Ok(Login::Rejected) if self.is(Mistake::RejectedIsAccepted) => {
                Ok(Login::Accepted(Session(None)))
            }
            login => login,
        }
    }

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        let line = self.line;
        if line.strategy != Strategy::Keys {
            if self.is(Mistake::ChangesTheCurrent) {
                return store(&succession.current.with_password(succession.password)).await;
            }
            return line.successor(succession, known, store).await;
        }
        let current = line.credential(succession.current);
        let known = async || {
            let mut known = known().await?;
            if let Some(known) = &mut known
                && known.stored.is_none()
            {
                if self.is(Mistake::EndsTheCurrent) {
                    line.delete(current.user).await?;
                }
                known.overlaps &= !self.is(Mistake::ForgetsTheOverlap);
            }
            Ok::<_, E>(known)
        };
        let settle =
            async |minting: &Minting<'_>, stored: &Document, minted: Option<&Document>| match self
                .mistake
            {
                Mistake::LeavesOrphans => Ok(()),
                Mistake::EndsTheStored => {
                    let stored = line.credential(stored);
                    line.delete(stored.user).await.map(drop)
                }
                _ => line.settle(minting, stored, minted).await,
            };
        line.make(&succession, known, store, settle).await
    }

    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        let Some(proven) = proven().await? else {
            return Ok(None);
        };
        let session = &proven.session;
        let line = self.line;
        let from = line.credential(current).user;
        let another = |new: Credential| Credential {
            password: new.password + 1,
            ..new
        };
        match self.mistake {
            Mistake::ChangesNothing => wanted().await.map(|_| None),
            Mistake::MakesAnother => {
                let write = |new| Write::Password(another(new));
                line.replace(session, wanted, write).await.map(|()| None)
            }
            Mistake::ChangesTheCurrent => {
                let last = |new| Call::Last(Write::Open(new));
                line.open(from, wanted, last).await.map(|()| None)
            }
            Mistake::ForgetsCommit => line
                .open(from, wanted, |_| Call::Rollback)
                .await
                .map(|()| None),
            Mistake::KeepsTheOldEnd => {
                let last = |new| Call::Last(Write::Password(new));
                line.open(from, wanted, last).await.map(|()| None)
            }
            Mistake::PromotesInSet => {
                let _ = line.write(Call::Force(self.start.token)).await;
                line.change(current, async || Ok(Some(proven)), wanted)
                    .await
            }
            Mistake::AsksBeforeTheLock => {
                let asked = wanted().await?;
                let wanted = async || Ok(asked);
                line.change(current, async || Ok(Some(proven)), wanted)
                    .await
            }
            Mistake::CleansUp => {
                let changed = line
                    .change(current, async || Ok(Some(proven)), wanted)
                    .await;
                if changed.is_err() {
                    let _ = line.write(Call::TakeOff).await;
                }
                changed
            }
            _ => {
                line.change(current, async || Ok(Some(proven)), wanted)
                    .await
            }
        }
    }

    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        current: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        match self.line.prove(document, version, current).await {
            Ok(Login::Rejected) if self.is(Mistake::RejectedIsAccepted) => Ok(Login::Accepted(())),
            login => login,
        }
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let line = self.line;
        match (self.mistake, retiring.window) {
            (Mistake::BoundsNobody, _) => promote().await,
            (Mistake::BoundsTheNew, Some(_)) => {
                let new = line.other_than(line.credential(retiring.replaced).user);
                line.bound(new, retiring, retiring.window, &read, promote)
                    .await
            }
            (Mistake::BoundsAtOnce, _) => {
                let at_once = Retiring {
                    window: retiring.window.map(|_| Duration::ZERO),
                    ..*retiring
                };
                line.retire(&at_once, read, promote).await
            }
            (Mistake::BoundsBeforePromotion, _) => {
                line.retire(retiring, &read, async || Ok::<_, E>(Promotion::Before))
                    .await?;
                promote().await
            }
            (Mistake::PromotesBeforeTheLock, _) => {
                let promotion = promote().await?;
                line.retire(retiring, read, async || Ok::<_, E>(promotion))
                    .await
            }
            (Mistake::FailedBoundIsDone, _) => {
                let retired = line.retire(retiring, read, promote).await;
                Ok(retired.unwrap_or(Promotion::Now))
            }
            _ => line.retire(retiring, read, promote).await,
        }
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        proven: Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        let line = self.line;
        match (self.mistake, &what) {
            (Mistake::RevokesNothing, _) => Ok(Ended::default()),
            (Mistake::RevokesUnasked, _) => {
                line.revoke(proven, what, async || Ok::<_, E>(())).await
            }
            (Mistake::RevokesTheCurrent, Revoked::Previous { previous, .. }) => {
                let user = line.credential(previous).user;
                line.end(line.other_than(user), wanted).await
            }
            _ => line.revoke(proven, what, wanted).await,
        }
    }
}
