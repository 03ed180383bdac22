//! `GET /rotating-secret/changes`: a program learns of a new version at once, and does not have to read the secret again and again.
//!
//! With `Accept: text/event-stream` it gets an event for each version, otherwise a long poll whose ETag is the version's id. Neither
//! has the secret in it: the program reads that with a request of its own.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, future, stream};
use rotating_secret::{Error, provider::Selector};
use tokio::time::{sleep, timeout};

use super::answer;
use crate::{
    Agent,
    allowance::Place,
    asker::Asker,
    spelling::is_sound,
    store::{Answer, Question},
    telemetry,
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
    asker: Asker,
    question: Question,
    /// The version that it has seen.
    seen: Option<String>,
    _place: Place,
}

/// Answers one request.
pub(super) async fn respond(
    agent: Arc<Agent>,
    asker: Asker,
    place: Result<Place, &'static str>,
    headers: HeaderMap,
    question: Question,
) -> Response {
    if question.refresh || question.selector != Selector::default() {
        return answer::plain(
            StatusCode::BAD_REQUEST,
            "changes takes secretId and roleArn: it follows AWSCURRENT",
        );
    }
    let place = match place {
        Ok(place) => place,
        Err(of) => {
            let told = format!(
                "too many programs with this {of} wait for changes already: raise max_conn"
            );
            return answer::closing(answer::later(&told));
        }
    };
    let mut watch = Watch {
        agent: agent.clone(),
        asker,
        question,
        seen: None,
        _place: place,
    };
    // an error of the first read is an answer, and not an event
    let first = match watch.version().await {
        Ok(first) => first,
        Err(error) => return answer::failed(&error),
    };
    let text = |name| {
        headers
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
        changed = watch.version() => match changed {
            Ok(version) => answer::version(&version),
            Err(error) => answer::failed(&error),
        },
        () = sleep(POLL) => answer::not_modified(&etag),
        () = agent.ends() => answer::not_modified(&etag),
    }
}

impl Watch {
    /// The next version, which is counted as a read.
    async fn version(&mut self) -> Result<Answer, Error> {
        let next = self.next().await;
        telemetry::read("changes", &next);
        next
    }

    /// Waits for a version that this program has not seen.
    ///
    /// Each check is a read with all its rules. So it ends with the token or the secret, and counts as a reader.
    async fn next(&mut self) -> Result<Answer, Error> {
        let check = (self.agent.settings.idle / 2).clamp(Duration::from_secs(1), CHECK);
        loop {
            let read = self.agent.read(&self.asker, &self.question).await?;
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
        Some(match watch.version().await {
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

/// Whether an `If-None-Match` names this ETag. It is not split: a version's id, and so its tag, may have commas and quotes.
fn names(seen: &str, etag: &str) -> bool {
    seen.trim() == "*" || seen.contains(etag)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tokio::time::Instant;

    use super::*;
    use crate::settings::Settings;

    const TOKEN: &str = "the-t0ken-of-these-tests";

    fn question() -> Question {
        Question {
            id: "orders/db".to_owned(),
            ..Question::default()
        }
    }

    async fn changes(agent: &Arc<Agent>, header: &str, value: &str) -> Response {
        let request = Request::get("/").header("x-vault-token", TOKEN);
        let request = request.header(header, value).body(Body::empty()).unwrap();
        let (head, _) = request.into_parts();
        let access = agent.access();
        let asker = Asker::new(None, &head.headers, &agent.settings.token_headers);
        let place = access.right(&asker).unwrap().allowance().watch(1);
        let place = place.ok_or("token");
        respond(agent.clone(), asker, place, head.headers, question()).await
    }

    #[tokio::test]
    async fn a_long_poll_without_a_change_is_not_modified_after_its_time() {
        let (agent, _service) = Agent::with_a_secret(TOKEN, Settings::default()).await;
        tokio::time::pause();
        let first = changes(&agent, "if-none-match", "").await;
        let etag = first.headers()["etag"].to_str().unwrap();
        let began = Instant::now();
        let reply = changes(&agent, "if-none-match", etag).await;
        assert_eq!(reply.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(began.elapsed().as_secs(), POLL.as_secs());
        assert_eq!(reply.headers()["etag"], etag);
        assert_eq!(reply.headers()["cache-control"], "no-store");
    }

    #[tokio::test]
    async fn a_version_whose_id_looks_like_a_list_of_tags_is_waited_for_too() {
        let (agent, service) = Agent::with_a_secret(TOKEN, Settings::default()).await;
        let id = "one, two, \"three\", and more than thirty-two characters";
        let input = serde_json::json!({
            "SecretId": "orders/db", "SecretString": "two", "ClientRequestToken": id
        });
        service.call("PutSecretValue", input).await.unwrap();
        let refresh = Question {
            refresh: true,
            ..question()
        };
        agent.stores.read(&refresh).await.unwrap();
        tokio::time::pause();
        for seen in [
            format!("\"{id}\""),
            format!("\"another\", W/\"{id}\""),
            "*".to_owned(),
        ] {
            let reply = changes(&agent, "if-none-match", &seen).await;
            assert_eq!(reply.status(), StatusCode::NOT_MODIFIED, "{seen}");
        }
        let reply = changes(&agent, "if-none-match", "\"one\", \"two\"").await;
        assert_eq!(reply.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_stream_counts_as_a_reader_and_ends_after_an_hour() {
        const IDLE: Duration = Duration::from_secs(2);
        let settings = Settings {
            // the first renewal comes after a quarter of it at the earliest
            ttl: 5 * STREAM,
            idle: IDLE,
            ..Settings::default()
        };
        let (agent, service) = Agent::with_a_secret(TOKEN, settings).await;
        tokio::time::pause();
        let (began, sweeps) = (Instant::now(), agent.clone());
        let sweeps = tokio::spawn(async move {
            loop {
                sleep(IDLE).await;
                sweeps.stores.sweep();
            }
        });
        let stream = changes(&agent, "accept", "text/event-stream").await;
        let mut said = stream.into_body().into_data_stream();
        while said.next().await.is_some() {}
        assert_eq!(began.elapsed().as_secs(), STREAM.as_secs());
        sweeps.abort();
        assert_eq!(service.calls().len(), 1);
        // nobody is left
        sleep(IDLE).await;
        agent.stores.sweep();
        tokio::time::resume();
        agent.stores.read(&question()).await.unwrap();
        assert_eq!(service.calls().len(), 2);
    }
}
