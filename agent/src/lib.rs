//! Secrets that rotate, for programs in any language.
//!
//! The agent listens on localhost and answers two protocols from one cache, which is the client crate's: it renews in the
//! background, asks once however many wait, and is honest about age.
//!
//! | module | what |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`settings`] | AWS's configuration file, and ours |
//! | [`token`] | who may ask |
//! | [`upstream`] | Secrets Manager, and never this agent itself |
//! | [`store`] | the secrets that are held |
//! | [`doors`] | what every request passes: limits, host, token |
//! | [`wire`] | the routes of AWS's agent |
//! | [`sdk`] | the JSON protocol that AWS's SDKs speak |
//! | [`server`] | connections |
//! | [`followed`] | the secrets that are followed without a reader |
//! | [`files`] | files that follow |
//! | [`exec`] | a child whose environment follows |
//! | [`children`] | processes that this one starts or inherits |
//! | [`fields`], [`names`] | what files and environments are made of |

pub mod arguments;
pub mod children;
pub mod doors;
mod error;
pub mod exec;
pub mod fields;
pub mod files;
pub mod followed;
pub mod names;
pub mod sdk;
pub mod server;
pub mod settings;
pub mod store;
pub mod token;
pub mod upstream;
pub mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;

pub use error::Error;
use files::Files;
use followed::Followed;
use server::Server;
use settings::Settings;
use store::Store;
use token::Token;

/// What the requests share.
pub struct Agent {
    /// What it was set to.
    pub settings: Settings,
    /// What opens it.
    pub token: Token,
    /// What it holds.
    pub store: Store,
    /// What it writes.
    pub files: Files,
}

/// Binds the port. The agent answers from then on, as soon as [`Server::run`] runs.
///
/// # Errors
///
/// The token is missing or too weak, the port is taken, TLS has no roots, or secrets cannot be written to a file's folder.
pub async fn start(settings: Settings) -> Result<Server, Error> {
    let token = Token::from_environment(&settings.token_variables)?;
    let aws = upstream::connect(&settings).await?;
    let port = settings.port;
    let bind = |source| Error::Port { port, source };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(bind)?;
    let followed = Followed::new(&aws, &settings, [])?;
    let files = Files::start(&settings, &followed)?;
    let store = Store::new(aws, &settings);
    let agent = Agent {
        files,
        settings,
        token,
        store,
    };
    Ok(Server::new(listener, Arc::new(agent)))
}
