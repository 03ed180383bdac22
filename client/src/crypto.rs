//! Which crypto provider TLS uses. The application decides, because rustls panics in a build that has two providers and
//! no choice between them.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// There is no crypto provider.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "TLS has no crypto provider: turn on the feature `aws-lc-rs` or `ring` of rotating-secret, or call rustls's CryptoProvider::install_default first"
)]
pub(crate) struct NoCrypto;

/// The provider that the process has installed, or else the one of this crate's features.
pub(crate) fn provider() -> Result<Arc<CryptoProvider>, NoCrypto> {
    choose(CryptoProvider::get_default().cloned(), built_in())
}

fn choose(
    installed: Option<Arc<CryptoProvider>>,
    built_in: Option<CryptoProvider>,
) -> Result<Arc<CryptoProvider>, NoCrypto> {
    installed.or(built_in.map(Arc::new)).ok_or(NoCrypto)
}

/// aws-lc-rs if both are on: it is rustls's own default.
#[cfg(feature = "aws-lc-rs")]
fn built_in() -> Option<CryptoProvider> {
    Some(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn built_in() -> Option<CryptoProvider> {
    Some(rustls::crypto::ring::default_provider())
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn built_in() -> Option<CryptoProvider> {
    None
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use rustls::crypto::ring;

    use super::*;

    #[test]
    fn the_provider_that_the_process_installed_is_used_or_else_the_built_in_one() {
        let named = |suites: usize| {
            let mut provider = ring::default_provider();
            provider.cipher_suites.truncate(suites);
            provider
        };
        let installed = Some(Arc::new(named(1)));
        for (installed, built_in, suites) in [
            (installed.clone(), Some(named(2)), 1),
            (installed, None, 1),
            (None, Some(named(2)), 2),
        ] {
            let chosen = choose(installed, built_in).unwrap();
            assert_eq!(chosen.cipher_suites.len(), suites);
        }
    }

    #[test]
    fn without_any_provider_the_error_says_what_to_do() {
        let error = choose(None, None).unwrap_err().to_string();
        for way in ["`aws-lc-rs`", "`ring`", "install_default"] {
            assert!(error.contains(way), "{error}");
        }
    }

    #[test]
    fn aws_lc_rs_is_used_if_both_features_are_on() {
        let of = |provider: CryptoProvider| format!("{:?}", provider.secure_random);
        let built_in = of(built_in().unwrap());
        if cfg!(feature = "aws-lc-rs") {
            assert_ne!(built_in, of(ring::default_provider()));
        } else {
            assert_eq!(built_in, of(ring::default_provider()));
        }
    }
}
