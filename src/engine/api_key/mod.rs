//! Keys of any service with an HTTP API: made, verified and deleted as the secret's document describes.
//!
//! | file | what |
//! |---|---|
//! | `render` | a request with its placeholders filled in |
//! | `https` | where it may go, and how it is sent |
//! | `addresses` | which addresses a name may lead to |
//! | `answer` | what the service's answer means |
//! | `keys` | which of the service's keys belong to this secret, and which are unused |
//! | `mint` | createSecret: has a key made, once for each token if possible |
//!
//! Such a service makes the key itself, so createSecret has it made, stores it, and ends what is not stored. An old
//! key lives until its overlap is over and the next rotation comes, or until revokeSecret.

mod addresses;
mod answer;
#[cfg(fuzzing)]
pub mod fuzzing;
mod https;
mod keys;
mod mint;
mod render;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};

use self::{answer::Answer, https::Bounds, keys::Key, render::Values};
use super::{
    Disconnect, Ended, Engine, EngineError, Known, Limits, Login, Promotion, Proven, Retiring,
    Revoked, Stored, Succession, Whose,
};
use crate::{
    document::{Api, Document, Request},
    settings::Settings,
};

pub use https::Https;

/// The pause between two tries of a key that is not ready yet.
const PAUSE: Duration = Duration::from_secs(1);

/// The service that a secret's document describes, for one invocation.
#[derive(Debug)]
pub struct ApiKey<'a> {
    https: &'a Https,
    bounds: Bounds<'a>,
    verified: AtomicU32,
}

impl<'a> ApiKey<'a> {
    /// The step begins now. The first request makes the first connection.
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

    /// How many keys the service lists for the holder of the master secret; `None` if the document has no `list`.
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
        // a retry could make a second key, unless the service recognises the token
        let repeatable = name != "create" || request.holds("token");
        let sent = self
            .https
            .send(name, request, &values, &self.bounds, repeatable);
        sent.await
    }

    /// Empty if the document has no `list`.
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

    /// `false` if the service says that no such key exists.
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

    /// Deletes a key that was current. "No such key" counts only if the key is no longer valid: a request for a wrong key would
    /// get the same answer.
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

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        known: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        self.successor_of(&succession, known, store).await
    }

    /// The service has already made the key; testSecret checks whether it is ready.
    async fn change<E: From<EngineError>>(
        &self,
        _: &Document,
        _: impl AsyncFnOnce() -> Result<Option<Proven<()>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        wanted().await.map(|_| None)
    }

    /// A service may need some seconds until it knows a key everywhere.
    async fn prove<E: From<EngineError>>(
        &self,
        document: &Document,
        _: &str,
        _: impl AsyncFnOnce() -> Result<Document, E>,
    ) -> Result<Login<()>, E> {
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

    /// A service does not end a key by itself: the next createSecret does, when the window is over. Only without a window the
    /// key ends here, if no other version holds it.
    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        if retiring.pinned || retiring.window != Some(Duration::ZERO) {
            return promote().await;
        }
        let master = read(Whose::Administrator).await?;
        let promotion = promote().await?;
        if promotion != Promotion::Outdated {
            let retired = retiring.replaced;
            // the old key cannot be tried here; if the service does not know it, the next rotation finds out what that means
            let known = self.delete(api(retired)?, &master, retired.username());
            if !known.await? {
                tracing::warn!(
                    key_id = retired.username(),
                    "the service has no such key to delete"
                );
            }
        }
        Ok(promotion)
    }

    async fn revoke<E: From<EngineError>>(
        &self,
        (): (),
        what: Revoked<'_>,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        match what {
            Revoked::Previous {
                administrator,
                previous,
            } => {
                // a service has no lock
                wanted().await?;
                self.end(administrator, previous).await?;
                Ok(Ended::default())
            }
            Revoked::SessionsBegunBefore(_) => Err(EngineError::Unable { what: "revoke" }.into()),
        }
    }
}

impl Disconnect for ApiKey<'_> {
    async fn disconnect(&self) -> u32 {
        self.verified.load(Ordering::Relaxed)
    }
}

fn api(document: &Document) -> Result<&Api, EngineError> {
    document.api().ok_or(EngineError::Unable { what: "mint" })
}
