//! The writer of a secret decides what the function asks, never which host: a second server, the stranger, has a certificate that
//! the function trusts, and must not even see a connection.

use super::{document, options, service, trust};
use crate::common::{TOKEN, call, invoke, put, revoke, stage, start, warm};
use local::{key_service::Recorder, world::World};
use serde_json::{Value, json};

/// A world, and the stranger.
async fn beside_a_stranger() -> (World, Recorder) {
    let world = start(warm(options("1h"))).await;
    service(&world).set_limit(usize::MAX);
    let names = ["localhost", "127.0.0.1", "::1", "0.0.0.0"];
    let answer = r#"{"id":"k","secret":"s","keys":[]}"#;
    let stranger = Recorder::start(&names, answer).await.unwrap();
    trust(&world, &stranger);
    (world, stranger)
}

/// URLs that seem to lead to `allowed`, or that parsers read in different ways; `port` is the stranger's.
fn addresses(allowed: &str, port: u16) -> Vec<String> {
    let to = |host: &str| format!("https://{host}:{port}");
    let stranger = &to("127.0.0.1")["https://".len()..];
    let mut addresses: Vec<String> = [
        // other spellings of the stranger's address
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1.",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "ｌｏｃａｌｈｏｓｔ",
        "loc\u{ad}alhost",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "%6cocalhost",
        "127%2e0%2e0%2e1",
        "{key_id}",
        "local{label}host",
        "\\{localhost",
        "loc\talhost",
        "loc\nalhost",
        " localhost",
    ]
    .map(to)
    .into();
    // the allowed host is in the place of the stranger's, or the other way round
    addresses.extend(
        [
            r"https://<A>\{@<S>",
            r"https://<A>\}@<S>",
            r"https://<A>\\@<S>",
            r"https://<A>\\\{@<S>",
            "https://<A>@<S>",
            "https://<A>:x@<S>",
            "https://<A>%2f@<S>",
            "https://<A>%5c@<S>",
            "https://<A>#@<S>",
            "https://@<S>",
            r"https:\\\\<A>@<S>",
            r"https://<S>\{@<A>",
            r"https://\{<A>\}@<S>",
            "https://{key_id}@<S>",
            "https://<A>{key_id}@<S>",
            "https://<A>\u{0}@<S>",
            "https://<A>\t@<S>",
            "https://<A>\n@<S>",
            "https://<A>\u{a0}@<S>",
            "https://<A>，@<S>",
            "https:///<S>",
            "https:////<S>",
            "https:/<S>",
            "https:<S>",
            " https://<S>",
            "\thttps://<S>",
            "https://<S> ",
            "HTTPS://<S>",
            "https://<A>:@<S>",
            "https://<A>.<S>",
            "https://<A>:<S>",
            "http://<S>",
            "http://<A>",
            "//<S>",
            "<S>",
            "",
            "file:///etc/passwd",
            "ftp://<S>",
            "wss://<S>",
            r"https://<A>/\\@<S>",
            "https://<A>/{key_id}@<S>",
            "https://<A>/x{key_id}",
            "https://<A>?x{key_id}",
        ]
        .map(|address| address.replace("<A>", allowed).replace("<S>", stranger)),
    );
    addresses
}

/// URLs of the service that only seem to lead to the stranger.
const OF_THE_SERVICE: [&str; 3] = [
    "https://<A>?@<S>",
    "https://<A>/../@<S>",
    "https://<A>//<S>",
];

/// Ids that would be more than one segment of a path, or a different one.
const IDS: [&str; 14] = [
    "..",
    ".",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e",
    "",
    "/",
    "a/b",
    "\\",
    "//127.0.0.1",
    "?x",
    "#x",
    "a\r\nhost: b",
];

/// Headers that decide where a request goes or ends.
const HEADERS: [&str; 20] = [
    "host",
    "Host",
    "HOST",
    "content-length",
    "Content-Length",
    "transfer-encoding",
    "Transfer-Encoding",
    "connection",
    "keep-alive",
    "proxy-authorization",
    "Proxy-Connection",
    "te",
    "TE",
    "trailer",
    "upgrade",
    "expect",
    "x y",
    "x:",
    "x\r\nhost",
    "",
];

/// Marks a case that may be accepted.
const HARMLESS: &str = "harmless: ";

/// The errors for a document that the function does not follow.
const REFUSALS: [&str; 5] = [
    "DocumentFieldMissing",
    "DocumentFieldInvalid",
    "HostNotAllowed",
    "PlaceholderWithoutValue",
    "RequestInvalid",
];

/// A document for each hostile value of each of its fields.
fn documents(good: &Value, allowed: &str, port: u16) -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    let mut add = |what: String, edit: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        edit(&mut document);
        documents.push((what, document));
    };
    let requests = ["create", "verify", "delete", "list"];
    for request in requests {
        let good = good[request]["url"].as_str().unwrap();
        let path = &good[good.find("/keys").or(good.find("/me")).unwrap()..];
        for address in addresses(allowed, port) {
            let url = address.clone() + path;
            add(format!("{request}, {address:?}"), &|document| {
                document["key_id"] = format!("127.0.0.1:{port}").into();
                document[request]["url"] = url.clone().into();
            });
        }
        for address in OF_THE_SERVICE {
            let stranger = format!("127.0.0.1:{port}");
            let url = address.replace("<A>", allowed).replace("<S>", &stranger);
            add(format!("{HARMLESS}{request}, {url}"), &|document| {
                document[request]["url"] = (url.clone() + path).into();
            });
        }
        for header in HEADERS {
            add(format!("{request}, header {header:?}"), &|document| {
                document[request]["headers"][header] = format!("127.0.0.1:{port}").into();
            });
        }
        for value in ["x\r\nhost: y", "x\ny", "x\u{0}"] {
            add(format!("{request}, header value {value:?}"), &|document| {
                document[request]["headers"]["x"] = value.into();
            });
        }
        for method in [
            "CONNECT",
            "TRACE",
            "GET /x HTTP/1.1\r\nhost: y\r\n\r\nGET",
            "get",
            "",
        ] {
            add(format!("{request}, method {method:?}"), &|document| {
                document[request]["method"] = method.into();
            });
        }
        for text in [
            "x{key_id}",
            "{key_id}{key_id}",
            "{key_id} ",
            r"\{{key_id}\}",
        ] {
            add(format!("{request}, body {text:?}"), &|document| {
                document[request]["body"] = json!({ "deep": [{ "x": text }] });
            });
            add(format!("{request}, form {text:?}"), &|document| {
                document[request].as_object_mut().unwrap().remove("body");
                document[request]["form"] = json!({ "x": text });
            });
        }
    }
    for id in IDS {
        add(format!("key_id {id:?}"), &|document| {
            document["key_id"] = id.into()
        });
    }
    documents
}

/// The function uses this document in every way: as AWSCURRENT in a rotation, as a copy in testSecret, and after another key in a
/// revocation. Returns the errors' types.
async fn work(world: &World, name: &str, document: &Value) -> Vec<String> {
    let mut before = document.clone();
    before["key_id"] = "another".into();
    let created = json!({ "Name": name, "SecretString": before.to_string() });
    call(world, "CreateSecret", created).await;
    put(world, name, document).await;
    let mut outcomes = vec![revoke(world, name).await];

    stage(world, name);
    outcomes.push(invoke(world, name, "createSecret").await.outcome);
    let copy = json!({
        "SecretId": name, "ClientRequestToken": TOKEN, "SecretString": document.to_string(),
        "VersionStages": ["AWSPENDING"],
    });
    // one exists already if the document was followed
    drop(world.secrets_manager().call("PutSecretValue", copy).await);
    outcomes.push(invoke(world, name, "testSecret").await.outcome);
    let errors = outcomes.into_iter().filter_map(Result::err);
    errors.map(|error| error.error_type).collect()
}

#[tokio::test]
async fn no_document_leads_the_function_to_a_host_that_is_not_allowed() {
    let (world, stranger) = beside_a_stranger().await;
    let good = document(&world, "AWSCURRENT").await.unwrap();
    let documents = documents(&good, service(&world).host(), stranger.port());
    assert!(documents.len() >= 60, "{}", documents.len());
    let mut wrong = Vec::new();
    for (number, (what, document)) in documents.iter().enumerate() {
        let connections = stranger.connections();
        let errors = work(&world, &format!("hostile/{number}"), document).await;
        if stranger.connections() > connections {
            let requests = stranger.take_requests();
            wrong.push(format!("{what}: the stranger was asked: {requests:?}"));
        }
        if !what.starts_with(HARMLESS)
            && !errors
                .iter()
                .any(|error| REFUSALS.contains(&error.as_str()))
        {
            wrong.push(format!("{what}: it was not refused: {errors:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        documents.len(),
        wrong.join("\n")
    );
}
