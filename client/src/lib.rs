//! Secrets that rotate under an application which never notices.
//!
//! ```no_run
//! # #[cfg(all(feature = "aws", feature = "tls"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rotating_secret::{RotatingSecret, postgres, provider::Aws};
//!
//! let secret = RotatingSecret::builder("orders/db").build(Aws::from_env().await?).await?;
//! let client = postgres::connect(&secret, postgres::tls(None)?).await?;
//! let row = client.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```
//!
//! That is all. From then on the credential is renewed in the background, and what connects through it goes over to the
//! new one when it changes.
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
//! # Features
//!
//! | | |
//! |---|---|
//! | `aws` (default), `rds_iam`, `agent`, `vault`, `azure`, `file`, `env` | where secrets come from: see [`provider`] |
//! | `sso`, `credentials-process` (default) | AWS profiles that sign in with IAM Identity Center, or run a command |
//! | `aws-lc-rs` (default), `ring` | the crypto provider below TLS, where the process has installed none |
//! | `postgres`, `tls`, `listen` | tokio-postgres, TLS that knows RDS's roots, and being told of a change: see [`postgres`] |
//! | `deadpool`, `bb8`, `sqlx` | pools whose connections change over: see [`pool`] |
//! | `harden` | Linux: no core dumps, and an allocator that wipes what it frees |
//!
//! TLS uses the crypto provider that the process has installed (rustls's `CryptoProvider::install_default`), else that of
//! the feature; with both features on, aws-lc-rs. Only the HTTP client of [`provider::Aws::from_env`] takes it from the
//! features alone, because the AWS SDK takes no other. To stay on ring, set `default-features = false` and
//! `features = ["aws", "ring"]`. A build needs only one provider: with two, rustls's own `ClientConfig::builder()` panics
//! until one is installed. sqlx has TLS features of its own; `tls-rustls-aws-lc-rs` goes with the default here.
//!
//! Each pool has an example, to be run beside `local up`: `cargo run -p rotating-secret --example sqlx --all-features`.
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
//! - sqlx sends the password in clear to a server that asks for it so, over TLS or, with `"ssl": false`, without: nothing here
//!   can refuse that. Through tokio-postgres and its pools no such request is answered.
//! - sqlx computes a password's proof in slices, between which other tasks run: its logins are slow on a busy runtime.

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

pub use builder::Builder;
pub use credential::Credential;
pub use error::{BuildError, Error};
pub use log_in::{Attempt, LogInError};
#[cfg(any(feature = "postgres", feature = "sqlx"))]
pub use postgresql::NotALogin;
pub use reader::Reader;
pub use rotating_secret_document::DocumentError;
pub use secret::RotatingSecret;
pub use slot::CredentialGuard;
