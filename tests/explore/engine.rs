//! The engine that the steps are given: PostgreSQL's roles, or a service's keys.

use std::time::Duration;

use secrecy::SecretString;
use secret_rotation::{
    document::{Document, ENGINES, Overlap},
    engine::{Announced, Engine, EngineError, Login, Minting, Revoked},
};

use crate::{
    calls::{Answer, Call},
    line::{Line, Strategy, number},
    postgres::{Session, lost},
};

impl Engine for Line<'_> {
    const ENGINES: &'static [&'static str] = ENGINES;
    type Session = Session;

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        self.login(self.credential(document)).await
    }

    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, EngineError> {
        Ok(match self.strategy {
            Strategy::Alternating => {
                let other = ["app", "app_clone"][usize::from(current.username() == "app")];
                current.with_user(other.to_owned(), password, overlap)
            }
            _ => current.with_password(password),
        })
    }

    async fn change(
        &self,
        proven: Session,
        administrator: Option<&Document>,
        current: &Document,
        pending: &Document,
    ) -> Result<(), EngineError> {
        let (old, new) = (self.credential(current), self.credential(pending));
        if new.user != self.other_than(old.user) {
            return Err(EngineError::AnotherUser {
                user: pending.username().to_owned(),
                expected: "the other one".to_owned(),
            });
        }
        match administrator {
            None => self.replace(&proven, new).await,
            Some(_) => self.open(old.user, new).await,
        }
    }

    async fn prove(&self, _: Session, _: &Document, version: &str) -> Result<(), EngineError> {
        if self.strategy != Strategy::Keys {
            self.kept.proven.set(Some(number(version)));
        }
        Ok(())
    }

    async fn retire(
        &self,
        _: &Document,
        retired: &Document,
        window: Duration,
    ) -> Result<(), EngineError> {
        let user = self.credential(retired).user;
        match self.strategy {
            Strategy::Keys => self.delete(user).await.map(drop),
            _ => self.bound(user, window).await,
        }
    }

    async fn announce(
        &self,
        current: Option<&Document>,
        _: &str,
        version: &str,
    ) -> Result<Announced, EngineError> {
        let Some(current) = current else {
            let kept = self.kept.proven.take() == Some(number(version));
            return Ok(match kept {
                true if self.ask(Call::Notify).await == Answer::Done => Announced::Told,
                _ => Announced::NoSession,
            });
        };
        match self.login(self.credential(current)).await? {
            Login::Accepted(_) => self.done(Call::Notify).await.map(|()| Announced::Told),
            Login::Rejected => Ok(Announced::NotHere),
        }
    }

    async fn revoke(&self, _: Session, what: Revoked<'_>) -> Result<u64, EngineError> {
        match (self.strategy, what) {
            (Strategy::Keys, Revoked::Previous { previous, .. }) => {
                self.end_key(self.credential(previous)).await.map(|()| 0)
            }
            (Strategy::Keys, _) => Err(lost()),
            (_, what) => self.end(what).await,
        }
    }

    fn mints(&self, _: &Document) -> bool {
        self.strategy == Strategy::Keys
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, EngineError> {
        self.make(minting).await
    }

    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        self.settle_keys(minting, stored, minted).await
    }
}
