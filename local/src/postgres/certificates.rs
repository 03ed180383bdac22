//! A new CA, and server certificates that it signs.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

use super::Error;

/// The CA, with the names that its certificates are for.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(super) pem: String,
    hosts: Vec<String>,
}

/// PEM texts.
pub(super) struct Certificate {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    /// A CA that signs for the given host names and addresses.
    pub(super) fn new(hosts: &[String]) -> Result<Self, Error> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name
            .push(DnType::CommonName, "secret-rotation local world");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let pem = ca.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(ca, key),
            pem,
            hosts: hosts.to_vec(),
        })
    }

    /// A server certificate that is valid for this many days. A negative number means that it has expired.
    pub(super) fn sign(&self, days: i64) -> Result<Certificate, Error> {
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(self.hosts.clone())?;
        let now = OffsetDateTime::now_utc();
        server.not_after = now + Duration::days(days);
        server.not_before = server.not_after.min(now) - Duration::days(1);
        Ok(Certificate {
            certificate: server.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}
