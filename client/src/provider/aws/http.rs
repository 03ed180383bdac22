//! The HTTP client that `Aws::from_env` gives the SDK: with TLS by the crypto provider of this crate's features.
//!
//! The process's own provider cannot be used: aws-smithy-http-client accepts it in an unstable build only.

use aws_sdk_secretsmanager::config::SharedHttpClient;

use crate::provider::{ProviderError, ProviderErrorKind as Kind};

/// A client that trusts the roots in `AWS_CA_BUNDLE`, or the platform's.
///
/// # Errors
///
/// `AWS_CA_BUNDLE` names a file that can't be read, or that holds no certificates; or there is no crypto provider.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
pub(super) fn client() -> Result<SharedHttpClient, ProviderError> {
    use aws_smithy_http_client::tls::{
        Provider, TlsContext, TrustStore, rustls_provider::CryptoMode,
    };
    use std::{env, fs, time::Duration};

    // the same choice as in crypto.rs
    #[cfg(feature = "aws-lc-rs")]
    let crypto = CryptoMode::AwsLc;
    #[cfg(not(feature = "aws-lc-rs"))]
    let crypto = CryptoMode::Ring;
    let trust = match env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        None => TrustStore::default(),
        Some(path) => {
            let pem = fs::read(&path).map_err(|error| {
                let message = format!(
                    "AWS_CA_BUNDLE, {}, cannot be read ({error}): correct it or unset it",
                    path.display()
                );
                ProviderError::new(Kind::Invalid, message)
            })?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|error| {
        let message =
            format!("no TLS with these roots ({error}): correct AWS_CA_BUNDLE or unset it");
        ProviderError::new(Kind::Invalid, message)
    })?;
    // an idle connection keeps the last answer in its buffer, and fetches are too rare to need one
    Ok(aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(Duration::from_secs(1))
        .tls_provider(Provider::Rustls(crypto))
        .tls_context(tls)
        .build_https())
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
pub(super) fn client() -> Result<SharedHttpClient, ProviderError> {
    Err(ProviderError::new(
        Kind::Invalid,
        "TLS has no crypto provider: turn on the feature `aws-lc-rs` or `ring` of rotating-secret, or use Aws::from_config with an HTTP client of your own",
    ))
}
