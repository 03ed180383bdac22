//! What happened and when, for the incident report.
//!
//! A failed write does not stop the containment: the text is kept, and printed at the end.

use std::{
    cell::RefCell,
    io::{self, Write},
    time::SystemTime,
};

use serde::Serialize;

use crate::{
    secrets::Strategy,
    terminal::{self, hanging, moment, print_whole, printable, width},
};

/// The width of an event's time. The text begins after it.
const MOMENT: usize = "2026-11-21T10:29:54Z  ".len();

/// The report: printed as it grows, or as JSON at the end.
#[derive(Debug)]
pub(super) struct Timeline {
    record: RefCell<Record>,
    json: bool,
    /// The first error of writing to stdout.
    unwritten: RefCell<Option<io::Error>>,
}

#[derive(Debug, Serialize)]
struct Record {
    secret: String,
    strategy: Strategy,
    /// Whether every possible step was done.
    contained: bool,
    sessions_ended: u64,
    old_credentials: Vec<OldCredential>,
    /// What failed, or is unknown.
    problems: Vec<String>,
    timeline: Vec<Event>,
}

/// A credential that was stored when the command began: it may have leaked.
#[derive(Debug, Serialize)]
pub(super) struct OldCredential {
    pub(super) version: String,
    pub(super) label: &'static str,
    pub(super) user: String,
    /// When it was first seen not to work any more.
    #[serde(serialize_with = "terminal::serialize_moment_or_null")]
    pub(super) stopped_working: Option<SystemTime>,
    /// How this is known.
    pub(super) proof: Proof,
}

/// How it is known that a credential no longer works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// The server rejected a login with it.
    LoginRejected,
    /// The server was not asked from here, for this reason. The function's answer is the proof.
    NotTried(String),
    /// There is no proof: the credential works.
    None,
}

#[derive(Debug, Serialize)]
struct Event {
    #[serde(serialize_with = "terminal::serialize_moment")]
    time: SystemTime,
    event: String,
}

impl Timeline {
    pub(super) fn new(secret: &str, strategy: Strategy, json: bool) -> Self {
        let record = Record {
            secret: secret.to_owned(),
            strategy,
            contained: false,
            sessions_ended: 0,
            old_credentials: Vec::new(),
            problems: Vec::new(),
            timeline: Vec::new(),
        };
        Self {
            record: RefCell::new(record),
            json,
            unwritten: RefCell::default(),
        }
    }

    /// Adds an event with the current time.
    pub(super) fn add(&self, event: impl Into<String>) {
        let (time, event) = (SystemTime::now(), event.into());
        if !self.json {
            let line = printable(&format!("{}  {event}", moment(time)));
            self.write(&hanging(&line, MOMENT, width()));
        }
        let mut record = self.record.borrow_mut();
        record.timeline.push(Event { time, event });
    }

    /// Adds a failure, or something unknown. The next steps still follow.
    pub(super) fn problem(&self, problem: impl Into<String>) {
        let problem = problem.into();
        self.add(format!("problem: {problem}"));
        self.record.borrow_mut().problems.push(problem);
    }

    pub(super) fn problems(&self) -> Vec<String> {
        self.record.borrow().problems.clone()
    }

    pub(super) fn sessions_ended(&self, sessions: u64) {
        self.record.borrow_mut().sessions_ended += sessions;
    }

    /// Adds an old credential. Its index for [`Timeline::credential`] is the number of those before it.
    pub(super) fn add_credential(&self, credential: OldCredential) {
        self.record.borrow_mut().old_credentials.push(credential);
    }

    /// Changes what is known about a credential.
    pub(super) fn credential<T>(
        &self,
        place: usize,
        change: impl FnOnce(&mut OldCredential) -> T,
    ) -> Option<T> {
        let mut record = self.record.borrow_mut();
        record.old_credentials.get_mut(place).map(change)
    }

    /// The number of old credentials, and how many of them the server has answered about.
    pub(super) fn tried(&self) -> (usize, usize) {
        let old = &self.record.borrow().old_credentials;
        let tried = |old: &&OldCredential| !matches!(old.proof, Proof::NotTried(_));
        (old.len(), old.iter().filter(tried).count())
    }

    /// Adds the last line: the leak is contained.
    pub(super) fn conclude(&self) {
        let (all, tried) = self.tried();
        let proof = if tried == all {
            format!("all {all} old credentials are rejected by the server")
        } else {
            format!(
                "{tried} of {all} old credentials are rejected by the server; for the others the proof is the function's answer"
            )
        };
        self.record.borrow_mut().contained = true;
        let sessions = self.record.borrow().sessions_ended;
        self.add(format!("contained: {proof}; sessions ended: {sessions}"));
    }

    /// Prints the rest. If a write to stdout failed, prints the whole record on stderr.
    ///
    /// # Errors
    ///
    /// stdout cannot be written.
    pub(super) fn finish(&self) -> io::Result<()> {
        if self.json {
            self.write(&self.json()?);
        }
        let flushed = io::stdout().flush();
        match self.unwritten.take().or(flushed.err()) {
            None => Ok(()),
            Some(error) => {
                self.json()?.lines().for_each(print_whole);
                Err(error)
            }
        }
    }

    fn json(&self) -> io::Result<String> {
        terminal::json(&*self.record.borrow())
    }

    fn write(&self, text: &str) {
        if let Err(error) = writeln!(io::stdout(), "{text}") {
            let mut first = self.unwritten.borrow_mut();
            *first = first.take().or(Some(error));
        }
    }
}
