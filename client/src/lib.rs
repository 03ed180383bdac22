#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
//!
//! # What happens at a rotation
//!
//! A rotation provides the new credential before the old one stops working. What this crate adds is to be on the new
//! one by then, in three ways, each of which would do:
//!
//! | | how the change is found | how soon |
//! |---|---|---|
//! | [`postgres::listen`] | the rotation function tells, through the database | milliseconds |
//! | the lifetime (`ttl`, 5 minutes) | the provider is asked before it ends | minutes |
//! | a rejected login | AWSCURRENT, then AWSPENDING, then AWSCURRENT again is tried, at once | one more login |
//!
//! A store may lag behind its last write, a replica region does. So a rejected login waits in a queue for the version that the
//! server has already, for [`lag`](Builder::lag) (5 seconds), while the provider is asked ten times and then once a second. A
//! version that was replaced is not believed to be in force again until the store can't lag any more, and the version that
//! a notification names is looked for, once a second, for as long.
//!
//! The third is what makes **single user** rotations work, where one password ends as the next one begins: between
//! setSecret and finishSecret only AWSPENDING logs in. Under **alternating users** the old one goes on for the
//! overlap window, so the lifetime has to be shorter than that: `ttl >= overlap_window` is refused.
//!
//! # Reading
//!
//! [`RotatingSecret::current`] takes no lock and gives the [`Credential`]: host, port, user, password, database, version and
//! age; or all of it as a URL ([`Credential::url`]). A task's own [`Reader`] does it with one atomic load. Other shapes are read with [`Credential::json`], [`text`](Credential::text) and
//! [`binary`](Credential::binary). When the provider fails, what is in force is served on; it gets older, and at the
//! bound, just below the overlap window, it is an error instead. [`RotatingSecret::usable`] waits for the next one then.
//! [`RotatingSecret::changed`] and [`changes`](RotatingSecret::changes) tell of a new version;
//! [`changed_from`](RotatingSecret::changed_from) does so in a loop that does other things too.
//!
//! Another driver than those below logs in through [`RotatingSecret::log_in`], and is recovered like them.
//!
//! # Signing keys
//!
//! A key that signs has to verify for some time after it was replaced. [`Builder::keep_previous`] keeps the version before the
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
//!     // another instance may sign with a key that this one has not seen yet; asked once a second in the long run
//!     Ok(by(&*secret.refresh().await?) == Some(true))
//! }
//! ```
//!
//! The store keeps AWSPREVIOUS until the next rotation. A token's own expiry is what ends it sooner; after a leak take the label
//! away (`aws secretsmanager update-secret-version-stage --version-stage AWSPREVIOUS --remove-from-version-id …`), and every
//! instance refuses that key within a `ttl`; one that cannot read AWSPREVIOUS, soon after its bound.
//!
//! # What asking costs
//!
//! An instance asks for a secret every 255 seconds on average: after 75 to 95 percent of the `ttl`, by chance. Secrets Manager
//! charges $0.05 for 10,000 calls (AWS's price list, September 2026: <https://aws.amazon.com/secrets-manager/pricing/>); a key of
//! your own in KMS is charged beside it.
//!
//! | | `ttl` | calls in 30 days | for one instance and secret | for 100 instances with 3 secrets |
//! |---|---|---|---|---|
//! | by default | 5 minutes | 10,165 | $0.051 | $15.25 |
//! | while [`postgres::listen`] has a session | 1 hour | 847 | $0.004 | $1.27 |
//!
//! The longer one is safe because the lifetime is only one of three ways in which a change is found. What a lost notification costs is
//! that an instance goes on with the old credential for an hour at most, half of the overlap window if that is shorter; under single
//! user the first rejected login finds the change. When the session ends, the usual lifetime begins. [`Builder::ttl`] sets one for
//! both.
//!
//! # TLS
//!
//! TLS uses the crypto provider that the process has installed (rustls's `CryptoProvider::install_default`), else that of
//! the feature; with both features on, aws-lc-rs. Only the HTTP client of [`provider::Aws::from_env`] takes it from the
//! features alone, because the AWS SDK takes no other. To stay on ring, set `default-features = false` and
//! `features = ["aws", "ring"]`. A build needs only one provider: with two, rustls's own `ClientConfig::builder()` panics
//! until one is installed. sqlx has TLS features of its own; `tls-rustls-aws-lc-rs` goes with the default here.
//!
//! [`postgres::tls`] is verify-full with RDS's roots and the public ones; `postgres::TlsBuilder` takes roots, a client certificate
//! and a crypto provider of your own, and makes `verify-ca`.
//!
//! # What it tells
//!
//! Through the [`metrics`] facade, each with the label `secret`: `rotating_secret_fetches_total`,
//! `rotating_secret_failures_total` (by `kind`), `rotating_secret_recoveries_total`,
//! `rotating_secret_version_changes_total`, and `rotating_secret_age_seconds`, as of the last fetch. Hits are not counted.
//! Through [`tracing`]: changes, failures, and what to do about them. Never a secret.
//!
//! # Limits
//!
//! - A pooler in transaction mode (PgBouncer, RDS Proxy) takes LISTEN and passes no notification on: connect
//!   [`postgres::listen`] to the server itself, or do without and mind the `ttl`. A pooler that keeps passwords of its own
//!   has to follow the rotation by itself.
//! - Passwords are `SecretString`s, wiped when dropped and shown by no Debug. But the SDK, TLS and the drivers make copies
//!   of theirs, which only `harden` wipes; and nothing wipes registers, swap, the kernel's buffers, or what the application
//!   copies.
//! - A read looks at no clock, and the task that ends what is past its bound runs on the runtime, whose time stands still while the
//!   machine is suspended. In a program that drives its runtime only now and then, in Lambda between two invocations, and after
//!   a suspend, [`current`](RotatingSecret::current) may give a credential past its bound: [`usable`](RotatingSecret::usable)
//!   looks at the runtime's clock and at the wall's, and so does every login.
//! - A version that the server rejects is tried again after a quarter of a second, then ever later, up to two seconds, by one
//!   login of a secret at a time. So a password that was set right by hand may be found two seconds later. Where the server
//!   accepts it for some, each login goes at that pace by itself: there may be two servers behind one name.
//! - PgBouncer says `08P01` for a wrong password and for much else: one more version is tried then, and nobody waits.
//! - A login of sqlx's takes some 90 ms over TCP, because it sets no TCP_NODELAY. At a change it is made in the background.
//! - sqlx sends the password in clear to a server that asks for it so, over TLS or, with `"ssl": false`, without: nothing here
//!   can refuse that. Through tokio-postgres and its pools no such request is answered.

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

/// What stands in signatures of [`pool::bb8`].
#[cfg(feature = "bb8")]
pub use bb8;
/// What stands in signatures of [`pool::deadpool`].
#[cfg(feature = "deadpool")]
pub use deadpool_postgres;
/// What stands in signatures of [`pool::sqlx`]. Its macros name `sqlx` themselves, and ask for it in your own dependencies.
#[cfg(feature = "sqlx")]
pub use sqlx;
/// What stands in signatures of [`postgres`].
#[cfg(feature = "postgres")]
pub use tokio_postgres;
/// What stands in signatures of [`provider::Vault`].
#[cfg(feature = "vault")]
pub use vaultrs;
/// What stands in signatures of [`provider::Aws`].
#[cfg(feature = "aws")]
pub use {aws_config, aws_sdk_secretsmanager};
/// What stands in signatures of [`provider::Azure`].
#[cfg(feature = "azure")]
pub use {azure_core, azure_security_keyvault_secrets};
/// What stands in signatures of [`postgres::tls`] and [`postgres::TlsBuilder`].
#[cfg(feature = "tls")]
pub use {rustls, tokio_postgres_rustls};
/// What stands in signatures here.
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
