//! The engine that the steps are given: PostgreSQL's roles, or a service's keys.

use secrecy::SecretString;
use secret_rotation::{
    document::{Document, ENGINES, Overlap},
    engine::{Announced, Engine, EngineError, Login, Minting, Retiring, Revoked},
};

use crate::{
    calls::{Answer, Call, Write},
    line::{Line, Strategy, number},
    postgres::Session,
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

    async fn change<E: From<EngineError>>(
        &self,
        proven: Session,
        administrator: Option<&Document>,
        current: &Document,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<bool, E> {
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
        match administrator {
            None => self.replace(&proven, wanted, Write::Password).await,
            Some(_) => {
                let last = |new| Call::Last(Write::Open(new));
                self.open(from, wanted, last).await
            }
        }
    }

    async fn prove(&self, _: Session, _: &Document, version: &str) -> Result<(), EngineError> {
        if self.strategy != Strategy::Keys {
            self.kept.proven.set(Some(number(version)));
        }
        Ok(())
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        successor: impl AsyncFnOnce() -> Result<Document, E>,
        promoted: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let user = self.credential(retiring.retired).user;
        if self.strategy != Strategy::Keys {
            return self.bound(user, retiring, successor, promoted).await;
        }
        let promoted = promoted().await?;
        if promoted {
            self.delete(user).await?;
        }
        Ok(promoted)
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

    async fn revoke<E: From<EngineError>>(
        &self,
        _: Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<u64, E> {
        let Revoked::Previous { previous, .. } = what else {
            self.done(Call::Terminate(0)).await?;
            return Ok(0);
        };
        let previous = self.credential(previous);
        if self.strategy != Strategy::Keys {
            return self.end(previous.user, wanted).await;
        }
        wanted().await?;
        self.end_key(previous).await?;
        Ok(0)
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
