//! Secrets that rotate, for programs in any language.
//!
//! The agent listens on localhost and answers two protocols from one cache, which is the client crate's: it renews in the
//! background, asks once however many wait, and is honest about age.
//!
//! | module | what |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`settings`] | AWS's configuration file, and ours |
//! | [`token`], [`tokens`] | who may ask, and for what |
//! | [`upstream`] | Secrets Manager, and never this agent itself |
//! | [`store`] | the secrets that are held |
//! | [`prefetch`] | those that are read before someone asks |
//! | [`connections`] | who may have one |
//! | [`doors`] | what every request passes: limits, host, token |
//! | [`wire`] | the routes of AWS's agent |
//! | [`sdk`] | the JSON protocol that AWS's SDKs speak |
//! | [`server`] | the port: how long a connection may be silent, and the end |
//! | [`ready`] | the question of a probe |
//! | [`followed`] | the secrets that are followed without a reader |
//! | [`files`] | files that follow |
//! | [`exec`] | a child whose environment follows |
//! | [`children`] | processes that this one starts or inherits |
//! | [`fields`], [`names`] | what files and environments are made of |

pub mod arguments;
pub mod children;
pub mod connections;
pub mod doors;
mod error;
pub mod exec;
pub mod fields;
pub mod files;
pub mod followed;
pub mod names;
pub mod prefetch;
pub mod ready;
pub mod sdk;
pub mod server;
pub mod settings;
mod spelling;
pub mod store;
pub mod token;
pub mod tokens;
pub mod upstream;
mod value;
pub mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;

pub use error::Error;
use files::Files;
use followed::Followed;
use server::Server;
use settings::Settings;
use store::{Answer, Question, Stores};
use tokens::{Right, Tokens};
use upstream::Upstream;

/// What the requests share.
pub struct Agent {
    /// What it was set to.
    pub settings: Settings,
    /// What opens it.
    pub tokens: Tokens,
    /// What it holds.
    pub stores: Stores,
    /// What it writes.
    pub files: Files,
}

impl Agent {
    /// The version in question, for who has this right.
    pub(crate) async fn read(
        &self,
        right: Right<'_>,
        question: &Question,
    ) -> Result<Answer, rotating_secret::Error> {
        let denied = |reason| rotating_secret::Error::Provider {
            secret: question.id.as_str().into(),
            reason,
        };
        right.may_ask(question).map_err(denied)?;
        let answer = self.stores.read(question).await?;
        right.may_have(answer.credential.name()).map_err(denied)?;
        Ok(answer)
    }
}

/// Binds the port. The agent answers from then on, as soon as [`Server::run`] runs.
///
/// # Errors
///
/// The token is missing or too weak, the port is taken, TLS has no roots, the credentials do not pass `validate_credentials`, or secrets
/// cannot be written to a file's folder.
pub async fn start(settings: Settings) -> Result<Server, Error> {
    let tokens = Tokens::new(&settings)?;
    let upstream = Upstream::new(&settings).await?;
    let port = settings.port;
    let bind = |source| Error::Port { port, source };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(bind)?;
    if settings.validates_credentials {
        upstream.validate().await.map_err(Error::Credentials)?;
    }
    let followed = Followed::new(&upstream.aws(), &settings, [])?;
    let agent = Arc::new(Agent {
        files: Files::start(&settings, &followed)?,
        stores: Stores::new(upstream, &settings),
        settings,
        tokens,
    });
    tokio::spawn(prefetch::run(agent.clone()));
    Ok(Server::new(listener, agent))
}
