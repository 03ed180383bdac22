//! Keys of any service with an HTTP API: made, verified and deleted as the secret's document tells.
//!
//! | file | what |
//! |---|---|
//! | `render` | a request with its placeholders filled in |
//! | `https` | where it may go, and how it is sent |
//! | `addresses` | which addresses a name may lead to |
//! | `answer` | what the service's answer means |
//! | `keys` | which of the service's keys are this secret's, and which nobody needs |
//!
//! Such a service makes the key itself, so createSecret has it made, stores it, and ends what is not stored. An old
//! key lives until its overlap is over and the next rotation comes, or until revokeSecret.

mod addresses;
mod answer;
mod https;
mod keys;
mod render;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};

use self::{answer::Answer, https::Bounds, keys::Key, render::Values};
use super::{Engine, EngineError, Limits, Login, Minting, Retiring, Revoked};
use crate::{
    document::{Api, Document, Request, address, is_segment},
    settings::Settings,
};

pub use https::Https;

/// Between two tries of a key that is not ready yet.
const PAUSE: Duration = Duration::from_secs(1);

/// The service that a secret's document tells of, for the time of one invocation.
#[derive(Debug)]
pub struct ApiKey<'a> {
    https: &'a Https,
    bounds: Bounds<'a>,
    verified: AtomicU32,
}

impl<'a> ApiKey<'a> {
    /// The step begins now. Nothing is connected before the first request.
    pub fn new(https: &'a Https, settings: &'a Settings, limits: Limits) -> Self {
        Self {
            https,
            bounds: Bounds {
                allowed: &settings.allowed_hosts,
                limits,
                end: Instant::now() + limits.step,
            },
            verified: AtomicU32::new(0),
        }
    }

    /// How many keys the service lists for the holder of the master secret; none where the document has no `list`.
    ///
    /// # Errors
    ///
    /// The service does not answer, or not as the document says.
    #[cfg(feature = "doctor")]
    pub async fn listed(
        &self,
        current: &Document,
        master: &Document,
    ) -> Result<Option<usize>, EngineError> {
        let api = api(current)?;
        if api.list.is_none() {
            return Ok(None);
        }
        Ok(Some(self.list(api, master).await?.len()))
    }

    async fn send(
        &self,
        name: &'static str,
        request: &Request,
        values: Values<'_>,
    ) -> Result<Answer, EngineError> {
        // a key that is made twice is one too many, unless the service knows the token again
        let repeatable = name != "create" || request.holds("token");
        let sent = self
            .https
            .send(name, request, &values, &self.bounds, repeatable);
        sent.await
    }

    async fn create(&self, api: &Api, minting: &Minting<'_>) -> Result<Answer, EngineError> {
        let label = keys::label(minting.secret, minting.token);
        let values = Values {
            own: vec![
                ("label", &label),
                ("token", minting.token),
                ("key_id", minting.current.username()),
            ],
            master: Some(minting.administrator),
        };
        self.send("create", &api.create, values).await
    }

    /// None, where the service does not tell.
    async fn list(&self, api: &Api, master: &Document) -> Result<Vec<Key>, EngineError> {
        let Some(list) = &api.list else {
            return Ok(Vec::new());
        };
        let values = Values {
            own: Vec::new(),
            master: Some(master),
        };
        let answer = self.send("list", list, values).await?;
        if !answer.succeeded() {
            return Err(answer.refused());
        }
        let json = answer.json()?;
        let pointer = list.keys.as_deref().unwrap_or_default();
        let listed = json.pointer(pointer).and_then(serde_json::Value::as_array);
        let listed = listed.ok_or_else(|| answer.without(pointer))?;
        let key = |key| {
            let id = answer.text(key, list.id.as_deref())?;
            // a key that was made by hand may have no name
            let label = answer.text(key, list.label.as_deref());
            Ok(Key {
                id: id.expose_secret().to_owned(),
                label: label.map_or(String::new(), |label| label.expose_secret().to_owned()),
            })
        };
        listed.iter().map(key).collect()
    }

    /// False, if the service says that there is no such key.
    async fn delete(&self, api: &Api, master: &Document, id: &str) -> Result<bool, EngineError> {
        let values = Values {
            own: vec![("key_id", id)],
            master: Some(master),
        };
        let answer = self.send("delete", &api.delete, values).await?;
        match answer.status {
            404 | 410 => Ok(false),
            _ if answer.succeeded() => Ok(true),
            _ => Err(answer.refused()),
        }
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
                let deleted = self.delete(api, minting.administrator, &own.id);
                deleted.await.map_or(what_is_left(api), |_| "is deleted")
            }
            _ => what_is_left(api),
        }
    }

    /// Deletes a key that was current. "There is no such key" is believed only if the key is good no longer: a request
    /// that asks for another one would be answered likewise.
    async fn end(&self, master: &Document, retired: &Document) -> Result<(), EngineError> {
        let api = api(retired)?;
        if self.delete(api, master, retired.username()).await? {
            return Ok(());
        }
        match self.log_in(retired).await? {
            Login::Rejected => Ok(()),
            Login::Accepted(()) => Err(EngineError::StillAccepted {
                server: retired.server(),
                user: retired.username().to_owned(),
            }),
        }
    }
}

impl Engine for ApiKey<'_> {
    const ENGINES: &'static [&'static str] = &["http-api-key"];
    type Session = ();

    async fn log_in(&self, document: &Document) -> Result<Login<()>, EngineError> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        let verify = &api(document)?.verify;
        let values = Values {
            own: vec![
                ("key", document.password().expose_secret()),
                ("key_id", document.username()),
            ],
            master: None,
        };
        let answer = self.send("verify", verify, values).await?;
        let rejected = verify.rejected.as_deref().unwrap_or(&[401]);
        if rejected.contains(&answer.status) {
            Ok(Login::Rejected)
        } else if answer.succeeded() {
            Ok(Login::Accepted(()))
        } else {
            Err(answer.refused())
        }
    }

    /// A service may know a key everywhere only some seconds after it made it.
    async fn first_log_in(&self, document: &Document) -> Result<Login<()>, EngineError> {
        let ready = Instant::now() + document.ready_within();
        let end = ready.min(self.bounds.end - PAUSE);
        loop {
            let login = self.log_in(document).await?;
            if matches!(login, Login::Accepted(())) || Instant::now() + PAUSE > end {
                return Ok(login);
            }
            sleep(PAUSE).await;
        }
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        _: impl AsyncFnOnce() -> Result<Document, E>,
        promoted: impl AsyncFnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        if !promoted().await? {
            return Ok(false);
        }
        let (master, retired) = (retiring.administrator, retiring.retired);
        // its key is not at hand; if the service does not know it either, the next rotation finds out what that means
        let known = self.delete(api(retired)?, master, retired.username());
        if !known.await? {
            tracing::warn!(
                key_id = retired.username(),
                "the service knows no such key to delete"
            );
        }
        Ok(true)
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        (): (),
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<u64, E> {
        match what {
            Revoked::Previous {
                administrator,
                previous,
            } => {
                // a service has no lock
                wanted().await?;
                self.end(administrator, previous).await?;
                Ok(0)
            }
            Revoked::SessionsBegunBefore(_) => Err(EngineError::Unable { what: "revoke" }.into()),
        }
    }

    fn mints(&self, _: &Document) -> bool {
        true
    }

    async fn mint(&self, minting: &Minting<'_>) -> Result<Document, EngineError> {
        let (current, master) = (minting.current, minting.administrator);
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
            return Err(left_over(current, &keys));
        }
        for stray in strays {
            self.delete(api, master, &stray.id).await?;
        }
        let kept = match minting.previous {
            Some(previous) if !minting.overlaps => {
                self.end(master, previous).await?;
                false
            }
            previous => previous.is_some(),
        };

        let orphans = keys::orphans(&keys, minting);
        let mut answer = self.create(api, minting).await?;
        if !answer.succeeded() && !orphans.is_empty() {
            // Made before a crash, and there may be no room for another one. Where there is, they go only when their
            // successor is stored: whoever made them may be alive, and about to store one.
            if minting.seen.is_none() {
                return Err(left_over(current, &keys));
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
                Ok((id, key)) => return Ok(current.with_user(id, key, minting.overlap)),
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

    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
    ) -> Result<(), EngineError> {
        let (api, master) = (api(minting.current)?, minting.administrator);
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

    async fn disconnect(&self) -> u32 {
        self.verified.load(Ordering::Relaxed)
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
    if minting
        .held
        .is_some_and(|held| held.iter().any(|held| held == id))
    {
        return Err(unusable("is that of a key which another version holds"));
    }
    // with another id the key could not be deleted, and the next rotation would take it for a stray
    let own = keys::of_token(listed, minting.secret, minting.token);
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

fn left_over(current: &Document, keys: &[Key]) -> EngineError {
    EngineError::LeftOver {
        server: current.server(),
        seen: keys.iter().map(|key| key.id.clone()).collect(),
    }
}

fn api(document: &Document) -> Result<&Api, EngineError> {
    document.api().ok_or(EngineError::Unable { what: "mint" })
}
