//! TLS with RDS's roots, which no public store holds.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::chain::ChainOnly;
use crate::crypto;

/// The RDS roots of every region, in PEM, as AWS publishes them: for drivers that take roots in this form, such as sqlx.
pub const RDS_ROOTS: &[u8] = include_bytes!("rds-root-cas.pem");

/// TLS is not possible with these settings.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
#[non_exhaustive]
pub enum TlsError {
    /// The caller's file.
    #[error("no root certificate is read from {file} ({reason}): name a PEM file that holds one")]
    Unreadable { file: PathBuf, reason: String },
    /// The caller's text.
    #[error("ca_pem was given no root certificate ({reason}): give it the PEM text of one")]
    NotRoots { reason: String },
    /// Nothing is trusted.
    #[error(
        "there is no root certificate to trust: verify_ca and without_built_in_roots leave out those that are built in; give your own \
         with ca_pem or ca_file"
    )]
    NoRoots,
    /// The client's own certificate or key.
    #[error(
        "the client certificate cannot be used ({reason}): give its PEM, the client's own certificate first, and its private key"
    )]
    ClientCertificate { reason: String },
    /// The application has none, and neither of the features `aws-lc-rs` and `ring` is on.
    #[error("{reason}")]
    NoCryptoProvider { reason: String },
    /// The library's own error.
    #[error(
        "TLS cannot be set up ({0}): install a crypto provider that has cipher suites for TLS 1.2 or 1.3"
    )]
    Unusable(#[from] rustls::Error),
}

/// Verify-full: the server's certificate must be valid for its name, and must chain to one of RDS's roots, a public one, or one
/// in the PEM file `ca_file`. [`TlsBuilder`] sets up TLS in other ways.
///
/// # Errors
///
/// The file can't be read, or holds no certificate; or there is no crypto provider.
pub fn tls(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, TlsError> {
    let builder = TlsBuilder::new();
    match ca_file {
        Some(file) => builder.ca_file(file),
        None => builder,
    }
    .build()
}

/// TLS for tokio-postgres, with settings of your own.
///
/// By default it is what [`tls`] makes: verify-full, with RDS's roots and the public ones.
///
/// ```
/// # fn example(ca: &str, chain: &str, key: secrecy::SecretString) -> Result<(), rotating_secret::postgres::TlsError> {
/// use rotating_secret::postgres::TlsBuilder;
///
/// let tls = TlsBuilder::new().ca_pem(ca).client_certificate(chain, key).build()?;
/// # Ok(()) }
/// ```
#[must_use = "build makes the TLS"]
pub struct TlsBuilder {
    built_in_roots: bool,
    roots: Vec<Roots>,
    client: Option<(Vec<u8>, SecretString)>,
    checks_name: bool,
    crypto_provider: Option<Arc<CryptoProvider>>,
}

/// The caller's PEM.
enum Roots {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Default for TlsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsBuilder {
    /// RDS's roots and the public ones, verify-full, and the crypto provider of the process or of this crate's features.
    pub fn new() -> Self {
        Self {
            built_in_roots: true,
            roots: Vec::new(),
            client: None,
            checks_name: true,
            crypto_provider: None,
        }
    }

    /// Root certificates to trust in addition, in PEM.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(Roots::Text(pem.into()));
        self
    }

    /// The same from a file, which [`build`](Self::build) reads.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.roots.push(Roots::File(file.into()));
        self
    }

    /// Trusts only what [`ca_pem`](Self::ca_pem) and [`ca_file`](Self::ca_file) give.
    pub fn without_built_in_roots(self) -> Self {
        Self {
            built_in_roots: false,
            ..self
        }
    }

    /// The client's certificate for a server that asks for one (`clientcert` in `pg_hba.conf`): its chain in PEM, the client's
    /// own certificate first, and its private key in PEM.
    pub fn client_certificate(self, chain: impl Into<Vec<u8>>, key: SecretString) -> Self {
        Self {
            client: Some((chain.into(), key)),
            ..self
        }
    }

    /// Checks who signed the server's certificate, and not the name in it, as libpq's `verify-ca`: for a server that is reached
    /// by another name than its certificate has.
    ///
    /// Anyone can get a certificate that a public root or one of RDS's has signed. So only your own roots are trusted then.
    pub fn verify_ca(self) -> Self {
        Self {
            checks_name: false,
            ..self.without_built_in_roots()
        }
    }

    /// Uses this crypto provider, in place of the one that the process has installed or of this crate's features.
    pub fn crypto_provider(self, provider: Arc<CryptoProvider>) -> Self {
        Self {
            crypto_provider: Some(provider),
            ..self
        }
    }

    /// # Errors
    ///
    /// A PEM can't be read or holds nothing; nothing is trusted; or there is no crypto provider, or none for such a key.
    pub fn build(self) -> Result<MakeRustlsConnect, TlsError> {
        let roots = self.trusted()?;
        let provider = match self.crypto_provider {
            Some(provider) => provider,
            None => crypto::provider().map_err(|error| TlsError::NoCryptoProvider {
                reason: error.to_string(),
            })?,
        };
        let algorithms = provider.signature_verification_algorithms;
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = match self.checks_name {
            true => config.with_root_certificates(roots),
            false => config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(ChainOnly { roots, algorithms })),
        };
        let config = match self.client {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let wrong = |reason: String| TlsError::ClientCertificate { reason };
                let chain: Result<Vec<_>, pem::Error> =
                    CertificateDer::pem_slice_iter(&chain).collect();
                let chain = chain.map_err(|error| wrong(error.to_string()))?;
                let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes());
                let key = key.map_err(|error| wrong(format!("its key: {error}")))?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong(error.to_string()))?
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn trusted(&self) -> Result<RootCertStore, TlsError> {
        let mut trusted = RootCertStore::empty();
        if self.built_in_roots {
            trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            let rds = CertificateDer::pem_slice_iter(RDS_ROOTS);
            trusted.add_parsable_certificates(rds.filter_map(Result::ok));
        }
        for roots in &self.roots {
            match roots {
                Roots::Text(pem) => {
                    add(&mut trusted, CertificateDer::pem_slice_iter(pem)).map_err(|error| {
                        TlsError::NotRoots {
                            reason: error.to_string(),
                        }
                    })
                }
                Roots::File(file) => CertificateDer::pem_file_iter(file)
                    .map_err(io::Error::other)
                    .and_then(|certificates| add(&mut trusted, certificates))
                    .map_err(|error| TlsError::Unreadable {
                        file: file.clone(),
                        reason: error.to_string(),
                    }),
            }?;
        }
        match trusted.is_empty() {
            true => Err(TlsError::NoRoots),
            false => Ok(trusted),
        }
    }
}

fn add(
    trusted: &mut RootCertStore,
    certificates: impl Iterator<Item = Result<CertificateDer<'static>, pem::Error>>,
) -> io::Result<()> {
    let before = trusted.len();
    for certificate in certificates {
        let certificate = certificate.map_err(io::Error::other)?;
        trusted.add(certificate).map_err(io::Error::other)?;
    }
    match trusted.len() == before {
        true => Err(io::Error::other("it holds no certificate")),
        false => Ok(()),
    }
}

/// Shows nothing of the key.
impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("built_in_roots", &self.built_in_roots)
            .field("own_roots", &self.roots.len())
            .field("client_certificate", &self.client.is_some())
            .field("checks_name", &self.checks_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use super::*;

    /// One of RDS's certificates, as a root that is not secret.
    fn root() -> Vec<u8> {
        let text = str::from_utf8(RDS_ROOTS).unwrap();
        let end = "-----END CERTIFICATE-----";
        let (first, _) = text.split_once(end).unwrap();
        format!("{first}{end}\n").into()
    }

    fn refused(builder: TlsBuilder) -> String {
        builder.build().err().unwrap().to_string()
    }

    #[test]
    fn all_81_of_rdss_roots_are_built_in() {
        let mut roots = RootCertStore::empty();
        let built_in =
            CertificateDer::pem_slice_iter(RDS_ROOTS).map(|certificate| certificate.unwrap());
        assert_eq!(roots.add_parsable_certificates(built_in), (81, 0));
        let public = webpki_roots::TLS_SERVER_ROOTS.len();
        assert_eq!(TlsBuilder::new().trusted().unwrap().len(), 81 + public);
        assert!(tls(None).is_ok());
    }

    #[test]
    fn an_unreadable_or_empty_ca_file_is_an_error() {
        for file in ["/nonexistent/ca.pem", "/dev/null"] {
            let error = tls(Some(Path::new(file))).err().unwrap().to_string();
            assert!(error.contains(file), "{error}");
        }
    }

    #[test]
    fn roots_of_your_own_are_trusted_beside_those_that_are_built_in_or_alone() {
        let built_in = TlsBuilder::new().trusted().unwrap().len();
        let beside = TlsBuilder::new().ca_pem(root()).trusted().unwrap();
        assert_eq!(beside.len(), built_in + 1);
        for alone in [
            TlsBuilder::new().ca_pem(root()).without_built_in_roots(),
            TlsBuilder::new().verify_ca().ca_pem(root()),
        ] {
            assert_eq!(alone.trusted().unwrap().len(), 1);
            assert!(alone.build().is_ok());
        }
    }

    #[test]
    fn tls_without_roots_is_refused_with_what_to_do() {
        for builder in [
            TlsBuilder::new().without_built_in_roots(),
            TlsBuilder::new().verify_ca(),
        ] {
            let error = refused(builder);
            assert!(error.contains("ca_pem"), "{error}");
        }
    }

    #[test]
    fn a_pem_that_holds_no_root_or_no_key_is_refused_and_not_quoted() {
        let error = refused(TlsBuilder::new().ca_pem("s3cret"));
        assert!(error.contains("ca_pem"), "{error}");
        for (chain, key) in [
            (root(), "s3cret"),
            (b"s3cret".to_vec(), "s3cret"),
            (
                root(),
                "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n",
            ),
        ] {
            let builder = TlsBuilder::new().client_certificate(chain, key.into());
            let shown = format!("{builder:?}");
            let error = refused(builder);
            assert!(error.contains("the client certificate"), "{error}");
            for text in [shown, error] {
                assert!(!text.contains("s3cret") && !text.contains("czNj"), "{text}");
            }
        }
    }

    #[test]
    fn a_crypto_provider_of_your_own_is_the_one_that_is_used() {
        let useless = CryptoProvider {
            cipher_suites: Vec::new(),
            ..rustls::crypto::ring::default_provider()
        };
        let error = refused(TlsBuilder::new().crypto_provider(useless.into()));
        assert!(error.contains("no usable cipher suites"), "{error}");
    }
}
