//! Secrets that rotate, for programs in any language.
//!
//! The agent listens on localhost and answers two protocols from one cache. The cache is the client crate's: it renews in the
//! background, asks once for all readers that wait, and reports the age of a version.
//!
//! | module | what |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`settings`] | AWS's configuration file, and ours |
//! | [`access`] | who may ask: tokens, users of sockets, hosts |
//! | [`asker`] | who asks |
//! | [`token`], [`tokens`], `allowance` | which token opens which secrets, and how much of the agent |
//! | [`upstream`] | Secrets Manager, and never this agent itself |
//! | [`store`] | the cached secrets |
//! | [`prefetch`] | secrets that are read before a request |
//! | [`connections`] | which connections are served |
//! | [`doors`] | the checks of every request: host, token, limits |
//! | [`wire`] | the routes of AWS's agent |
//! | [`sdk`] | the JSON protocol that AWS's SDKs speak |
//! | [`server`] | the port and the sockets: timeouts of a connection, and the shutdown |
//! | [`telemetry`] | metrics |
//! | [`log`] | the log |
//! | [`ready`] | the question of a probe |
//! | [`followed`] | secrets that are followed without a request |
//! | [`listen`] | new versions that a database announces |
//! | [`extension`] | the agent as an extension of Lambda |
//! | [`files`] | files that follow |
//! | [`reload`] | what SIGHUP replaces |
//! | [`exec`] | a child whose environment follows |
//! | [`children`] | processes that this one starts or inherits |
//! | [`fields`], [`names`] | the parts of files and environments |

pub mod access;
mod allowance;
pub mod arguments;
pub mod asker;
pub mod children;
pub mod connections;
pub mod doors;
mod error;
pub mod exec;
pub mod extension;
pub mod fields;
pub mod files;
pub mod followed;
mod http;
pub mod listen;
pub mod log;
pub mod names;
pub mod prefetch;
pub mod ready;
pub mod reload;
pub mod sdk;
pub mod server;
pub mod settings;
mod spelling;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod tokens;
pub mod upstream;
mod value;
mod whole_file;
pub mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rotating_secret::provider::ProviderError;
use tokio::sync::watch;

use access::Access;
use asker::Asker;
pub use error::Error;
use files::Files;
use followed::{Followed, OnRefusal};
use server::{Listeners, Metrics, Server};
use settings::Settings;
use store::{Answer, Question, Stores};
use tokens::{Right, denied};
use upstream::Upstream;

/// What all requests share.
pub struct Agent {
    /// Its settings.
    pub settings: Settings,
    access: ArcSwap<Access>,
    /// The secrets that it caches.
    pub stores: Stores,
    /// The secrets that it follows without a request.
    pub followed: Followed,
    /// The files that it writes.
    pub files: Files,
    /// Whether the shutdown has begun. Answers that wait for a change then end.
    pub ending: watch::Sender<bool>,
}

impl Agent {
    /// Who may ask now.
    pub fn access(&self) -> Arc<Access> {
        self.access.load_full()
    }

    fn replace(&self, mut access: Access) {
        access.inherit(&self.access());
        self.access.store(access.into());
    }

    /// The version, if the cache has it and the asker has the right to it.
    pub(crate) fn cached(
        &self,
        asker: &Asker,
        question: &Question,
    ) -> Result<Option<Answer>, rotating_secret::Error> {
        self.check(asker, question, |right| {
            let Some(answer) = self.stores.cached(question) else {
                return Ok(None);
            };
            right.may_have(answer.credential.name())?;
            Ok(Some(answer))
        })
    }

    /// Reads a version, if the asker has the right to it before and after the read: meanwhile it may have ended.
    pub(crate) async fn read(
        &self,
        asker: &Asker,
        question: &Question,
    ) -> Result<Answer, rotating_secret::Error> {
        if let Some(answer) = self.cached(asker, question)? {
            return Ok(answer);
        }
        let answer = self.stores.read(question).await?;
        self.check(asker, question, |right| {
            right.may_have(answer.credential.name())
        })?;
        Ok(answer)
    }

    /// Does this if the asker has the right to ask this question now.
    fn check<T>(
        &self,
        asker: &Asker,
        question: &Question,
        then: impl FnOnce(Right<'_>) -> Result<T, ProviderError>,
    ) -> Result<T, rotating_secret::Error> {
        let access = self.access();
        let right = access.right(asker);
        let right = right.ok_or_else(|| denied("this token or user no longer opens the agent"));
        let checked = right.and_then(|right| right.may_ask(question).and_then(|()| then(right)));
        checked.map_err(|reason| rotating_secret::Error::Provider {
            secret: question.id.as_str().into(),
            reason,
        })
    }

    /// Waits until the shutdown begins.
    pub(crate) async fn ends(&self) {
        // the agent holds the sender
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }
}

/// Binds the port and the sockets, and begins to prefetch. The agent answers once [`Server::run`] runs.
///
/// # Errors
///
/// The token is missing or weak, the port or a socket is in use, TLS has no roots, the credentials do not pass `validate_credentials`, or a file's
/// folder is not safe.
pub async fn start(settings: Settings) -> Result<Server, Error> {
    let server = bind(settings).await?;
    let agent = server.agent();
    let prefetched = agent.settings.prefetch.clone();
    tokio::spawn(prefetch::run(agent, prefetched));
    Ok(server)
}

/// Like [`start`], but does not prefetch: it makes no call before a request.
///
/// # Errors
///
/// As in [`start`].
pub async fn bind(settings: Settings) -> Result<Server, Error> {
    let access = Access::new(&settings)?;
    let upstream = Upstream::new(&settings).await?;
    let listeners = Listeners::bind(&settings).await?;
    let metrics = Metrics::bind(&settings).await?;
    if settings.validates_credentials {
        upstream.validate().await.map_err(Error::Credentials)?;
    }
    let announced = listen::announced(&settings).iter();
    let announced = announced.map(|listen| &*listen.secret);
    let followed = Followed::new(&upstream.aws(), &settings, announced, OnRefusal::Drop)?;
    listen::start(&settings, &followed)?;
    let agent = Arc::new(Agent {
        files: Files::start(&settings, &followed)?,
        stores: Stores::new(upstream, &settings),
        followed,
        settings,
        access: ArcSwap::from_pointee(access),
        ending: watch::Sender::default(),
    });
    agent.stores.adopt(&agent.followed);
    Ok(Server::new(listeners, metrics, agent))
}

#[cfg(test)]
impl Agent {
    /// One without files.
    pub(crate) fn of(token: &str, upstream: Upstream, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            access: ArcSwap::from_pointee(Access::of(token)),
            stores: Stores::new(upstream, &settings),
            followed: Followed::default(),
            files: Files::default(),
            settings,
            ending: watch::Sender::default(),
        })
    }

    /// One that has read `orders/db`, and its Secrets Manager.
    pub(crate) async fn with_a_secret(
        token: &str,
        settings: Settings,
    ) -> (Arc<Self>, local::secrets_manager::SecretsManager) {
        let rotates_nothing = Arc::new(|_| unreachable!("no test here rotates"));
        let service = local::secrets_manager::SecretsManager::new("us-east-1", rotates_nothing);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = service.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let input = serde_json::json!({ "Name": "orders/db", "SecretString": "one" });
        service.call("CreateSecret", input).await.unwrap();
        let agent = Self::of(token, Upstream::at(&endpoint), settings);
        let question = Question {
            id: "orders/db".to_owned(),
            ..Question::default()
        };
        agent.stores.read(&question).await.unwrap();
        (agent, service)
    }
}
