//! A provider that a test controls, and that counts its fetches; `stores` is shared by the tests of the real providers.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod stores;
pub(crate) mod volume;

use std::{
    error::Error as StdError,
    iter,
    sync::{Arc, Mutex},
    time::Duration,
};

use rotating_secret::{
    RotatingSecret,
    provider::{Fixed, ProviderError, ProviderErrorKind, SecretProvider, Stage, Version},
};
use serde_json::json;
use tokio::{net::TcpSocket, sync::watch, time::Instant};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Any document of a credential.
pub(crate) fn version(id: &str) -> Version {
    let document =
        json!({ "host": "db", "username": "orders", "password": format!("password of {id}") });
    Version::text(id, document.to_string())
}

pub(crate) fn error(kind: ProviderErrorKind) -> ProviderError {
    ProviderError::new(kind, "as it was told")
}

/// Its answer for each stage.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<Inner>);

struct Inner {
    script: Mutex<Script>,
    hanging: watch::Sender<bool>,
}

struct Script {
    current: Result<Version, ProviderError>,
    /// From the next fetch of AWSPENDING on, this is AWSCURRENT.
    then: Option<Version>,
    pending: Result<Version, ProviderError>,
    asked: Vec<(Stage, Instant)>,
    batches: Vec<Vec<String>>,
}

impl Scripted {
    pub(crate) fn new(id: &str) -> Self {
        Self(Arc::new(Inner {
            script: Mutex::new(Script {
                current: Ok(version(id)),
                then: None,
                pending: Err(error(ProviderErrorKind::NotFound)),
                asked: Vec::new(),
                batches: Vec::new(),
            }),
            hanging: watch::Sender::new(false),
        }))
    }

    fn script<R>(&self, with: impl FnOnce(&mut Script) -> R) -> R {
        with(&mut self.0.script.lock().unwrap())
    }

    pub(crate) fn current(&self, id: &str) {
        self.script(|script| script.current = Ok(version(id)));
    }

    pub(crate) fn answer(&self, version: Version) {
        self.script(|script| script.current = Ok(version));
    }

    pub(crate) fn pending(&self, id: &str) {
        self.script(|script| script.pending = Ok(version(id)));
    }

    pub(crate) fn nothing_pending(&self) {
        self.script(|script| script.pending = Err(error(ProviderErrorKind::NotFound)));
    }

    /// A rotation ends between the first fetch of AWSCURRENT and that of AWSPENDING.
    pub(crate) fn promote_meanwhile(&self, id: &str) {
        self.script(|script| script.then = Some(version(id)));
    }

    pub(crate) fn fail(&self, kind: ProviderErrorKind) {
        self.script(|script| script.current = Err(error(kind)));
    }

    /// No fetch is answered until the test allows it.
    pub(crate) fn hang(&self, hanging: bool) {
        self.0.hanging.send_replace(hanging);
    }

    pub(crate) fn asked(&self) -> Vec<(Stage, Instant)> {
        self.script(|script| script.asked.clone())
    }

    pub(crate) fn stages(&self) -> Vec<Stage> {
        self.asked().into_iter().map(|(stage, _)| stage).collect()
    }

    pub(crate) fn batches(&self) -> Vec<Vec<String>> {
        self.script(|script| script.batches.clone())
    }

    /// Waits for this number of fetches.
    pub(crate) async fn asked_times(&self, times: usize) {
        while self.asked().len() < times {
            tokio::time::advance(Duration::from_millis(50)).await;
        }
    }
}

impl SecretProvider for Scripted {
    async fn fetch(&self, _: &str, stage: Stage) -> Result<Version, ProviderError> {
        let answer = self.script(|script| {
            script.asked.push((stage, Instant::now()));
            match stage {
                Stage::Current => script.current.clone(),
                _ => {
                    if let Some(version) = script.then.take() {
                        script.current = Ok(version);
                    }
                    script.pending.clone()
                }
            }
        });
        let mut hanging = self.0.hanging.subscribe();
        hanging.wait_for(|hanging| !hanging).await.unwrap();
        answer
    }

    async fn fetch_all(&self, secrets: &[&str]) -> Vec<Result<Version, ProviderError>> {
        self.script(|script| {
            script
                .batches
                .push(secrets.iter().map(ToString::to_string).collect());
            secrets.iter().map(|_| script.current.clone()).collect()
        })
    }
}

/// A secret of that provider with the usual lifetime of 5 minutes.
pub(crate) async fn secret(provider: &Scripted) -> RotatingSecret {
    RotatingSecret::builder("orders/db")
        .build(provider.clone())
        .await
        .unwrap()
}

/// The id of the current version.
pub(crate) fn held(secret: &RotatingSecret) -> String {
    secret.current().unwrap().version().to_owned()
}

/// Advances the clock a second at a time, and runs the tasks that become due.
pub(crate) async fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::time::advance(Duration::from_secs(1).min(end - Instant::now())).await;
        settle().await;
    }
}

/// Runs all tasks that can run now.
pub(crate) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A secret of this document.
pub(crate) async fn of_document(document: serde_json::Value) -> RotatingSecret {
    let provider = Fixed::new().with("orders/db", Version::text("v1", document.to_string()));
    let built = RotatingSecret::builder("orders/db").build(provider).await;
    built.unwrap()
}

/// A port without a listener. The bound socket keeps it from other processes.
pub(crate) fn closed_port() -> (TcpSocket, u16) {
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

/// An error with all its causes, as anyhow's `{:#}` shows it.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error: &&(dyn StdError + 'static)| {
        error.source()
    });
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
