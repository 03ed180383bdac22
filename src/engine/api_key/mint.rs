//! createSecret: has the service make a key, once for each token as far as it can, and makes room for it before.
//!
//! It can't be made twice without one too many, so it is looked first whether an earlier delivery has stored one. Of two
//! deliveries at once one stores what it had made; each ends what is not stored.

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

/// What one look at the service came to.
enum Looked {
    Made(Box<Document>),
    /// There are keys to delete that no version was seen to hold. These are all keys that there were.
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
            // What is listed now and held by no version afterwards is nobody's, even if this delivery was held up
            // meanwhile, or the first look lagged. So before anything is deleted the versions are read again.
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
            // a key that nobody may verify or delete is not made
            if let Some(url) = address(&request.url) {
                self.bounds.permits(name, &url)?;
            }
        }
        let keys = self.list(api, master).await?;
        let strays = keys::strays(&keys, minting);
        if minting.seen.is_none() && !strays.is_empty() {
            // this delivery may have been held up, and a later rotation's key be among them
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
            // Made before a crash, and there may be no room for another one. Where there is, they go only when their
            // successor is stored: the delivery that made them may be alive, and about to store one.
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
            // a second delivery may have ended this key by now, and stored its own: that one is not to be taken for it
            Err(cause) => (cause, what_is_left(api)),
        };
        Err(EngineError::MadeInVain {
            cause: Box::new(cause),
            left,
        })
    }

    /// Ends what was made for this token and is not `stored`. `minted` is what this delivery made, if it is another one.
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
        // a list without the key that is stored is out of date, or tells other ids than create does
        let shown = keys.iter().any(|key| key.id == stored.username());
        let orphans = orphans.into_iter().filter(|_| shown);
        let orphans = orphans.map(|key| key.id.as_str());
        let minted = minted.map(Document::username);
        for id in orphans.chain(minted).filter(|id| *id != stored.username()) {
            self.delete(api, master, id).await?;
        }
        Ok(())
    }

    /// Ends a key that was made and cannot be used, as far as it can be named; tells what is left. The lists are from before it
    /// was made and after.
    async fn discard(
        &self,
        api: &Api,
        minting: &Minting<'_>,
        before: &[Key],
        after: &[Key],
    ) -> &'static str {
        // what the list says of a key is sure; the id in the answer may be another key's
        let orphans = keys::orphans(after, minting);
        // one that the same token gets again is needed again
        let is_repeated = api.create.holds("token") && orphans.len() < 2;
        let is_new = |key: &&&Key| before.iter().all(|before| before.id != key.id);
        let new: Vec<_> = orphans.iter().filter(is_new).collect();
        match new[..] {
            // of two, one is a second delivery's
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
        return Err(unusable(
            "is no segment of a path, so that no request can name it",
        ));
    }
    let held = minting.known.held.as_deref();
    if held.is_some_and(|held| held.iter().any(|held| held == id)) {
        return Err(unusable("is that of a key which another version holds"));
    }
    // with another id the key could not be deleted, and the next rotation would take it for a stray
    let own = keys::of_token(listed, minting.succession.secret, minting.succession.token);
    if !own.is_empty() && own.iter().all(|key| key.id != id) {
        return Err(unusable("is not the one that list tells of it"));
    }
    Ok((id.to_owned(), key))
}

/// What becomes of a key that was made and not ended.
fn what_is_left(api: &Api) -> &'static str {
    match api.create.holds("token") {
        true => "is what the same token gets again",
        false => {
            "may be left: see at the service for one whose name begins with rotation-, and delete it there"
        }
    }
}

fn left_over(keys: &[Key]) -> Looked {
    Looked::LeftOver(keys.iter().map(|key| key.id.clone()).collect())
}
