//! An engine whose calls are cut as the script says, and which sees what must never be done.

use std::rc::Rc;

use secrecy::SecretString;

use super::{TOKEN, script::Script, store::Store};
use crate::{
    document::{Document, Overlap},
    engine::{Announced, Engine, EngineError, Login, Minting, Retiring, Revoked},
    store::Which,
};

/// The engine under test.
#[derive(Debug)]
pub(super) struct Disturbed<T> {
    pub(super) engine: T,
    pub(super) script: Rc<Script>,
    pub(super) store: Rc<Store>,
}

impl<T> Disturbed<T> {
    fn only_after_the_promotion(&self, fault: &'static str) {
        let current = self.store.labelled(Which::Current);
        if current.is_none_or(|(version, _)| version != TOKEN) {
            self.script.fault.set(Some(fault));
        }
    }
}

impl<T: Engine> Engine for Disturbed<T> {
    const ENGINES: &'static [&'static str] = T::ENGINES;
    type Session = T::Session;

    async fn log_in(&self, document: &Document) -> Result<Login<T::Session>, EngineError> {
        self.script.call(self.engine.log_in(document)).await
    }

    async fn first_log_in(&self, document: &Document) -> Result<Login<T::Session>, EngineError> {
        self.script.call(self.engine.first_log_in(document)).await
    }

    async fn change<E: From<EngineError>>(
        &self,
        proven: T::Session,
        administrator: Option<&Document>,
        current: &Document,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<bool, E> {
        let change = self.engine.change(proven, administrator, current, wanted);
        self.script.fenced_call(change).await
    }

    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, EngineError> {
        self.engine.propose(current, password, overlap)
    }

    async fn prove(
        &self,
        session: T::Session,
        document: &Document,
        version: &str,
    ) -> Result<(), EngineError> {
        let prove = self.engine.prove(session, document, version);
        self.script.call(prove).await
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        successor: impl AsyncFnOnce() -> Result<Document, E>,
        promoted: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let retire = self.engine.retire(retiring, successor, promoted);
        let promoted = self.script.fenced_call(retire).await?;
        if promoted {
            self.only_after_the_promotion("retired without a word of the successor");
        }
        Ok(promoted)
    }

    /// Not cut: it fails no rotation, and a crash in it is one after the call before it.
    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, EngineError> {
        self.only_after_the_promotion("announced before it was promoted");
        self.engine.announce(current, secret, version).await
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        proven: T::Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<u64, E> {
        let revoke = self.engine.revoke(proven, what, wanted);
        self.script.fenced_call(revoke).await
    }

    fn mints(&self, current: &Document) -> bool {
        self.engine.mints(current)
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, EngineError> {
        self.script.call(self.engine.mint(minting)).await
    }

    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        let settle = self.engine.settle(minting, stored, minted);
        self.script.call(settle).await
    }

    async fn disconnect(&self) -> u32 {
        self.engine.disconnect().await
    }
}
