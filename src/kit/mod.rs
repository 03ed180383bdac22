//! The test kit of the engine's contract: checks the duties of an [`Engine`] against the real system behind it. A feature,
//! `kit`.
//!
//! | file | what |
//! |---|---|
//! | `rehearsal` | one secret in a store in memory, its engine, and deliveries of steps |
//! | `script` | which call is cut, how, and which of two deliveries goes first |
//! | `store` | the versions, with Secrets Manager's rules on labels |
//! | `disturbed` | the engine, with its calls cut |
//!
//! [`check`] runs all of it; docs/engines.md shows an example.

mod disturbed;
mod rehearsal;
mod script;
mod store;

use std::fmt;

use secrecy::SecretString;

pub use self::{
    rehearsal::{Rehearsal, STEPS, TOKEN},
    script::{Cut, How, When},
};
use crate::{
    document::Document,
    engine::{Engine, Login},
};

/// A system with one credential to rotate.
#[derive(Debug)]
pub struct Case<T> {
    /// The engine.
    pub engine: T,
    /// The document of AWSCURRENT, which logs in.
    pub current: SecretString,
    /// The value of the secret that `masterarn` names.
    pub administrator: Option<SecretString>,
    /// Whether AWSCURRENT always logs in, as with two users or two keys that take turns. Otherwise AWSCURRENT or AWSPENDING
    /// logs in.
    pub overlaps: bool,
    /// A document like `current` with an address where no server listens.
    pub unreachable: SecretString,
}

/// Checks an engine; `start` makes a new case, with a new user, each time.
///
/// - Four steps rotate; a repeated step changes nothing more.
/// - A crash or a lost answer cuts any call, before or after its effect: a version still logs in, and the retry reaches the end
///   with one password for one token.
/// - Two deliveries at the same time have the result of one.
/// - Nothing is retired or announced before the successor is current.
/// - A wrong password is rejected; an unreachable server is an error.
///
/// # Errors
///
/// The first duty that the engine fails.
pub async fn check<T: Engine>(start: impl AsyncFn() -> Case<T>) -> Result<(), Violation> {
    answers(&start().await).await?;

    let undisturbed = Rehearsal::new(start().await)?;
    undisturbed.attempt().await?;
    undisturbed.finished().await?;
    let calls = undisturbed.calls();
    undisturbed.attempt().await?;
    undisturbed.finished().await?;

    let twice = Rehearsal::new(start().await)?;
    for step in STEPS {
        twice.delivered(step).await?;
        twice.delivered(step).await?;
        twice.nobody_is_locked_out().await?;
    }
    twice.finished().await?;

    for cut in Cut::all(calls) {
        let rehearsal = Rehearsal::new(start().await)?;
        let after = |violation: Violation| violation.after(&cut);
        rehearsal.cut(Some(cut));
        if rehearsal.attempt().await.is_ok() && !rehearsal.was_cut() {
            return Err(Violation::new(
                "an attempt makes fewer calls than the one before it",
            ));
        }
        rehearsal.nobody_is_locked_out().await.map_err(after)?;
        rehearsal.cut(None);
        rehearsal.attempt().await.map_err(after)?;
        rehearsal.finished().await.map_err(after)?;
    }

    for schedule in (0..16).map(|bits| bits * 0x9249) {
        let rehearsal = Rehearsal::new(start().await)?;
        rehearsal.twice_at_once(schedule).await?;
        rehearsal.finished().await?;
    }
    Ok(())
}

/// Only the server's own answer counts as "rejected".
async fn answers<T: Engine>(case: &Case<T>) -> Result<(), Violation> {
    let parse = |json| {
        Document::parse_for(json, T::ENGINES)
            .map_err(|error| Violation::new(format!("a document of the case {error}")))
    };
    let current = parse(&case.current)?;
    match case.engine.log_in(&current).await {
        Ok(Login::Accepted(_)) => {}
        Ok(Login::Rejected) => {
            return Err(Violation::new("`current` is rejected: it must log in"));
        }
        Err(error) => {
            return Err(Violation::new(format!(
                "`current` does not log in: {error}"
            )));
        }
    }
    match case
        .engine
        .log_in(&current.with_password("wrong".into()))
        .await
    {
        Ok(Login::Rejected) => {}
        Ok(Login::Accepted(_)) => return Err(Violation::new("a wrong password is accepted")),
        Err(error) => {
            let what = format!("a wrong password is an error and not rejected: {error}");
            return Err(Violation::new(what));
        }
    }
    match case.engine.log_in(&parse(&case.unreachable)?).await {
        Err(_) => Ok(()),
        Ok(Login::Accepted(_)) => Err(Violation::new("`unreachable` is reached")),
        Ok(Login::Rejected) => Err(Violation::new(
            "an unreachable server counts as a rejection: only the server's own word is a rejection",
        )),
    }
}

/// A duty that the engine fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    fn after(self, cut: &Cut) -> Self {
        Self(format!("after {cut}: {}", self.0))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}
