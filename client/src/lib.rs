#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::disallowed_methods)]
//!
//! # What happens at a rotation
//!
//! A rotation provides the new credential before the old one stops working. This crate makes sure that an application uses the
//! new one by then, in three ways, each of which is enough:
//!
//! | | how the change is found | how soon |
//! |---|---|---|
//! | [`postgres::listen`] | the rotation function announces it, through the database | milliseconds |
//! | the lifetime (`ttl`, 5 minutes) | the provider is asked before it ends | minutes |
//! | a rejected login | the login tries AWSCURRENT, then AWSPENDING, then AWSCURRENT again, at once | one more login |
//!
//! A store may lag behind its last write, as a replica region does. So a rejected login waits in a queue for the version that
//! the server already has, for [`lag`](Builder::lag) (5 seconds), while the provider is asked ten times and then once a second.
//! Until the store cannot lag any more, a version that was replaced does not become current again, and the version that a
//! notification names is looked for, once a second.
//!
//! The third way makes **single user** rotations work, where one password ends as the next one begins: between setSecret and
//! finishSecret only AWSPENDING logs in. Under **alternating users** the old one stays valid for the overlap window, so the
//! lifetime must be shorter than that: `ttl >= overlap_window` is refused.
//!
//! # Reading
//!
//! [`RotatingSecret::current`] takes no lock and returns the [`Credential`]: host, port, user, password, database, version and
//! age; or all of it as a URL ([`Credential::url`]). A task's own [`Reader`] needs only one atomic load. Read other shapes with
//! [`Credential::json`], [`text`](Credential::text) and [`binary`](Credential::binary). When the provider fails, the current
//! credential is still served; it gets older, and at the bound, just below the overlap window, there is an error instead. Then
//! [`RotatingSecret::usable`] waits for the next one. [`RotatingSecret::changed`] and [`changes`](RotatingSecret::changes)
//! report a new version; [`changed_from`](RotatingSecret::changed_from) does so in a loop that does other things too.
//!
//! Any other driver logs in through [`RotatingSecret::log_in`], and recovers in the same way.
//!
//! # Signing keys
//!
//! A signing key must still verify for some time after it was replaced. [`Builder::keep_previous`] keeps the version before the
//! current one too, in one slot with it: [`Credential::previous`]. Let the signature name its key by the version's id:
//!
//! ```
//! use rotating_secret::{Credential, Error, RotatingSecret};
//!
//! # struct Token { key: String }
//! # impl Token { fn is_signed_with(&self, _: &Credential) -> bool { true } }
//! async fn verifies(secret: &RotatingSecret, token: &Token) -> Result<bool, Error> {
//!     let by = |held: &Credential| {
//!         let mut keys = [Some(held), held.previous()].into_iter().flatten();
//!         keys.find(|key| key.version() == token.key).map(|key| token.is_signed_with(key))
//!     };
//!     if let Some(verdict) = by(&*secret.usable().await?) {
//!         return Ok(verdict);
//!     }
//!     // another instance may sign with a key that this one has not seen yet; in the long run this asks once a second
//!     Ok(by(&*secret.refresh().await?) == Some(true))
//! }
//! ```
//!
//! The store keeps AWSPREVIOUS until the next rotation. A token's own expiry ends it sooner; after a leak remove the label
//! (`aws secretsmanager update-secret-version-stage --version-stage AWSPREVIOUS --remove-from-version-id …`), and every
//! instance refuses that key within a `ttl`; an instance that cannot read AWSPREVIOUS refuses it soon after its bound.
//!
//! # What asking costs
//!
//! An instance asks for a secret every 255 seconds on average: after a random 75 to 95 percent of the `ttl`. After a start, a
//! change or an outage it is 25 to 95 percent once, so that a fleet which saw them together does not ask together. Secrets Manager
//! charges $0.05 for 10,000 calls (AWS's price list, September 2026: <https://aws.amazon.com/secrets-manager/pricing/>); a key
//! of your own in KMS is charged in addition.
//!
//! | | `ttl` | calls in 30 days | for one instance and secret | for 100 instances with 3 secrets |
//! |---|---|---|---|---|
//! | by default | 5 minutes | 10,165 | $0.051 | $15.25 |
//! | while [`postgres::listen`] has a session | 1 hour | 847 | $0.004 | $1.27 |
//!
//! The longer lifetime is safe because it is only one of three ways to find a change. After a lost notification an instance
//! uses the old credential for an hour at most, or for half of the overlap window if that is shorter; under single user the
//! first rejected login finds the change. When the session ends, the usual lifetime begins. [`Builder::ttl`] sets one lifetime
//! for both.
//!
//! # TLS
//!
//! TLS uses the crypto provider that the process has installed (rustls's `CryptoProvider::install_default`), or else that of
//! the feature; with both features on, aws-lc-rs. Only the HTTP client of [`provider::Aws::from_env`] always takes it from the
//! features, because the AWS SDK accepts no other. To stay on ring, set `default-features = false` and `features = ["aws",
//! "ring"]`. A build needs only one provider: with two, rustls's own `ClientConfig::builder()` panics until one is installed.
//! sqlx has its own TLS features; `tls-rustls-aws-lc-rs` matches the default here.
//!
//! [`postgres::tls`] is verify-full with RDS's roots and the public ones; `postgres::TlsBuilder` accepts your own roots, client
//! certificate and crypto provider, and makes `verify-ca`.
//!
//! # Metrics and logs
//!
//! Through the [`metrics`] facade, each with the label `secret`: `rotating_secret_fetches_total`,
//! `rotating_secret_failures_total` (by `kind`), `rotating_secret_recoveries_total`,
//! `rotating_secret_version_changes_total`, and `rotating_secret_age_seconds`, as of the last fetch. Hits are not counted.
//! Through [`tracing`]: changes, failures, and what to do about them. Never a secret.
//!
//! # Limits
//!
//! - A pooler in transaction mode (PgBouncer, RDS Proxy) accepts LISTEN but passes no notification on: connect
//!   [`postgres::listen`] to the server itself, or leave it out and choose the `ttl` accordingly. A pooler that keeps passwords
//!   must follow the rotation by itself.
//! - Passwords are `SecretString`s, wiped when dropped and shown by no Debug. But the SDK, TLS and the drivers make their own
//!   copies, which only `harden` wipes; and nothing wipes registers, swap, the kernel's buffers, or the application's copies.
//! - A read reads no clock, and the task that withdraws a credential past its bound runs on the runtime, whose time stops while
//!   the machine is suspended. In a program that drives its runtime only now and then, in Lambda between two invocations, and
//!   after a suspend, [`current`](RotatingSecret::current) may return a credential past its bound:
//!   [`usable`](RotatingSecret::usable) reads the runtime's clock and the wall's, and so does every login.
//! - A version that the server rejects is tried again after a quarter of a second, then after longer pauses, up to two seconds,
//!   by one login of a secret at a time. So a password that was corrected by hand may be found two seconds later. If the server
//!   accepts the version for some logins, each login keeps that pace by itself: there may be two servers behind one name.
//! - PgBouncer says `08P01` for a wrong password and for many other faults: one more version is tried then, and no login waits.
//! - A login of sqlx takes some 90 ms over TCP, because sqlx does not set TCP_NODELAY. At a change the pool logs in in the
//!   background.
//! - sqlx sends the password in clear text to a server that asks for it, over TLS or, with `"ssl": false`, without: this crate
//!   cannot prevent that. Through tokio-postgres and its pools no such request is answered.

/// The page's code is compiled as this crate's own.
#[cfg(all(doctest, feature = "aws"))]
#[doc = include_str!("../../docs/from-aws_secretsmanager_caching.md")]
mod coming_from_awss_caching_client {}

mod builder;
#[cfg(any(
    feature = "agent",
    feature = "aws",
    feature = "postgres",
    feature = "sqlx"
))]
mod causes;
mod credential;
#[cfg(any(feature = "https", feature = "tls"))]
mod crypto;
mod error;
#[cfg(fuzzing)]
#[allow(missing_docs, unreachable_pub, reason = "for fuzz/ alone")]
pub mod fuzzing;
#[cfg(feature = "harden")]
pub mod harden;
mod lifetime;
mod log_in;
#[cfg(any(feature = "deadpool", feature = "bb8", feature = "sqlx"))]
pub mod pool;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlx"))]
mod postgresql;
pub mod provider;
mod reader;
mod refresh;
mod rejections;
mod secret;
mod slot;

/// Types in the signatures of [`pool::bb8`].
#[cfg(feature = "bb8")]
pub use bb8;
/// Types in the signatures of [`pool::deadpool`].
#[cfg(feature = "deadpool")]
pub use deadpool_postgres;
/// Types in the signatures of [`pool::sqlx`]. Its macros name `sqlx` themselves, and need it in your own dependencies.
#[cfg(feature = "sqlx")]
pub use sqlx;
/// Types in the signatures of [`postgres`].
#[cfg(feature = "postgres")]
pub use tokio_postgres;
/// Types in the signatures of [`provider::Vault`].
#[cfg(feature = "vault")]
pub use vaultrs;
/// Types in the signatures of [`provider::Aws`].
#[cfg(feature = "aws")]
pub use {aws_config, aws_sdk_secretsmanager};
/// Types in the signatures of [`provider::Azure`].
#[cfg(feature = "azure")]
pub use {azure_core, azure_security_keyvault_secrets};
/// Types in the signatures of [`postgres::tls`] and [`postgres::TlsBuilder`].
#[cfg(feature = "tls")]
pub use {rustls, tokio_postgres_rustls};
/// Types in the signatures of this crate.
pub use {secrecy, serde_json};

pub use builder::Builder;
pub use credential::Credential;
pub use error::{BuildError, Error};
pub use log_in::{Attempt, LogInError};
#[cfg(any(feature = "postgres", feature = "sqlx"))]
pub use postgresql::NotALogin;
pub use reader::Reader;
pub use rotating_secret_document::{DocumentError, FieldNames};
pub use secret::RotatingSecret;
pub use slot::CredentialGuard;
