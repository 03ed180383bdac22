//! The engine that the steps are given: PostgreSQL's roles, or a service's keys.

use std::time::{Duration, SystemTime};

use secret_rotation::{
    document::{Document, ENGINES},
    engine::{
        Ended, Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Revoked, Stored,
        Succession, Whose,
    },
};

use crate::{
    api_key::Minting,
    calls::{Call, Write},
    line::{Line, Strategy, number},
    postgres::Session,
};

impl Engine for Line<'_> {
    const ENGINES: &'static [&'static str] = ENGINES;
    type Session = Session;

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        self.login(self.credential(document)).await
    }

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        let current = succession.current;
        let successor = match self.strategy {
            Strategy::Keys => {
                let settle =
                    async |minting: &Minting<'_>, stored: &Document, minted: Option<&Document>| {
                        self.settle(minting, stored, minted).await
                    };
                return self.make(&succession, known, store, settle).await;
            }
            Strategy::Alternating => {
                let (user, overlap) = (current.next_user(), succession.overlap);
                current.with_user(user, succession.password, overlap)
            }
            Strategy::Single => current.with_password(succession.password),
        };
        store(&successor).await
    }

    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        if self.strategy == Strategy::Keys {
            return wanted().await.map(|_| None);
        }
        let Some(proven) = proven().await? else {
            return Ok(None);
        };
        let from = self.credential(current).user;
        let expected = self.other_than(from);
        let wanted = async || match wanted().await? {
            Some(pending) if self.credential(&pending).user != expected => {
                Err(EngineError::AnotherUser {
                    label: "AWSPENDING",
                    user: pending.username().to_owned(),
                    expected: "the other one".to_owned(),
                }
                .into())
            }
            wanted => Ok::<_, E>(wanted),
        };
        match proven.administrator {
            None => {
                self.replace(&proven.session, wanted, Write::Password)
                    .await?
            }
            Some(_) => {
                let last = |new| Call::Last(Write::Open(new));
                self.open(from, wanted, last).await?;
            }
        }
        Ok(None)
    }

    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        _: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        Ok(self.log_in(document).await?.map(|_| {
            if self.strategy != Strategy::Keys {
                self.kept.proven.set(Some(number(version)));
            }
        }))
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let user = self.credential(retiring.replaced).user;
        if self.strategy == Strategy::Keys {
            if retiring.pinned || retiring.window != Some(Duration::ZERO) {
                return promote().await;
            }
            read(Whose::Administrator).await?;
            let promotion = promote().await?;
            if promotion != Promotion::Outdated {
                self.delete(user).await?;
            }
            return Ok(promotion);
        }
        let window = retiring.window;
        let promotion = match self.strategy {
            Strategy::Alternating => self.bound(user, retiring, window, &read, promote).await?,
            _ => promote().await?,
        };
        if promotion == Promotion::Now {
            self.announce(retiring.version, read).await;
        }
        Ok(promotion)
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        _: Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        let Revoked::Previous { previous, .. } = what else {
            self.done(Call::Terminate(0)).await?;
            return Ok(Ended::default());
        };
        let previous = self.credential(previous);
        if self.strategy != Strategy::Keys {
            return self.end(previous.user, wanted).await;
        }
        wanted().await?;
        self.end_key(previous).await?;
        Ok(Ended::default())
    }
}
