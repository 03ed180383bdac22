//! What happened when, for the incident report.

use std::{io, time::SystemTime};

use serde::Serialize;

use crate::{
    secrets::Strategy,
    terminal::{self, moment},
};

/// The report: printed as it grows, or as JSON at the end.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    secret: String,
    strategy: Strategy,
    /// Whether all that could be done was done.
    contained: bool,
    pub(super) sessions_ended: u64,
    pub(super) old_credentials: Vec<OldCredential>,
    timeline: Vec<Event>,
    #[serde(skip)]
    json: bool,
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
        Self {
            secret: secret.to_owned(),
            strategy,
            contained: false,
            sessions_ended: 0,
            old_credentials: Vec::new(),
            timeline: Vec::new(),
            json,
        }
    }

    /// Adds what has happened just now.
    pub(super) fn add(&mut self, event: impl Into<String>) -> io::Result<()> {
        let (time, event) = (SystemTime::now(), event.into());
        if !self.json {
            terminal::print(&format!("{}  {event}", moment(time)))?;
        }
        self.timeline.push(Event { time, event });
        Ok(())
    }

    /// Of how many old credentials the server has said whether they work.
    pub(super) fn tried(&self) -> usize {
        let not_tried = |old: &&OldCredential| matches!(old.proof, Proof::NotTried(_));
        self.old_credentials.len() - self.old_credentials.iter().filter(not_tried).count()
    }

    /// Says how it ended.
    pub(super) fn conclude(&mut self) -> io::Result<()> {
        let (all, tried) = (self.old_credentials.len(), self.tried());
        let proof = if tried == all {
            format!("all {all} old credentials are rejected by the server")
        } else {
            format!(
                "{tried} of {all} old credentials are rejected by the server, for the others stands the function's word"
            )
        };
        let sessions = self.sessions_ended;
        self.contained = true;
        self.add(format!("contained: {proof}; sessions ended: {sessions}"))
    }

    /// Prints what has not been printed yet.
    pub(super) fn finish(&self) -> io::Result<()> {
        if self.json {
            terminal::print_json(self)
        } else {
            Ok(())
        }
    }
}
