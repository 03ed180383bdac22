//! A broken or hostile service in Secrets Manager's place: silence, half an answer, another secret's answer, a proxy's page.

#![cfg(test)]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use common::{Agent, until};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf";
const RESPONSE_ERROR: &str = r#"{"__type":"ConnectionError","message":"Response Error"}"#;

/// Answers every request with the same bytes, and closes. Without bytes it never answers.
struct Place {
    endpoint: String,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    asked: Arc<AtomicUsize>,
}

impl Place {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let (answers, counts) = (answer.clone(), asked.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().unwrap().clone();
                tokio::spawn(give(stream, answer));
            }
        });
        Self {
            endpoint,
            answer,
            asked,
        }
    }

    fn answer(&self, status: u16, body: &str, length: usize) {
        let answer = format!(
            "HTTP/1.1 {status} Any\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        *self.answer.lock().unwrap() = Some(answer.into_bytes());
    }

    fn say(&self, status: u16, body: &str) {
        self.answer(status, body, body.len());
    }

    fn be_silent(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn give(mut stream: TcpStream, answer: Option<Vec<u8>>) {
    let mut request = [0; 16 * 1024];
    let _ = stream.read(&mut request).await;
    match answer {
        Some(answer) => {
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
        None => std::future::pending().await,
    }
}

fn version(name: &str, arn: &str, text: &str) -> String {
    json!({
        "ARN": arn, "Name": name, "VersionId": "11111111-1111-1111-1111-111111111111", "SecretString": text,
        "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_764_400_000.5,
    })
    .to_string()
}

#[tokio::test]
async fn silence_is_awss_timeout_and_in_the_sdks_protocol_an_error_that_is_asked_again() {
    let place = Place::new().await;
    let agent = Agent::start(&place.endpoint, "", "");
    let call = agent.call("GetSecretValue", json!({ "SecretId": "orders/db" }));
    let (read, call) = tokio::join!(agent.read("orders/db"), call);
    let timeout = r#"{"__type":"TimeoutError","message":"Timeout"}"#;
    assert_eq!(read.text(), (504, timeout));
    assert_eq!(
        (call.status, &call.json()["__type"]),
        (503, &json!("ServiceUnavailableException"))
    );
}

#[tokio::test]
async fn half_an_answer_is_none_and_what_it_held_is_shown_to_nobody() {
    let place = Place::new().await;
    let mut agent = Agent::start(&place.endpoint, "", "");
    let whole = version("orders/db", ARN, "s3cret-of-half-an-answer");
    let half = &whole[..whole.len() - 40];
    for (id, body, length) in [
        ("broken-off", half, whole.len()),
        ("no-json", half, half.len()),
        ("nothing", "", 0),
        ("a-list", r#"["s3cret-of-half-an-answer"]"#, 28),
        (
            "no-number",
            r#"{"ARN":7,"SecretString":"s3cret-of-half-an-answer"}"#,
            51,
        ),
        (
            "bad-bytes",
            r#"{"SecretBinary":"s3cret-of-half-an-answer!"}"#,
            44,
        ),
        ("a-page", "<html>s3cret-of-half-an-answer</html>", 37),
    ] {
        place.answer(200, body, length);
        let read = agent.read(id).await;
        assert_eq!(read.text(), (502, RESPONSE_ERROR), "{id}");
    }
    for status in [302, 403, 404, 500, 503] {
        place.say(status, "<html>s3cret-of-half-an-answer</html>");
        let read = agent.read(&format!("status-{status}")).await;
        assert_eq!(read.text(), (502, RESPONSE_ERROR), "{status}");
    }
    let log = agent.whole_log();
    assert!(!log.contains("s3cret"), "{log}");
}

#[tokio::test]
async fn the_answer_of_another_secret_is_served_to_nobody() {
    let place = Place::new().await;
    let agent = Agent::start(&place.endpoint, "", "");
    let other = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-other-GhIjKl";
    place.say(200, &version("orders/db-other", other, "s3cret-of-another"));
    for id in [
        "orders/db",
        "ORDERS/DB-OTHER",
        ARN,
        // a part of the other secret's ARN
        &other[..other.len() - 13],
        // another region, another account
        &other.replace("us-east-1", "eu-west-1"),
        &other.replace("123456789012", "999999999999"),
    ] {
        let read = agent.read(id).await;
        assert_eq!(read.text(), (502, RESPONSE_ERROR), "{id}");
        let call = agent
            .call("GetSecretValue", json!({ "SecretId": id }))
            .await;
        assert_eq!(call.status, 503, "{call:?}");
    }
    for id in ["orders/db-other", other, &other[..other.len() - 7]] {
        assert_eq!(agent.read(id).await.value(), "s3cret-of-another", "{id}");
    }
}

#[tokio::test]
async fn what_is_held_outlives_everything_that_is_no_refusal() {
    let place = Place::new().await;
    let agent = Agent::start(&place.endpoint, "", "");
    let good = version("orders/db", ARN, "one");
    place.say(200, &good);
    assert_eq!(agent.read("orders/db").await.value(), "one");
    let other = version("other", &ARN.replace("orders/db", "other"), "two");
    let ill: [&dyn Fn(); 6] = [
        &|| place.be_silent(),
        &|| place.say(200, "{"),
        &|| place.say(200, r#"{"ARN":"a","Name":"orders/db"}"#),
        &|| place.say(200, &other),
        &|| place.say(503, "<html>"),
        &|| place.say(404, "<html>"),
    ];
    for (number, ill) in ill.iter().enumerate() {
        ill();
        // repeat until it was called: after a failure the agent pauses its calls
        let before = place.asked();
        until(async || {
            let refreshed = agent.read("orders/db&refreshNow=true").await;
            assert_ne!(refreshed.status, 200, "{number}");
            (place.asked() > before).then_some(())
        })
        .await;
        assert_eq!(agent.read("orders/db").await.value(), "one", "{number}");
    }
}

#[tokio::test]
async fn a_hostile_text_in_an_error_makes_no_line_of_the_log_and_no_second_header() {
    let place = Place::new().await;
    let agent = Agent::start(&place.endpoint, "", "");
    let error = json!({
        "__type": "AccessDeniedException\r\nSet-Cookie: a=b", "message": "no\n2026-11-29T00:00:00Z ERROR forged\u{1b}[2J",
    });
    place.say(400, &error.to_string());
    let read = agent.read("orders/db").await;
    assert_eq!(read.header("set-cookie"), None);
    let log = until(async || Some(agent.log()).filter(|log| log.contains("not renewed"))).await;
    assert!(
        log.lines()
            .all(|line| !line.starts_with("2026-11-29T00:00:00Z")),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "{log}");
}

/// The partial ARN of one secret equals the whole ARN of another, which the token opens.
#[tokio::test]
async fn a_limited_token_gets_no_secret_whose_name_in_the_answer_it_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a-t0ken-of-one-program").unwrap();
    let own = format!(
        "[[tokens]]\nfile = \"{}\"\nsecrets = [\"orders/db\"]",
        file.display()
    );
    let place = Place::new().await;
    let agent = Agent::start(&place.endpoint, "", &own);
    let longer = format!("{ARN}-GhIjKl");
    place.say(
        200,
        &version("orders/db-AbCdEf", &longer, "s3cret-of-another"),
    );
    let headers = "X-Vault-Token: a-t0ken-of-one-program\r\n";
    let target = format!("/v1/{ARN}");
    let denied = agent.request("GET", &target, headers).await;
    assert_eq!(denied.json()["__type"], "AccessDeniedException");
    assert_eq!(agent.get(&target).await.value(), "s3cret-of-another");
}
