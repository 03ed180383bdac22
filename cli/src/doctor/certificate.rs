//! The server's certificate: whether it is valid, and for how long.
//!
//! Like the function, doctor refuses an invalid certificate. It records the certificate before the usual verification, to say what is
//! wrong. A server that fails the verification gets no data.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use secret_rotation::{document::Document, engine::postgres::Roots};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    finding::{Cure, Verdict},
    network::PATIENCE,
};
use crate::{shell::Command, terminal::moment};

/// How long before its end a certificate is a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// PostgreSQL's SSLRequest, sent before TLS: a length of 8 bytes, and the request's code (PostgreSQL's manual).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Which CA files are known, besides RDS's roots and the public ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// All of them: the function has no other file.
    Known,
    /// Not all: the function may have a file that this machine lacks.
    Unknown,
}

/// Whether the function accepts the server's certificate, and for how long.
pub(super) async fn examine(
    document: &Document,
    roots: &Roots,
    trust: Trust,
    now: SystemTime,
) -> Verdict {
    if !document.tls() {
        let advice = "remove \"ssl\": false from the secret unless the network itself is trusted";
        return Verdict::warning(
            "without TLS, because the secret has \"ssl\": false",
            Cure::advice(advice),
        );
    }
    let roots = match roots.store() {
        Ok(roots) => roots,
        // a file of this machine
        Err(error) => return Verdict::of(&error),
    };
    let seen = Arc::default();
    let hand_shaken = match config(roots, &seen) {
        Ok(config) => timeout(PATIENCE, shake_hands(document, config)).await,
        Err(error) => return Verdict::wrong(error.to_string(), Cure::default()),
    };
    let end = end(&seen);
    match hand_shaken.unwrap_or_else(|_| Err(Failure::Io(io::ErrorKind::TimedOut.into()))) {
        Ok(()) => holds(end, now),
        Err(failure) => fails(document.host(), failure, trust, end, now),
    }
}

fn holds(end: Option<SystemTime>, now: SystemTime) -> Verdict {
    let Some(end) = end else {
        return Verdict::ok("it is valid");
    };
    let left = end.duration_since(now).unwrap_or_default();
    let days = left.as_secs() / (24 * 60 * 60);
    let what = format!("it is valid until {}, {days} days", moment(end));
    if left < SOON {
        Verdict::warning(what, renew())
    } else {
        Verdict::ok(what)
    }
}

fn fails(
    host: &str,
    failure: Failure,
    trust: Trust,
    end: Option<SystemTime>,
    now: SystemTime,
) -> Verdict {
    use CertificateError as E;
    let error = match failure {
        Failure::NoTls => {
            let advice = "turn it on at the server (ssl = on); only if the network itself is trusted, set \"ssl\": false \
                          in the secret";
            return Verdict::wrong("the server refuses TLS", Cure::advice(advice));
        }
        Failure::Name => {
            let what = format!("{host} is not a name that a certificate can carry");
            return Verdict::wrong(
                what,
                Cure::advice("store the server's name as the secret's host"),
            );
        }
        Failure::Io(error) => error,
    };
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    match tls {
        Some(TlsError::InvalidCertificate(E::Expired | E::ExpiredContext { .. })) => {
            let when = end.map_or(String::new(), |end| format!(" on {}", moment(end)));
            let by = moment(now);
            Verdict::wrong(
                format!("it has expired{when}, by this machine's clock ({by})"),
                renew(),
            )
        }
        // the CA file of an older server may have a CA with the same name: then the signature is wrong
        Some(TlsError::InvalidCertificate(E::UnknownIssuer | E::BadSignature))
            if trust == Trust::Unknown =>
        {
            Verdict::unknown(
                "no CA that this machine trusts has signed it; the function may trust a CA file that this machine lacks",
                Cure::advice("name the function's CA file here too, with --ca-file or TLS_CA_FILE"),
            )
        }
        Some(TlsError::InvalidCertificate(E::UnknownIssuer | E::BadSignature)) => Verdict::wrong(
            "no trusted CA has signed it: neither a public CA, nor RDS's, nor one in the CA file",
            Cure::advice(
                "name the file of the CA that signed it: --ca-file or TLS_CA_FILE here, TLS_CA_FILE in the function",
            ),
        ),
        Some(TlsError::InvalidCertificate(
            E::NotValidForName | E::NotValidForNameContext { .. },
        )) => {
            let advice = "store as the secret's host one of the names in the certificate";
            Verdict::wrong(
                format!("it is not for {host} ({error})"),
                Cure::advice(advice),
            )
        }
        Some(TlsError::InvalidCertificate(E::NotValidYet | E::NotValidYetContext { .. })) => {
            let what = format!(
                "it is not valid yet, by this machine's clock ({})",
                moment(now)
            );
            let advice = "check the clock of this machine, and then the certificate";
            Verdict::unknown(what, Cure::advice(advice))
        }
        Some(TlsError::InvalidCertificate(_)) => {
            Verdict::wrong(format!("it is not valid ({error})"), renew())
        }
        _ => {
            let advice = "see the server's log: the server accepts connections, but TLS fails";
            Verdict::unknown(
                format!("TLS with the server failed ({error})"),
                Cure::advice(advice),
            )
        }
    }
}

fn renew() -> Cure {
    let advice = "get a new certificate, put it where the server's ssl_cert_file and ssl_key_file point, and load it (on RDS: \
        modify-db-instance --ca-certificate-identifier):";
    Cure::advice(advice).command(Command::Psql(
        "SELECT pg_catalog.pg_reload_conf();".to_owned(),
    ))
}

enum Failure {
    NoTls,
    Name,
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn shake_hands(document: &Document, config: ClientConfig) -> Result<(), Failure> {
    let name = ServerName::try_from(document.host().to_owned()).map_err(|_| Failure::Name)?;
    let mut tcp = TcpStream::connect((document.host(), document.port())).await?;
    tcp.write_all(&SSL_REQUEST).await?;
    if tcp.read_u8().await? != b'S' {
        return Err(Failure::NoTls);
    }
    let mut tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?;
    // without an orderly end the server would log an error
    let _ = tls.shutdown().await;
    Ok(())
}

fn config(roots: RootCertStore, seen: &Arc<Seen>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier = verifier
        .build()
        .map_err(|error| TlsError::General(error.to_string()))?;
    let recorder = Recorder {
        verifier,
        seen: seen.clone(),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // the usual verification still decides, see `Recorder`
        .with_custom_certificate_verifier(Arc::new(recorder))
        .with_no_client_auth())
}

/// When the first of the server's certificates expires.
fn end(seen: &Seen) -> Option<SystemTime> {
    let seen = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
    let ends = seen.iter().filter_map(|certificate| {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let end = certificate.validity().not_after.timestamp();
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(end.try_into().ok()?))
    });
    ends.min()
}

/// The certificates that a server sent.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<CertificateDer<'static>>>);

/// Records the certificates, and leaves the verification to the usual verifier.
#[derive(Debug)]
struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let sent = [end_entity].into_iter().chain(intermediates);
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = sent
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        self.verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
