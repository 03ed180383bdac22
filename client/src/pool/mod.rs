//! Connection pools that follow a rotation without a restart.
//!
//! Each of them keeps one pool of the driver's own for each version. When the secret changes, the next version's pool is
//! filled in the background, with as many connections as the old one has, while the old one serves: sessions outlive
//! their password. Then requests go over to the next one little by little, and the old one's connections leave
//! ([`Settings::drain`]), one in use when it comes back. None in use is ever cut.
//!
//! A login that the server rejects does not wait for that: what the server accepts in its place serves from then on.
//!
//! # What it costs
//!
//! For as long as it takes to fill the next pool, and for `drain`, there are up to twice as many connections as its maximum. Where the server
//! has no room for them, set [`Settings::one_for_one`]. A server that says so by itself (SQLSTATE 53300, "too many
//! connections") has the rest filled that way, and an old connection that still leaves closes for a request that needs its room.

#[cfg(feature = "bb8")]
pub mod bb8;
#[cfg(feature = "deadpool")]
pub mod deadpool;
mod following;
#[cfg(feature = "sqlx")]
pub mod sqlx;

use std::time::Duration;

#[cfg(any(feature = "deadpool", feature = "bb8"))]
use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::slot::Shared;

/// How long an idle connection may take to answer before it is given up. One whose server, or whose way there, has gone without a word
/// would have the request wait until the system gives it up, for a quarter of an hour.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The token in force, where the password of this version is one: it ends long before the version's pool does.
fn token(secret: &Shared, version: &str) -> Option<SecretString> {
    let last = secret.last();
    let credential = last.credential();
    let is_its_token = credential.is_auth_token() && credential.version() == version;
    credential.password().filter(|_| is_its_token).cloned()
}

/// The same in the driver's configuration.
#[cfg(any(feature = "deadpool", feature = "bb8"))]
fn with_token_in_force(
    config: &tokio_postgres::Config,
    secret: &Shared,
    version: &str,
) -> tokio_postgres::Config {
    let mut config = config.clone();
    if let Some(token) = token(secret, version) {
        config.password(token.expose_secret());
    }
    config
}

/// How a pool goes over to the next version.
#[derive(Clone, Copy, Debug)]
#[must_use = "a pool is made with it"]
pub struct Settings {
    pub(crate) jitter: Duration,
    pub(crate) drain: Duration,
    pub(crate) one_for_one: bool,
    pub(crate) read_write: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jitter: Duration::from_secs(2),
            drain: Duration::from_secs(2),
            one_for_one: false,
            read_write: false,
        }
    }
}

impl Settings {
    /// A pool begins to fill its successor after a random part of this; 2 seconds unless told.
    ///
    /// All instances of an application are told of a change at the same moment, and would log in at once. No request waits
    /// for it, nor does a login that was rejected.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// For how long the old version's connections leave once the next pool is full; 2 seconds unless told.
    ///
    /// In the first half requests go over to the new connections little by little. The first query of a new session costs
    /// the server several times as much; if all sessions were new at once, requests would wait for each other. In the
    /// second half the idle connections close, one after another. They leave at once after a rejected login, and where an
    /// old connection closes for each new one.
    pub fn drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Whether an idle connection of the old version closes before each one of the new version is made. Off unless told.
    ///
    /// Then there are hardly more connections than before, and fewer of them serve while the next pool is filled: a request
    /// that finds none idle takes one of the new version, and may have to wait for a login. Connections in use stay until
    /// they come back, so they count on top.
    pub fn one_for_one(self, one_for_one: bool) -> Self {
        Self {
            one_for_one,
            ..self
        }
    }

    /// Whether a connection is given only if its server takes writes, which costs a question each time. Off unless told.
    ///
    /// After a failover the old primary may be a standby, and its sessions live on: each write on them is an error
    /// (SQLSTATE 25006). For tokio-postgres, `target_session_attrs=read-write` in the base configuration says the same.
    pub fn read_write(self, read_write: bool) -> Self {
        Self { read_write, ..self }
    }
}
