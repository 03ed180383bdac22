//! createSecret: asks the service for a key, if possible once for each token, and makes room for it first.
//!
//! A repeated request makes a second key, so createSecret first checks whether an earlier delivery has stored one. Of two
//! deliveries at once, one stores its key; each ends the keys that are not stored.

use secrecy::{ExposeSecret, SecretString};

use super::{
    ApiKey,
    answer::Answer,
    api,
    keys::{self, Key, Minting},
    render::Values,
};
use crate::{
    document::{Api, Document, address, is_segment},
    engine::{EngineError, Known, Stored, Succession},
};

/// The result of one look at the service.
enum Looked {
    Made(Box<Document>),
    /// Some keys must be deleted, because no version held them. These are the ids of all keys that existed.
    LeftOver(Vec<String>),
}

impl ApiKey<'_> {
    pub(super) async fn successor_of<E: From<EngineError>>(
        &self,
        succession: &Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
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
                self.settle(&minting, &stored, None).await?;
                return Ok(Stored::Before(Box::new(stored)));
            }
            // The versions are read again before anything is deleted. A key that was listed before that read, and that no version
            // holds, is unused, even if this delivery was delayed or the first look lagged.
            let minted = match self.mint(&minting).await? {
                Looked::LeftOver(listed) => {
                    seen = Some(listed);
                    continue;
                }
                Looked::Made(minted) => minted,
            };
            let stored = store(&minted).await?;
            match &stored {
                Stored::Now => self.settle(&minting, &minted, None).await?,
                Stored::Before(stored) => self.settle(&minting, stored, Some(&minted)).await?,
                Stored::Over => {}
            }
            return Ok(stored);
        }
    }

    async fn create(&self, api: &Api, minting: &Minting<'_>) -> Result<Answer, EngineError> {
        let Succession {
            secret,
            token,
            current,
            ..
        } = minting.succession;
        let label = keys::label(secret, token);
        let values = Values {
            own: vec![
                ("label", &label),
                ("token", *token),
                ("key_id", current.username()),
            ],
            master: Some(&minting.known.administrator),
        };
        self.send("create", &api.create, values).await
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Looked, EngineError> {
        let (current, master) = (minting.succession.current, &minting.known.administrator);
        let api = api(current)?;
        for (name, request) in api.requests() {
            // check this first: a key that the function may not verify or delete must not be made
            if let Some(url) = address(&request.url) {
                self.bounds.permits(name, &url)?;
            }
        }
        let keys = self.list(api, master).await?;
        let strays = keys::strays(&keys, minting);
        if minting.seen.is_none() && !strays.is_empty() {
            // this delivery may be late, and a later rotation's key among the keys
            return Ok(left_over(&keys));
        }
        for stray in strays {
            self.delete(api, master, &stray.id).await?;
        }
        let kept = match &minting.known.previous {
            Some(previous) if !minting.known.overlaps => {
                self.end(master, previous).await?;
                false
            }
            previous => previous.is_some(),
        };

        let orphans = keys::orphans(&keys, minting);
        let mut answer = self.create(api, minting).await?;
        if !answer.succeeded() && !orphans.is_empty() {
            // These keys were made before a crash, and they may leave no room for another one. If there is room, they go only
            // after their successor is stored: the delivery that made them may still run, and store one.
            if minting.seen.is_none() {
                return Ok(left_over(&keys));
            }
            for orphan in orphans {
                self.delete(api, master, &orphan.id).await?;
            }
            answer = self.create(api, minting).await?;
        }
        if !answer.succeeded() {
            return Err(match answer.status {
                401 | 403 | 429 | 500.. => answer.refused(),
                status if kept => EngineError::NoRoom {
                    server: answer.server().to_owned(),
                    status,
                },
                _ => answer.refused(),
            });
        }
        let (cause, left) = match self.list(api, master).await {
            Ok(after) => match made(api, minting, &answer, &after) {
                Ok((id, key)) => {
                    let overlap = minting.succession.overlap;
                    return Ok(Looked::Made(Box::new(current.with_user(id, key, overlap))));
                }
                Err(cause) => (cause, self.discard(api, minting, &keys, &after).await),
            },
            // a second delivery may have ended this key, and stored its own: do not treat that one as this one
            Err(cause) => (cause, what_is_left(api)),
        };
        Err(EngineError::KeyNotStored {
            cause: Box::new(cause),
            left,
        })
    }

    /// Ends the keys that were made for this token and are not `stored`. `minted` is the key that this delivery made, if it is
    /// another one.
    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        let (api, master) = (
            api(minting.succession.current)?,
            &minting.known.administrator,
        );
        let keys = self.list(api, master).await?;
        let orphans = keys::orphans(&keys, minting);
        // a list without the stored key is out of date, or shows other ids than create does
        let shown = keys.iter().any(|key| key.id == stored.username());
        let orphans = orphans.into_iter().filter(|_| shown);
        let orphans = orphans.map(|key| key.id.as_str());
        let minted = minted.map(Document::username);
        for id in orphans.chain(minted).filter(|id| *id != stored.username()) {
            self.delete(api, master, id).await?;
        }
        Ok(())
    }

    /// Ends a key that was made and cannot be used, if it can be named, and returns what is left. The lists are from before and
    /// after it was made.
    async fn discard(
        &self,
        api: &Api,
        minting: &Minting<'_>,
        before: &[Key],
        after: &[Key],
    ) -> &'static str {
        // the list is reliable; the id in the answer may belong to another key
        let orphans = keys::orphans(after, minting);
        // a key that the same token gets again is needed again
        let is_repeated = api.create.holds("token") && orphans.len() < 2;
        let is_new = |key: &&&Key| before.iter().all(|before| before.id != key.id);
        let new: Vec<_> = orphans.iter().filter(is_new).collect();
        match new[..] {
            // of two keys, one belongs to a second delivery
            [own] if !is_repeated => {
                let deleted = self.delete(api, &minting.known.administrator, &own.id);
                deleted.await.map_or(what_is_left(api), |_| "is deleted")
            }
            _ => what_is_left(api),
        }
    }
}

/// The id and the key of an answer, if the list shows the key under that id.
fn made(
    api: &Api,
    minting: &Minting<'_>,
    answer: &Answer,
    listed: &[Key],
) -> Result<(String, SecretString), EngineError> {
    let unusable = |what| EngineError::KeyIdUnusable {
        server: answer.server().to_owned(),
        what,
    };
    let json = answer.json()?;
    let id = answer.text(&json, api.create.id.as_deref())?;
    let key = answer.text(&json, api.create.key.as_deref())?;
    let id = id.expose_secret();
    if !is_segment(id) {
        return Err(unusable("is not a path segment, so no request can name it"));
    }
    let held = minting.known.held.as_deref();
    if held.is_some_and(|held| held.iter().any(|held| held == id)) {
        return Err(unusable("belongs to a key which another version holds"));
    }
    // with another id the key could not be deleted, and the next rotation would treat it as a stray
    let own = keys::of_token(listed, minting.succession.secret, minting.succession.token);
    if !own.is_empty() && own.iter().all(|key| key.id != id) {
        return Err(unusable("is not the one that list shows for it"));
    }
    Ok((id.to_owned(), key))
}

/// What happens to a key that was made and not ended.
fn what_is_left(api: &Api) -> &'static str {
    match api.create.holds("token") {
        true => "is returned again for the same token",
        false => {
            "may be left: look at the service for one whose name begins with rotation-, and delete it there"
        }
    }
}

fn left_over(keys: &[Key]) -> Looked {
    Looked::LeftOver(keys.iter().map(|key| key.id.clone()).collect())
}
