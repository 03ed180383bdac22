//! One HTTP client for the stores whose own crates would choose their own TLS: rustls, with the application's crypto provider.

use reqwest::{Client, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::crypto;

/// A client that trusts these roots, or the platform's, and asks once: the caller has time limits and retries.
///
/// # Errors
///
/// What is missing for TLS, and what to do about it.
pub(super) fn client(
    roots: Option<RootCertStore>,
    redirects: redirect::Policy,
    https_only: bool,
) -> Result<Client, String> {
    let no_tls =
        |error: rustls::Error| format!("TLS cannot be set up ({error}): install root certificates");
    let provider = crypto::provider().map_err(|error| error.to_string())?;
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(no_tls)?;
    let tls = match roots {
        Some(roots) => tls.with_root_certificates(roots),
        None => tls.with_platform_verifier().map_err(no_tls)?,
    };
    Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .https_only(https_only)
        .redirect(redirects)
        .retry(retry::never()) // reqwest's default repeats what a server refused to begin with
        .build()
        .map_err(|error| {
            format!("the HTTP client cannot be set up ({error}): install root certificates")
        })
}
