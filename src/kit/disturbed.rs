//! A target whose calls are cut as the script says, and which sees what must never be done.

use std::{rc::Rc, time::Duration};

use secrecy::SecretString;

use super::{TOKEN, script::Script, store::Store};
use crate::{
    document::{Document, Overlap},
    store::Which,
    target::{Announced, Login, Minting, Revoked, Target, TargetError},
};

/// The target under test.
#[derive(Debug)]
pub(super) struct Disturbed<T> {
    pub(super) target: T,
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

impl<T: Target> Target for Disturbed<T> {
    const ENGINES: &'static [&'static str] = T::ENGINES;
    type Session = T::Session;

    async fn log_in(&self, document: &Document) -> Result<Login<T::Session>, TargetError> {
        self.script.call(self.target.log_in(document)).await
    }

    async fn change(
        &self,
        proven: T::Session,
        administrator: Option<&Document>,
        current: &Document,
        pending: &Document,
    ) -> Result<(), TargetError> {
        let change = self.target.change(proven, administrator, current, pending);
        self.script.call(change).await
    }

    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, TargetError> {
        self.target.propose(current, password, overlap)
    }

    async fn prove(
        &self,
        session: T::Session,
        document: &Document,
        version: &str,
    ) -> Result<(), TargetError> {
        let prove = self.target.prove(session, document, version);
        self.script.call(prove).await
    }

    async fn retire(
        &self,
        administrator: &Document,
        retired: &Document,
        window: Duration,
    ) -> Result<(), TargetError> {
        self.only_after_the_promotion("retired before the successor was promoted");
        let retire = self.target.retire(administrator, retired, window);
        self.script.call(retire).await
    }

    /// Not cut: it fails no rotation, and a crash in it is one after the call before it.
    async fn announce(
        &self,
        current: Option<&Document>,
        secret: &str,
        version: &str,
    ) -> Result<Announced, TargetError> {
        self.only_after_the_promotion("announced before it was promoted");
        self.target.announce(current, secret, version).await
    }

    async fn revoke(&self, proven: T::Session, what: Revoked<'_>) -> Result<u64, TargetError> {
        self.script.call(self.target.revoke(proven, what)).await
    }

    fn mints(&self, current: &Document) -> bool {
        self.target.mints(current)
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, TargetError> {
        self.script.call(self.target.mint(minting)).await
    }

    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), TargetError> {
        let settle = self.target.settle(minting, stored, minted);
        self.script.call(settle).await
    }

    async fn disconnect(&self) -> u32 {
        self.target.disconnect().await
    }
}
