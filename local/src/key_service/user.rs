//! An application that calls the service all the time, with the key from `rotating-secret`.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{Client, StatusCode, Url};
use rotating_secret::{Attempt, CredentialGuard, RotatingSecret};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::KeyService;

/// The running application. Dropping it stops the workers.
pub struct User {
    seen: Arc<Mutex<Vec<Seen>>>,
    _workers: JoinSet<()>,
}

/// The record of one worker.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Requests that were served.
    pub served: usize,
    /// Requests that failed, after the client's retries.
    pub failed: usize,
    /// The first failure's message.
    pub first_failure: Option<String>,
    /// The id of the key that served the last request.
    pub key: String,
}

impl User {
    /// Starts `workers`, each of which makes a request every `pause`.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made.
    pub fn start(
        service: &KeyService,
        secret: &RotatingSecret,
        workers: usize,
        pause: Duration,
    ) -> io::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(service.ca())?)
            .build()
            .map_err(io::Error::other)?;
        let url: Url = format!("https://{}/me", service.host())
            .parse()
            .map_err(io::Error::other)?;
        let seen = Arc::new(Mutex::new(vec![Seen::default(); workers]));
        let mut tasks = JoinSet::new();
        for worker in 0..workers {
            let (client, url, secret, seen) =
                (client.clone(), url.clone(), secret.clone(), seen.clone());
            tasks.spawn(async move {
                let mut ticks = interval(pause);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    let answer = secret
                        .log_in(|credential| ask(client.clone(), url.clone(), credential))
                        .await;
                    let seen = &mut lock(&seen)[worker];
                    match answer {
                        Ok(key) => {
                            seen.served += 1;
                            seen.key = key;
                        }
                        Err(error) => {
                            seen.failed += 1;
                            seen.first_failure.get_or_insert(error.to_string());
                        }
                    }
                }
            });
        }
        Ok(Self {
            seen,
            _workers: tasks,
        })
    }

    /// The record of each worker so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }
}

/// Trusts only the service's certificate.
fn tls(ca: &str) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(io::Error::other)?;
    roots.add(ca).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// One request; returns the key that the service saw.
async fn ask(
    client: Client,
    url: Url,
    credential: CredentialGuard,
) -> Result<String, Attempt<io::Error>> {
    let failed = |error: reqwest::Error| Attempt::Failed(io::Error::other(error));
    let document: Value = credential
        .json()
        .map_err(|error| Attempt::Failed(error.into()))?;
    let key = document["key"].as_str().unwrap_or_default();
    let response = client.get(url).bearer_auth(key).send().await;
    let response = response.map_err(failed)?;
    if response.status() == StatusCode::UNAUTHORIZED {
        return Err(Attempt::Rejected(io::Error::other("HTTP 401")));
    }
    let response = response.error_for_status().map_err(failed)?;
    let answer: Value = response.json().await.map_err(failed)?;
    Ok(answer["id"].as_str().unwrap_or_default().to_owned())
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
