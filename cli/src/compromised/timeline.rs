//! What happened when, for the incident report.
//!
//! Containment never stops for its output: what cannot be written is kept, and said at the end.

use std::{
    cell::RefCell,
    io::{self, Write},
    time::SystemTime,
};

use serde::Serialize;

use crate::{
    secrets::Strategy,
    terminal::{self, hanging, moment, printable, tell_whole, width},
};

/// What happened stands behind its moment.
const MOMENT: usize = "2026-11-21T10:29:54Z  ".len();

/// The report: printed as it grows, or as JSON at the end.
#[derive(Debug)]
pub(super) struct Timeline {
    record: RefCell<Record>,
    json: bool,
    /// Why stdout could not be written to, the first time.
    unwritten: RefCell<Option<io::Error>>,
}

#[derive(Debug, Serialize)]
struct Record {
    secret: String,
    strategy: Strategy,
    /// Whether all that could be done was done.
    contained: bool,
    sessions_ended: u64,
    old_credentials: Vec<OldCredential>,
    /// What was not done, or is not known.
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
    /// How that is known.
    pub(super) proof: Proof,
}

/// How it is known that a credential does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// The server rejected a login with it.
    LoginRejected,
    /// The server was not asked from here, for this reason: it rests on what the function did.
    NotTried(String),
    /// It is not known: it works.
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

    /// Adds what has happened just now.
    pub(super) fn add(&self, event: impl Into<String>) {
        let (time, event) = (SystemTime::now(), event.into());
        if !self.json {
            let line = printable(&format!("{}  {event}", moment(time)));
            self.write(&hanging(&line, MOMENT, width()));
        }
        let mut record = self.record.borrow_mut();
        record.timeline.push(Event { time, event });
    }

    /// Adds what was not done, or is not known. What comes after it is done all the same.
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

    /// Adds a credential of before; its place is what [`Timeline::credential`] takes.
    pub(super) fn add_credential(&self, credential: OldCredential) {
        self.record.borrow_mut().old_credentials.push(credential);
    }

    /// Changes what is known of a credential.
    pub(super) fn credential<T>(
        &self,
        place: usize,
        change: impl FnOnce(&mut OldCredential) -> T,
    ) -> Option<T> {
        let mut record = self.record.borrow_mut();
        record.old_credentials.get_mut(place).map(change)
    }

    /// How many old credentials there are, and of how many the server has said whether they work.
    pub(super) fn tried(&self) -> (usize, usize) {
        let old = &self.record.borrow().old_credentials;
        let tried = |old: &&OldCredential| !matches!(old.proof, Proof::NotTried(_));
        (old.len(), old.iter().filter(tried).count())
    }

    /// Says that all was done that could be done.
    pub(super) fn conclude(&self) {
        let (all, tried) = self.tried();
        let proof = if tried == all {
            format!("all {all} old credentials are rejected by the server")
        } else {
            format!(
                "{tried} of {all} old credentials are rejected by the server, for the others stands the function's word"
            )
        };
        self.record.borrow_mut().contained = true;
        let sessions = self.record.borrow().sessions_ended;
        self.add(format!("contained: {proof}; sessions ended: {sessions}"));
    }

    /// Prints what has not been printed yet. If stdout took not all of it, stderr gets the whole record.
    ///
    /// # Errors
    ///
    /// stdout could not be written to.
    pub(super) fn finish(&self) -> io::Result<()> {
        if self.json {
            self.write(&self.json()?);
        }
        let flushed = io::stdout().flush();
        match self.unwritten.take().or(flushed.err()) {
            None => Ok(()),
            Some(error) => {
                self.json()?.lines().for_each(tell_whole);
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
