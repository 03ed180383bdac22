//! What this function rotates: each document goes to the engine of its engine.

use secrecy::SecretString;

use super::{
    Announced, Engine, EngineError, Login, Minting, Retiring, Revoked, api_key::ApiKey, postgres,
    postgres::Postgres,
};
use crate::document::{Document, ENGINES, Overlap};

/// The engines, for the time of one invocation.
#[derive(Debug)]
pub struct Engines<'a> {
    /// For whoever logs in.
    pub postgres: Postgres<'a>,
    /// For documents with requests.
    pub api_key: ApiKey<'a>,
}

/// A session with either.
#[derive(Debug)]
pub enum Session {
    /// A connection.
    Postgres(Box<postgres::Session>),
    /// A key that was found good.
    ApiKey,
}

impl Engine for Engines<'_> {
    const ENGINES: &'static [&'static str] = ENGINES;
    type Session = Session;

    async fn log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        if document.api().is_some() {
            return Ok(self
                .api_key
                .log_in(document)
                .await?
                .map(|()| Session::ApiKey));
        }
        let login = self.postgres.log_in(document).await?;
        Ok(login.map(|session| Session::Postgres(Box::new(session))))
    }

    async fn first_log_in(&self, document: &Document) -> Result<Login<Session>, EngineError> {
        if document.api().is_some() {
            let login = self.api_key.first_log_in(document).await?;
            return Ok(login.map(|()| Session::ApiKey));
        }
        let login = self.postgres.first_log_in(document).await?;
        Ok(login.map(|session| Session::Postgres(Box::new(session))))
    }

    async fn change<E: From<EngineError>>(
        &self,
        proven: Session,
        administrator: Option<&Document>,
        current: &Document,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<bool, E> {
        match proven {
            Session::Postgres(proven) => {
                let postgres = &self.postgres;
                postgres
                    .change(*proven, administrator, current, wanted)
                    .await
            }
            Session::ApiKey => Err(EngineError::Unable { what: "change" }.into()),
        }
    }

    /// A key is minted: only a password is proposed.
    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, EngineError> {
        self.postgres.propose(current, password, overlap)
    }

    async fn prove(
        &self,
        session: Session,
        document: &Document,
        version: &str,
    ) -> Result<(), EngineError> {
        match session {
            Session::Postgres(session) => self.postgres.prove(*session, document, version).await,
            Session::ApiKey => self.api_key.prove((), document, version).await,
        }
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        successor: impl AsyncFnOnce() -> Result<Document, E>,
        promoted: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        match retiring.retired.api() {
            None => self.postgres.retire(retiring, successor, promoted).await,
            Some(_) => self.api_key.retire(retiring, successor, promoted).await,
        }
    }

    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, EngineError> {
        match current.and_then(Document::api) {
            None => self.postgres.announce(current, secret, version).await,
            Some(_) => self.api_key.announce(current, secret, version).await,
        }
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        proven: Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<u64, E> {
        match proven {
            Session::Postgres(proven) => self.postgres.revoke(*proven, what, wanted).await,
            Session::ApiKey => self.api_key.revoke((), what, wanted).await,
        }
    }

    fn mints(&self, current: &Document) -> bool {
        current.api().is_some()
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, EngineError> {
        self.api_key.mint(minting).await
    }

    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        self.api_key.settle(minting, stored, minted).await
    }

    async fn disconnect(&self) -> u32 {
        self.postgres.disconnect().await + self.api_key.disconnect().await
    }
}
