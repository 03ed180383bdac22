//! The client crate itself, `rotating_secret`, over a provider that answers from a list.
//!
//! As with the steps, no client is kept: its state is the list of its inputs, and it runs to that place again. Its clock
//! moves only when this code moves it: nothing here takes as long as its shortest time limit.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use rotating_secret::{
    Attempt, CredentialGuard, LogInError, RotatingSecret,
    provider::{ProviderError, ProviderErrorKind, SecretProvider, Stage, Version as Provided},
};
use tokio::{runtime, sync::Notify};

use crate::calls::Version;

/// An input: a request, or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A notification, or the end of its lifetime.
    Renew,
    LogIn,
    /// The version under the label that it asked for.
    Has(Option<Version>),
    Accepted,
    Rejected,
}

/// Its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Fetch(Stage),
    Try(Version),
}

/// A place in its life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// None if it is idle.
    pub(crate) asks: Option<Ask>,
    /// The last login was rejected with all that it tried.
    pub(crate) rejected: bool,
}

pub(crate) struct Clients {
    runtime: runtime::Runtime,
    pub(crate) places: Vec<Place>,
    events: Vec<Vec<Event>>,
    known: HashMap<Vec<Event>, u32>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        let mut clients = Self {
            runtime: runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap(),
            places: Vec::new(),
            events: Vec::new(),
            known: HashMap::new(),
        };
        // place 0: it holds the first version
        clients.place(vec![Event::Has(Some(0))]);
        clients
    }

    pub(crate) fn after(&mut self, place: u32, event: Event) -> u32 {
        let mut events = self.events[place as usize].clone();
        events.push(event);
        self.place(events)
    }

    fn place(&mut self, events: Vec<Event>) -> u32 {
        if let Some(known) = self.known.get(&events) {
            return *known;
        }
        let place = self.runtime.block_on(run(&events));
        let number = self.places.len() as u32;
        self.places.push(place);
        self.events.push(events.clone());
        self.known.insert(events, number);
        number
    }
}

async fn run(events: &[Event]) -> Place {
    let script = Arc::new(Script::default());
    script.left().extend(events);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let builder = RotatingSecret::builder("secret")
        .ttl(hours(12))
        .fetch_timeout(hours(1))
        // it does not wait: the search models a store that lags
        .lag(Duration::ZERO);
    let secret = builder.build(script.clone()).await.unwrap();
    let life = async {
        let mut rejected = false;
        loop {
            let next = script.left().pop_front();
            // between two inputs it has time
            tokio::time::advance(Duration::from_secs(10)).await;
            match next {
                Some(Event::Renew) => drop(secret.refresh().await),
                Some(Event::LogIn) => {
                    let login = secret.log_in(|credential| attempt(script.clone(), credential));
                    rejected = matches!(login.await, Err(LogInError::Rejected { .. }));
                }
                Some(answer) => panic!("an answer without a request: {answer:?}"),
                None => return rejected,
            }
        }
    };
    tokio::select! {
        biased;
        rejected = life => Place { asks: None, rejected },
        () = script.stuck.notified() => Place { asks: *script.asks.lock().unwrap(), rejected: false },
    }
}

#[derive(Debug, Default)]
struct Script {
    left: Mutex<VecDeque<Event>>,
    asks: Mutex<Option<Ask>>,
    stuck: Notify,
}

impl Script {
    fn left(&self) -> std::sync::MutexGuard<'_, VecDeque<Event>> {
        self.left.lock().unwrap()
    }

    /// The answer, if there is one yet.
    async fn ask(&self, ask: Ask) -> Event {
        let next = self.left().pop_front();
        match next {
            Some(event) => event,
            None => {
                *self.asks.lock().unwrap() = Some(ask);
                self.stuck.notify_one();
                pending().await
            }
        }
    }
}

impl SecretProvider for Script {
    async fn fetch(&self, _: &str, stage: Stage) -> Result<Provided, ProviderError> {
        match self.ask(Ask::Fetch(stage)).await {
            Event::Has(Some(version)) => Ok(Provided::text(version.to_string(), "{}")),
            _ => Err(ProviderError::new(
                ProviderErrorKind::NotFound,
                "no such version",
            )),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("28P01")]
struct Refused;

async fn attempt(script: Arc<Script>, credential: CredentialGuard) -> Result<(), Attempt<Refused>> {
    let version = credential.version().parse().unwrap();
    match script.ask(Ask::Try(version)).await {
        Event::Accepted => Ok(()),
        _ => Err(Attempt::Rejected(Refused)),
    }
}
