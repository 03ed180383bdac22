//! Secrets that rotate under an application which never notices.

mod builder;
mod credential;
mod error;
#[cfg(feature = "harden")]
pub mod harden;
mod lifetime;
mod log_in;
#[cfg(any(feature = "deadpool", feature = "bb8", feature = "sqlx"))]
pub mod pool;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod provider;
mod recover;
mod refresh;
mod secret;
mod slot;

pub use builder::Builder;
pub use credential::Credential;
pub use error::{BuildError, Error};
pub use log_in::{Attempt, LogInError};
pub use secret::RotatingSecret;
pub use slot::CredentialGuard;
