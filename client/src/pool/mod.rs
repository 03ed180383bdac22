//! Connection pools that follow a rotation without a restart.
//!
//! Each of them keeps one driver's pool for each version. When the secret changes, the next version's pool is filled in the
//! background, with as many connections as the old one has, while the old one serves: sessions outlive their password. Then
//! requests move to the next pool little by little, and the old one's connections close ([`Settings::drain`]); a connection in
//! use closes when it comes back. No connection in use is ever cut.
//!
//! A rejected login does not wait for that: the version that the server accepts instead serves from then on.
//!
//! # What it costs
//!
//! While the next pool fills, and for `drain`, there are up to twice as many connections as the pool's maximum. If the server
//! has no room for them, set [`Settings::one_for_one`]. If the server itself says so (SQLSTATE 53300, "too many connections"),
//! the rest is filled that way, and an old connection that is leaving closes for a request that needs its room.

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

/// How long an idle connection may take to answer before it is given up. If its server, or the route to it, is gone without a
/// message, the request would otherwise wait until the operating system gives up, for a quarter of an hour.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The current token, if this version's password is one: a token ends long before the version's pool does.
fn token(secret: &Shared, version: &str) -> Option<SecretString> {
    let last = secret.last();
    let credential = last.credential();
    let is_its_token = credential.is_auth_token() && credential.version() == version;
    credential.password().filter(|_| is_its_token).cloned()
}

/// The same in the driver's configuration.
#[cfg(any(feature = "deadpool", feature = "bb8"))]
fn with_current_token(
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

/// How a pool moves to the next version.
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
    /// A pool begins to fill the next one after a random part of this time; 2 seconds by default.
    ///
    /// All instances of an application learn of a change at the same moment, and would log in at once. No request waits for
    /// this, and no rejected login.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// How long the old version's connections take to leave after the next pool is full; 2 seconds by default.
    ///
    /// In the first half requests move to the new connections little by little. The first query of a new session costs the
    /// server several times as much; if all sessions were new at once, requests would wait for each other. In the second half
    /// the idle connections close, one after another. They leave at once after a rejected login, and if an old connection
    /// closes for each new one.
    pub fn drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Whether an idle connection of the old version closes before each new connection is made. Off by default.
    ///
    /// Then there are hardly more connections than before, and fewer of them serve while the next pool is filled: a request
    /// without an idle connection takes one of the new version, and may have to wait for a login. Connections in use stay until
    /// they come back, so they count in addition.
    pub fn one_for_one(self, one_for_one: bool) -> Self {
        Self {
            one_for_one,
            ..self
        }
    }

    /// Whether a connection is returned only if its server takes writes, which costs a query each time. Off by default.
    ///
    /// After a failover the old primary may be a standby, and its sessions stay open: each write on them is an error (SQLSTATE
    /// 25006). For tokio-postgres, `target_session_attrs=read-write` in the base configuration has the same effect.
    pub fn read_write(self, read_write: bool) -> Self {
        Self { read_write, ..self }
    }
}
