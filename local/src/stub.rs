//! The common part of the stand-ins for other stores: a port, faults, and a record of the requests.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    serve::Listener,
};
use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What a request gets in place of its answer. It has no effect.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and this body.
    Answer(u16, String),
    /// A redirect (307) to this address.
    Redirect(String),
    /// The connection closes without an answer.
    Close,
    /// Nothing, forever.
    Hang,
}

/// The next faults, and the past requests.
#[derive(Clone, Default)]
pub(crate) struct Script {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    requests: Arc<watch::Sender<Vec<String>>>,
}

impl Script {
    pub(crate) fn fail(&self, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push_back(fault);
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    pub(crate) async fn asked(&self, times: usize) {
        // cannot fail: the sender is self.requests
        let mut requests = self.requests.subscribe();
        let _ = requests.wait_for(|requests| requests.len() >= times).await;
    }

    /// Every request passes here first.
    async fn meet(State(script): State<Self>, request: Request, next: Next) -> Response {
        let line = format!("{} {}", request.method(), request.uri().path());
        script.requests.send_modify(|requests| requests.push(line));
        let fault = {
            let mut faults = script.faults.lock().unwrap_or_else(PoisonError::into_inner);
            faults.pop_front()
        };
        match fault {
            None => next.run(request).await,
            Some(Fault::Answer(status, body)) => (status_code(status), body).into_response(),
            Some(Fault::Redirect(to)) => {
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response()
            }
            Some(Fault::Close) => no_answer(),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

/// Serves on a free port of this machine until the runtime ends. With a certificate it uses TLS.
pub(crate) async fn serve(
    router: Router,
    script: &Script,
    certificate: Option<&Certificate>,
) -> io::Result<SocketAddr> {
    let router = router.layer(middleware::from_fn_with_state(script.clone(), Script::meet));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    match certificate {
        None => drop(tokio::spawn(axum::serve(listener, router).into_future())),
        Some(certificate) => {
            let acceptor = certificate.acceptor()?;
            let listener = Tls { listener, acceptor };
            drop(tokio::spawn(axum::serve(listener, router).into_future()));
        }
    }
    Ok(address)
}

/// A new self-signed certificate.
pub(crate) struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    pub(crate) fn new(names: &[&str]) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).map_err(io::Error::other)?;
        let cert = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self(CertifiedKey {
            cert,
            signing_key: key,
        }))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.cert.pem()
    }

    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let key = PrivatePkcs8KeyDer::from(self.0.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![self.0.cert.der().clone()], PrivateKeyDer::from(key))
            .map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // a client that ends early or distrusts the certificate does not affect the next one
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub(crate) fn json(status: u16, body: &Value) -> Response {
    let mut response = (status_code(status), body.to_string()).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

pub(crate) fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A body that fails before its first byte: hyper closes the connection and drops the buffered head.
pub(crate) fn no_answer() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(io::Error::other("closed on purpose"))
    });
    Response::new(Body::from_stream(broken))
}
