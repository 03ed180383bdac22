//! `POST /rotating-secret/rejected`: the server has rejected a login, and the program needs the version to try next.
//!
//! The answer is for this caller alone. It changes nothing for the others: only Secrets Manager decides what is current.

use std::{sync::Arc, time::Duration};

use axum::{http::StatusCode, response::Response};
use rotating_secret::{
    Error,
    provider::{ProviderErrorKind as Kind, Selector},
};
use tokio::time::{Instant, sleep};
use url::form_urlencoded;

use super::answer;
use crate::{
    Agent,
    allowance::Allowance,
    asker::Asker,
    store::{Answer, Question, kind},
    telemetry,
};

/// Its name in metrics.
const REJECTED: &str = "rejected";

/// How far a read of Secrets Manager may lag behind its last write, as in the client.
const LAG: Duration = Duration::from_secs(5);

/// How often to ask during that time.
const BETWEEN: Duration = Duration::from_secs(1);

/// Answers one request. `versionId` may be repeated: the server has rejected all of these.
pub(super) async fn respond(
    agent: Arc<Agent>,
    asker: Asker,
    allowance: Arc<Allowance>,
    shown_by: &'static str,
    query: String,
    question: Question,
) -> Response {
    let parameters = form_urlencoded::parse(query.as_bytes());
    let rejected: Vec<_> = parameters
        .filter(|(name, _)| name == "versionId")
        .map(|(_, version)| version)
        .collect();
    if question.refresh || question.selector.stage.is_some() || rejected.is_empty() {
        return answer::plain(
            StatusCode::BAD_REQUEST,
            "rejected takes secretId, roleArn, and versionId: the version that the server has rejected",
        );
    }
    let question = Question {
        selector: Selector::default(),
        ..question
    };
    let search = Search {
        agent: &agent,
        asker: &asker,
        allowance: &allowance,
        question,
    };
    let found = search
        .run(&|version| rejected.iter().any(|rejected| rejected == version))
        .await;
    match &found {
        Ok(Found::Version(next)) => telemetry::answered(REJECTED, next),
        Ok(Found::Nothing) => telemetry::counted(REJECTED, "no other version"),
        Ok(Found::TooOften) => telemetry::counted(REJECTED, "too often"),
        Err(error) => telemetry::failed(REJECTED, error),
    }
    match found {
        Ok(Found::Version(next)) => answer::value(&next),
        Ok(Found::Nothing) => answer::plain(
            StatusCode::CONFLICT,
            "there is no other version: AWSCURRENT was rejected, and AWSPENDING was rejected or is absent. \
             If someone has changed the password by hand, rotate the secret",
        ),
        Ok(Found::TooOften) => {
            answer::later(&format!("too many rejected logins with this {shown_by}"))
        }
        Err(error) => answer::failed(&error),
    }
}

enum Found {
    Version(Answer),
    Nothing,
    TooOften,
}

/// The search for another version, for one caller.
struct Search<'a> {
    agent: &'a Agent,
    asker: &'a Asker,
    allowance: &'a Allowance,
    question: Question,
}

impl Search<'_> {
    async fn run(&self, is_rejected: &impl Fn(&str) -> bool) -> Result<Found, Error> {
        let cached = self.agent.read(self.asker, &self.question).await?;
        if !is_rejected(cached.credential.version()) {
            return Ok(Found::Version(cached));
        }
        let secret = cached.credential.arn().unwrap_or(&self.question.id);
        if !self.allowance.may_recover(secret) {
            return Ok(Found::TooOften);
        }
        drop(cached);
        let until = Instant::now() + LAG;
        loop {
            let asked = self.ask(is_rejected).await;
            let is_over = Instant::now() >= until;
            match asked {
                Ok(Some(next)) => return Ok(Found::Version(next)),
                Ok(None) if is_over => return Ok(Found::Nothing),
                Err(error) if is_over || !kind(&error).is_some_and(Kind::is_transient) => {
                    return Err(error);
                }
                _ => sleep(BETWEEN).await,
            }
        }
    }

    /// AWSCURRENT may have moved. If it has not, a rotation may be between setSecret and finishSecret.
    async fn ask(&self, is_rejected: &impl Fn(&str) -> bool) -> Result<Option<Answer>, Error> {
        for stage in ["AWSCURRENT", "AWSPENDING"] {
            let question = Question {
                selector: Selector::stage(stage),
                refresh: true,
                ..self.question.clone()
            };
            match self.agent.read(self.asker, &question).await {
                Ok(read) if !is_rejected(read.credential.version()) => return Ok(Some(read)),
                Ok(_) => {}
                Err(error) if stage == "AWSPENDING" && kind(&error) == Some(Kind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
