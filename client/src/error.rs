//! What went wrong, and what to do about it.
//!
//! The rule for every error of this crate: its text is complete in one line, causes included, so `source()` returns no cause
//! that the text already has. Code that prints the chain (`{:#}` of anyhow) prints each cause once.

use std::{sync::Arc, time::Duration};

use crate::provider::ProviderError;

/// Why no credential is available.
#[derive(Clone, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
#[non_exhaustive]
pub enum Error {
    /// The provider returned none.
    #[error("the secret {secret} cannot be read: {reason}")]
    Provider {
        secret: Arc<str>,
        reason: ProviderError,
    },
    /// Nobody asked for it yet: [`Builder::build_unread`](crate::Builder::build_unread).
    #[error("the secret {secret} was not read yet: wait for it with usable()")]
    Unread { secret: Arc<str> },
    /// The last one was not confirmed for too long.
    #[error(
        "the secret {secret} was last read {seconds} s ago, and that version may have ended: {}",
        cause(last)
    )]
    Expired {
        secret: Arc<str>,
        seconds: u64,
        last: Option<ProviderError>,
    },
    /// [`invalidate`](crate::RotatingSecret::invalidate) dropped it, and the provider has not answered since.
    #[error(
        "version {version} of the secret {secret} was dropped by invalidate: wait for the next one with usable()"
    )]
    Invalidated { secret: Arc<str>, version: Arc<str> },
    /// The server rejected every version that the provider has.
    #[error(
        "the server rejects every version of {secret} that there is ({tried}); the provider {asked}: someone changed the \
         password by hand, or the role may not log in; make one of them log in, or rotate"
    )]
    Rejected {
        secret: Arc<str>,
        tried: String,
        asked: String,
    },
    /// The runtime that renewed it was shut down.
    #[error(
        "the secret {secret} is not renewed any more, because the runtime that it was built on has ended: build it on the \
         runtime that uses it"
    )]
    Stopped { secret: Arc<str> },
}

fn cause(last: &Option<ProviderError>) -> String {
    match last {
        Some(error) => format!("since then, {error}"),
        None => "no answer came since then; check the route to the provider".to_owned(),
    }
}

/// Why a [`RotatingSecret`](crate::RotatingSecret) was not built.
#[derive(Clone, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
#[non_exhaustive]
pub enum BuildError {
    /// The version would outlive the old credential.
    #[error(
        "a ttl of {ttl:?} is not below the overlap window of {overlap:?}: an application would continue to use a credential \
         that has ended; shorten the ttl, or lengthen the window at the rotation function"
    )]
    TtlNotBelowOverlap { ttl: Duration, overlap: Duration },
    /// The lifetime would be over at once.
    #[error("a ttl of zero would ask the provider without a pause: give some seconds at least")]
    NoTtl,
    /// The first version is missing.
    #[error(transparent)]
    First(#[from] Error),
    /// The runtime is missing.
    #[error("there is no tokio runtime to renew the secret on: build it inside of one")]
    NoRuntime,
}
