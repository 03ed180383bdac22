//! TLS that knows RDS's roots, which no public store holds.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::crypto;

/// The RDS roots of every region, in PEM, as AWS publishes them: for drivers that take their roots so, as sqlx does.
pub const RDS_ROOTS: &[u8] = include_bytes!("rds-root-cas.pem");

/// There is no TLS with these roots.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
#[non_exhaustive]
pub enum NoTls {
    /// The file of the caller's.
    #[error("no root certificate is read from {file} ({reason}): name a PEM file that holds one")]
    Unreadable { file: PathBuf, reason: String },
    /// The application has none, and neither of the features `aws-lc-rs` and `ring` is on.
    #[error("{reason}")]
    NoCryptoProvider { reason: String },
    /// The library's own.
    #[error(
        "TLS cannot be set up ({0}): install a crypto provider that has cipher suites for TLS 1.2 or 1.3"
    )]
    Unusable(#[from] rustls::Error),
}

/// Verify-full: the server's certificate has to be its name's, and to chain to one of RDS's roots, a public one, or
/// one in the PEM file `ca_file`.
///
/// # Errors
///
/// The file can't be read, or holds no certificate; or there is no crypto provider.
pub fn tls(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, NoTls> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let built_in = CertificateDer::pem_slice_iter(RDS_ROOTS);
    roots.add_parsable_certificates(built_in.filter_map(Result::ok));
    if let Some(file) = ca_file {
        add(&mut roots, file).map_err(|error| NoTls::Unreadable {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
    }
    let provider = crypto::provider().map_err(|error| NoTls::NoCryptoProvider {
        reason: error.to_string(),
    })?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn add(roots: &mut RootCertStore, file: &Path) -> io::Result<()> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    if roots.len() == before {
        return Err(io::Error::other("it holds no certificate"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use super::*;

    #[test]
    fn all_81_of_rdss_roots_are_built_in() {
        let mut roots = RootCertStore::empty();
        let built_in =
            CertificateDer::pem_slice_iter(RDS_ROOTS).map(|certificate| certificate.unwrap());
        assert_eq!(roots.add_parsable_certificates(built_in), (81, 0));
        assert!(tls(None).is_ok());
    }

    #[test]
    fn a_ca_file_that_cannot_be_read_or_holds_nothing_is_an_error() {
        for file in ["/nonexistent/ca.pem", "/dev/null"] {
            let error = tls(Some(Path::new(file))).err().unwrap().to_string();
            assert!(error.contains(file), "{error}");
        }
    }
}
