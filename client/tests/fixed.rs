//! The provider for an application's own tests: it fails on demand, and then recovers.
#![cfg(test)]

mod common;

use common::*;
use rotating_secret::{
    BuildError, Error, RotatingSecret,
    provider::{Fixed, ProviderErrorKind as Kind, SecretProvider, Stage},
};

#[tokio::test(start_paused = true)]
async fn the_provider_fails_as_configured_and_then_recovers() {
    for kind in [
        Kind::Throttled,
        Kind::Unavailable,
        Kind::AccessDenied,
        Kind::NotFound,
        Kind::Invalid,
    ] {
        let provider = Fixed::new().with("orders/db", version("v1"));
        let builder = RotatingSecret::builder("orders/db");
        let secret = builder.build(provider.clone()).await.unwrap();
        provider.set("orders/db", version("v2"));
        provider.fail(kind);
        let Error::Provider { reason, .. } = secret.refresh().await.unwrap_err() else {
            panic!("another error")
        };
        assert_eq!(reason.kind(), kind);
        assert!(reason.to_string().contains("Fixed::recover"), "{reason}");
        assert_eq!(held(&secret), "v1", "the current version is still served");
        provider.recover();
        pass(6 * MINUTE).await;
        assert_eq!(held(&secret), "v2");
    }
}

#[tokio::test]
async fn a_secret_that_is_built_during_a_failure_gets_an_error_of_its_kind() {
    let provider = Fixed::new().with("orders/db", version("v1"));
    provider.fail(Kind::AccessDenied);
    let failed = RotatingSecret::builder("orders/db").build(provider).await;
    let Err(BuildError::First(Error::Provider { reason, .. })) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(reason.kind(), Kind::AccessDenied);
}

#[tokio::test]
async fn the_version_before_the_current_one_is_the_previous_one_as_in_secrets_manager() {
    let provider = Fixed::new().with("orders/db", version("v1"));
    let previous = async || provider.fetch("orders/db", Stage::Previous).await;
    assert_eq!(previous().await.unwrap_err().kind(), Kind::NotFound);
    provider.set("orders/db", version("v1"));
    assert_eq!(previous().await.unwrap_err().kind(), Kind::NotFound);
    provider.set("orders/db", version("v2"));
    assert_eq!(previous().await.unwrap().id, "v1");
    provider.set_previous("orders/db", None);
    assert_eq!(previous().await.unwrap_err().kind(), Kind::NotFound);
}
