//! An engine whose calls are cut as the script says, and that notices what must never happen.

use std::{rc::Rc, time::SystemTime};

use super::{TOKEN, script::Script, store::Store};
use crate::{
    document::Document,
    engine::{
        Ended, Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Revoked, Stored,
        Succession, Whose,
    },
    store::Which,
};

/// The engine under test.
#[derive(Debug)]
pub(super) struct Disturbed<T> {
    pub(super) engine: T,
    pub(super) script: Rc<Script>,
    pub(super) store: Rc<Store>,
}

impl<T: Engine> Engine for Disturbed<T> {
    const ENGINES: &'static [&'static str] = T::ENGINES;
    type Session = T::Session;

    async fn log_in(&self, document: &Document) -> Result<Login<T::Session>, EngineError> {
        self.script.call(self.engine.log_in(document)).await
    }

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        let successor = self.engine.successor(succession, known, store);
        self.script.fenced_call(successor).await
    }

    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<T::Session>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        let change = self.engine.change(current, proven, wanted);
        self.script.fenced_call(change).await
    }

    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        version: &str,
        current: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
        let proof = self.engine.prove(document, version, current);
        self.script.fenced_call(proof).await
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let retire = self.engine.retire(retiring, read, promote);
        let promotion = self.script.fenced_call(retire).await?;
        let current = self.store.labelled(Which::Current);
        if promotion == Promotion::Now && current.is_none_or(|(version, _)| version != TOKEN) {
            let fault = "the promotion counts as made, but the successor is not current";
            self.script.fault.set(Some(fault));
        }
        Ok(promotion)
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        proven: T::Session,
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        let revoke = self.engine.revoke(proven, what, wanted);
        self.script.fenced_call(revoke).await
    }
}
