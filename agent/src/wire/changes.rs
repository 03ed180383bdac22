//! `GET /rotating-secret/changes`: a program learns of a new version at once, and does not have to read the secret again and again.
//!
//! With `Accept: text/event-stream` it gets an event for each version, otherwise a long poll whose ETag is the version's id. Neither
//! has the secret in it: the program reads that with a request of its own.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, future, stream};
use rotating_secret::{Error, provider::Selector};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};

use super::answer;
use crate::{
    Agent,
    spelling::is_sound,
    store::{Answer, Question},
    tokens::{Right, denied},
};

/// How long a long poll waits after its first read. Together they stay below a request's limit.
const POLL: Duration = Duration::from_secs(20);

/// How long a stream lasts. Nothing else shows a program that has stopped reading: events are rare, and the system keeps them.
const STREAM: Duration = Duration::from_secs(60 * 60);

/// How often the token and the secret are checked while nothing changes.
const CHECK: Duration = Duration::from_secs(5);

/// A program that waits for changes.
struct Watch {
    agent: Arc<Agent>,
    /// With its token.
    headers: HeaderMap,
    question: Question,
    /// The version that it has seen.
    seen: Option<String>,
    _place: OwnedSemaphorePermit,
}

/// Answers one request.
pub(super) async fn respond(
    agent: &Arc<Agent>,
    right: Right<'_>,
    request: &Parts,
    question: Question,
) -> Response {
    if question.refresh || question.selector != Selector::default() {
        return answer::plain(
            StatusCode::BAD_REQUEST,
            "changes takes secretId and roleArn: it follows AWSCURRENT",
        );
    }
    let Some(place) = right.allowance().watch() else {
        return answer::closing(answer::later(
            "too many programs with this token wait for changes already: raise max_conn",
        ));
    };
    let mut watch = Watch {
        agent: agent.clone(),
        headers: request.headers.clone(),
        question,
        seen: None,
        _place: place,
    };
    // an error of the first read is an answer, and not an event
    let first = match watch.next().await {
        Ok(first) => first,
        Err(error) => return answer::failed(&error),
    };
    let text = |name| {
        request
            .headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if text(header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream")) {
        return stream(watch, &first);
    }
    let etag = answer::etag(&first);
    let is_seen = text(header::IF_NONE_MATCH).is_some_and(|seen| names(seen, &etag));
    if !is_seen {
        return answer::version(&first);
    }
    drop(first);
    tokio::select! {
        biased;
        changed = watch.next() => match changed {
            Ok(version) => answer::version(&version),
            Err(error) => answer::failed(&error),
        },
        () = sleep(POLL) => answer::not_modified(&etag),
        () = agent.ends() => answer::not_modified(&etag),
    }
}

impl Watch {
    /// Waits for a version that this program has not seen.
    ///
    /// Each check is a read with all its rules. So it ends with the token or the secret, and counts as a reader.
    async fn next(&mut self) -> Result<Answer, Error> {
        let settings = &self.agent.settings;
        let check = CHECK.min(settings.idle / 2);
        loop {
            let right = self
                .agent
                .tokens
                .right_in(&self.headers, &settings.token_headers);
            let right = right.ok_or_else(|| Error::Provider {
                secret: self.question.id.as_str().into(),
                reason: denied("this token no longer opens the agent"),
            })?;
            let read = self.agent.read(right, &self.question).await?;
            let version = read.credential.version().to_owned();
            if self.seen.as_ref() != Some(&version) {
                self.seen = Some(version);
                return Ok(read);
            }
            drop(read);
            let changed = self.agent.stores.changed(&self.question, &version);
            // an error is that of the next read
            let _ = timeout(check, changed).await;
        }
    }
}

fn stream(watch: Watch, first: &Answer) -> Response {
    let agent = watch.agent.clone();
    let over = async move {
        future::select(Box::pin(agent.ends()), Box::pin(sleep(STREAM))).await;
    };
    let first = stream::iter([Ok(event(first))]);
    let events = first.chain(changes(watch)).take_until(Box::pin(over));
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response();
    answer::protect(response.headers_mut());
    response
}

/// An event for each further version. After an error, which is an event too, there is none.
fn changes(watch: Watch) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        Some(match watch.next().await {
            Ok(version) => (Ok(event(&version)), Some(watch)),
            Err(error) => (Ok(ended(&error)), None),
        })
    })
}

fn event(version: &Answer) -> Event {
    let event = Event::default().event("version");
    let event = event.data(answer::seen(version));
    let id = version.credential.version();
    // anyone who can write the secret chooses the id, and no line break may be in an event's
    match is_sound(id) {
        true => event.id(id),
        false => event,
    }
}

/// No version follows on this stream.
fn ended(error: &Error) -> Event {
    Event::default().event("end").data(answer::told(error))
}

/// Whether an `If-None-Match` names this ETag.
fn names(seen: &str, etag: &str) -> bool {
    let mut tags = seen.split(',').map(str::trim);
    tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
