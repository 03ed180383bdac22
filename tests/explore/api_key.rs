//! The requests of src/engine/api_key to the service, and its reaction to the answers.
//!
//! It mirrors mod.rs and mint.rs there; `strays` and `orphans` are the rules of keys.rs. Ids that cannot be used, and keys that are not
//! ready at once, are left out.

use secret_rotation::{
    document::Document,
    engine::{EngineError, Known, Login, Stored, Succession},
};

use crate::{
    calls::{Answer, Call, Credential, Version},
    line::{Line, number},
    postgres::lost,
};

/// For each key's number the version that the key was made for.
pub(crate) type Keys = [Option<Version>; 10];

/// A key that is about to be made.
pub(crate) struct Minting<'a> {
    pub(crate) succession: &'a Succession<'a>,
    pub(crate) known: &'a Known,
    seen: Option<&'a [String]>,
}

enum Looked {
    Made(Box<Document>),
    LeftOver(Vec<String>),
}

/// No labelled version holds it, if all of them are known, and it is not a later key.
fn is_free(key: u8, minting: &Minting<'_>) -> bool {
    let holds = |held: &[String]| held.contains(&key.to_string());
    let held = minting.known.held.as_deref();
    held.is_some_and(|held| !holds(held)) && minting.seen.is_none_or(holds)
}

/// The keys that were made for this token and that no version holds.
fn orphans(keys: &Keys, minting: &Minting<'_>) -> Vec<u8> {
    let own = Some(number(minting.succession.token));
    let orphan = |key: &u8| keys[usize::from(*key)] == own && is_free(*key, minting);
    (0..keys.len() as u8).filter(orphan).collect()
}

/// The keys that failed rotations left. A list without the current key is out of date.
fn strays(keys: &Keys, minting: &Minting<'_>) -> Vec<u8> {
    let own = number(minting.succession.token);
    let stray = |key: &u8| {
        keys[usize::from(*key)].is_some_and(|made| made != own) && is_free(*key, minting)
    };
    match shows(keys, minting.succession.current) {
        true => (0..keys.len() as u8).filter(stray).collect(),
        false => Vec::new(),
    }
}

fn left_over(keys: &Keys) -> Looked {
    let there = |id: &usize| keys[*id].is_some();
    let seen = (0..keys.len()).filter(there);
    Looked::LeftOver(seen.map(|id| id.to_string()).collect())
}

fn shows(keys: &Keys, document: &Document) -> bool {
    keys[usize::from(number(document.username()))].is_some()
}

impl Line<'_> {
    async fn list(&self) -> Result<Keys, EngineError> {
        match self.ask(Call::List).await {
            Answer::Keys(keys) => Ok(keys),
            _ => Err(lost()),
        }
    }

    /// False if no such key exists.
    pub(crate) async fn delete(&self, key: u8) -> Result<bool, EngineError> {
        match self.ask(Call::Delete(key)).await {
            Answer::Done => Ok(true),
            Answer::NoSuchKey => Ok(false),
            _ => Err(lost()),
        }
    }

    /// Deletes a key that was current; "no such key" counts only if the key no longer works.
    pub(crate) async fn end_key(&self, key: Credential) -> Result<(), EngineError> {
        if self.delete(key.user).await? {
            return Ok(());
        }
        match self.login(key).await? {
            Login::Rejected => Ok(()),
            Login::Accepted(_) => Err(EngineError::StillAccepted {
                server: "h:443".to_owned(),
                user: key.user.to_string(),
            }),
        }
    }

    /// `settle` deletes the keys that were made for the token and not stored.
    pub(crate) async fn make<E: From<EngineError>>(
        &self,
        succession: &Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
        settle: impl AsyncFn(&Minting<'_>, &Document, Option<&Document>) -> Result<(), EngineError>,
    ) -> Result<Stored, E> {
        let mut seen = None;
        loop {
            let Some(mut known) = known().await? else {
                return Ok(Stored::Over);
            };
            let earlier = known.stored.take();
            let minting = Minting {
                succession,
                known: &known,
                seen: seen.as_deref(),
            };
            if let Some(stored) = earlier {
                settle(&minting, &stored, None).await?;
                return Ok(Stored::Before(Box::new(stored)));
            }
            let minted = match self.mint(&minting).await? {
                Looked::LeftOver(listed) => {
                    seen = Some(listed);
                    continue;
                }
                Looked::Made(minted) => minted,
            };
            let stored = store(&minted).await?;
            match &stored {
                Stored::Now => settle(&minting, &minted, None).await?,
                Stored::Before(stored) => settle(&minting, stored, Some(&minted)).await?,
                Stored::Over => {}
            }
            return Ok(stored);
        }
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Looked, EngineError> {
        let token = number(minting.succession.token);
        let keys = self.list().await?;
        let strays = strays(&keys, minting);
        if minting.seen.is_none() && !strays.is_empty() {
            return Ok(left_over(&keys));
        }
        for stray in strays {
            self.delete(stray).await?;
        }
        if let Some(previous) = &minting.known.previous
            && !minting.known.overlaps
        {
            self.end_key(self.credential(previous)).await?;
        }
        let orphans = orphans(&keys, minting);
        let mut made = self.ask(Call::Make(token)).await;
        if made == Answer::Refused && !orphans.is_empty() {
            if minting.seen.is_none() {
                return Ok(left_over(&keys));
            }
            for orphan in orphans {
                self.delete(orphan).await?;
            }
            made = self.ask(Call::Make(token)).await;
        }
        match made {
            Answer::Made(key) => self
                .made(minting, key)
                .await
                .map(Box::new)
                .map(Looked::Made),
            Answer::Refused => Err(EngineError::NoRoom {
                server: "h:443".to_owned(),
                status: 409,
            }),
            _ => Err(lost()),
        }
    }

    /// The list must show the new key under its id; without an answer the key is left over.
    async fn made(&self, minting: &Minting<'_>, key: u8) -> Result<Document, EngineError> {
        match self.list().await {
            Ok(_) => {
                let (id, key) = (key.to_string(), key.to_string().into());
                Ok(minting
                    .succession
                    .current
                    .with_user(id, key, minting.succession.overlap))
            }
            Err(cause) => Err(EngineError::KeyNotStored {
                cause: Box::new(cause),
                left: "may be left",
            }),
        }
    }

    pub(crate) async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        let keys = self.list().await?;
        let mut ended = match shows(&keys, stored) {
            true => orphans(&keys, minting),
            false => Vec::new(),
        };
        ended.extend(minted.map(|minted| self.credential(minted).user));
        for key in ended {
            if key != self.credential(stored).user {
                self.delete(key).await?;
            }
        }
        Ok(())
    }
}
