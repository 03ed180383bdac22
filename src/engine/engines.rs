//! What this function rotates: each document goes to the engine that it names.

use std::time::SystemTime;

use super::{
    Disconnect, Ended, Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Revoked,
    Stored, Succession, Whose,
    api_key::ApiKey,
    postgres::{self, Postgres},
};
use crate::document::{Document, ENGINES};

/// The engines, for one invocation.
#[derive(Debug)]
pub struct Engines<'a> {
    /// For documents with a login.
    pub postgres: Postgres<'a>,
    /// For documents with requests.
    pub api_key: ApiKey<'a>,
}

/// A session of either engine.
#[derive(Debug)]
pub enum Session {
    /// A connection.
    Postgres(Box<postgres::Session>),
    /// A key that was found valid.
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

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        match succession.current.api() {
            None => self.postgres.successor(succession, known, store).await,
            Some(_) => self.api_key.successor(succession, known, store).await,
        }
    }

    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        if current.api().is_some() {
            // for a service, the old key proves nothing that its administrator needs
            return self
                .api_key
                .change(current, async || Ok(None), wanted)
                .await;
        }
        let proven = async || {
            let proven = proven().await?;
            Ok(match proven {
                Some(Proven {
                    session: Session::Postgres(session),
                    administrator,
                }) => Some(Proven {
                    session: *session,
                    administrator,
                }),
                _ => None,
            })
        };
        self.postgres.change(current, proven, wanted).await
    }

    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        current: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        match document.api() {
            None => self.postgres.prove(document, version, current).await,
            Some(_) => self.api_key.prove(document, version, current).await,
        }
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        match retiring.replaced.api() {
            None => self.postgres.retire(retiring, read, promote).await,
            Some(_) => self.api_key.retire(retiring, read, promote).await,
        }
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        proven: Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        match proven {
            Session::Postgres(proven) => self.postgres.revoke(*proven, what, wanted).await,
            Session::ApiKey => self.api_key.revoke((), what, wanted).await,
        }
    }
}

impl Disconnect for Engines<'_> {
    fn begin(&self, secret: &str) {
        self.postgres.begin(secret);
        self.api_key.begin(secret);
    }

    async fn disconnect(&self) -> u32 {
        self.postgres.disconnect().await + self.api_key.disconnect().await
    }
}
