//! TLS for every engine: the certificate must be that host's, and nothing weaker can be configured.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::EngineError;

/// The public roots.
pub(super) fn public() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

/// These roots, and those in the PEM file `ca_file`, if given.
pub(super) fn with_file(
    mut roots: RootCertStore,
    ca_file: Option<&Path>,
) -> Result<RootCertStore, EngineError> {
    let Some(path) = ca_file else {
        return Ok(roots);
    };
    let unreadable = |reason: String| EngineError::Roots {
        reason: format!("{}: {reason}", path.display()),
    };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
    let before = roots.len();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(unreadable("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// A client that trusts these roots.
pub(super) fn client(roots: RootCertStore) -> Result<ClientConfig, EngineError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| EngineError::Roots {
            reason: error.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_or_empty_ca_file_is_an_error_and_not_fewer_roots() {
        for path in ["/nonexistent/ca.pem", "/dev/null"] {
            let error = with_file(public(), Some(path.as_ref())).unwrap_err();
            assert_eq!(error.error_type(), "TlsRootsUnreadable");
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
