//! A CA made on the spot, and a server's certificate that it signed.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::Error;

/// PEM texts. The CA's key is dropped: nothing else is ever signed by it.
pub(super) struct Certificates {
    pub(super) ca: String,
    pub(super) server: String,
    pub(super) server_key: String,
}

/// Makes both for the given host names and addresses.
pub(super) fn make(hosts: &[String]) -> Result<Certificates, Error> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "secret-rotation local world");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let server_key = KeyPair::generate()?;
    let server = CertificateParams::new(hosts)?.signed_by(&server_key, &Issuer::new(ca, ca_key))?;
    Ok(Certificates {
        ca: ca_pem,
        server: server.pem(),
        server_key: server_key.serialize_pem(),
    })
}
