//! The roots that a server's certificate must chain to.
//!
//! RDS's certificates chain to AWS's own roots, which no public store holds, so they are built in, beside the public ones. They
//! are parsed when the first connection needs them: parsing would be most of a start.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::sync::OnceCell;

use crate::engine::{EngineError, roots};

/// The RDS roots of every region, as AWS publishes them. The file is in the client's package, because the client is published.
const RDS_ROOTS: &[u8] = include_bytes!("../../../client/src/postgres/rds-root-cas.pem");

/// The trusted roots, loaded once.
#[derive(Debug)]
pub struct Roots {
    ca_file: Option<PathBuf>,
    loaded: OnceCell<Arc<ClientConfig>>,
}

impl Roots {
    /// The built-in roots, and those in the PEM file `ca_file`, if given.
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            loaded: OnceCell::new(),
        }
    }

    /// The TLS configuration: verify-full; nothing weaker can be configured.
    pub(super) async fn client(&self) -> Result<ClientConfig, EngineError> {
        let config = self
            .loaded
            .get_or_try_init(|| async { self.load().map(Arc::new) })
            .await?;
        Ok(ClientConfig::clone(config))
    }

    /// The roots themselves: the built-in ones and those of the CA file.
    ///
    /// # Errors
    ///
    /// The CA file cannot be read, or holds no certificate.
    pub fn store(&self) -> Result<RootCertStore, EngineError> {
        let mut trusted = roots::public();
        let (_, refused) = trusted.add_parsable_certificates(
            CertificateDer::pem_slice_iter(RDS_ROOTS).filter_map(Result::ok),
        );
        debug_assert_eq!(refused, 0, "the built-in roots are tested to be readable");
        roots::with_file(trusted, self.ca_file.as_deref())
    }

    fn load(&self) -> Result<ClientConfig, EngineError> {
        roots::client(self.store()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_81_built_in_rds_roots_is_trusted() {
        let mut roots = RootCertStore::empty();
        let counted = roots.add_parsable_certificates(
            CertificateDer::pem_slice_iter(RDS_ROOTS).map(|certificate| certificate.unwrap()),
        );
        assert_eq!(counted, (81, 0));
    }
}
