//! The renderer and the checker together, against any document that a writer of the secret can store. The test compares the request
//! that arrives with the one that the document asks for. Its code shares nothing with the function's: no template language, no URL
//! parser. A second server, the stranger, must never be reached.
//!
//! `PROPTEST_CASES=1000000 cargo test --test api_key fuzz` runs longer.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use local::key_service::Recorder;
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
    test_runner::{Config, RngSeed, TestRunner},
};
use secret_rotation::{
    document::{Document, ENGINES, Overlap},
    engine::{
        Engine, EngineError, Known, Limits, Promotion, Retiring, Stored, Succession,
        api_key::{ApiKey, Https},
    },
    settings::Settings,
};
use serde_json::{Map, Value, json};

const LIMITS: Limits = Limits {
    step: Duration::from_secs(60),
    connect: Duration::from_secs(20),
    statement: Duration::from_secs(20),
};

/// After digests of `secret` and of `the token`.
const LABEL: &str = "rotation-2bb80d537b1da3e3-d94772fd76a9e3a1";

/// `<A>` is the service, `<S>` the stranger.
const PIECES: [&str; 60] = [
    "https://",
    "http://",
    "HTTPS://",
    "//",
    "/",
    "\\",
    "\\\\",
    "\\{",
    "\\}",
    "{",
    "}",
    "@",
    ":",
    "?",
    "#",
    "&",
    "=",
    ";",
    ".",
    "..",
    "/..",
    "%2e",
    "%2E%2e",
    "%2f",
    "%5c",
    "%40",
    "%00",
    "%",
    "{key_id}",
    "{key_id}",
    "{key}",
    "{token}",
    "{label}",
    "{master.key}",
    "{master.other}",
    "{ key_id }",
    "<A>",
    "<A>",
    "<S>",
    "<S>",
    "localhost",
    "127.0.0.1:",
    "[::1]:",
    "127.1:",
    "2130706433:",
    "0x7f.1:",
    "localhost.:",
    "ｌocalhost:",
    "loc\u{ad}alhost:",
    "127。0。0。1:",
    "\t",
    "\n",
    "\r\n",
    " ",
    "\u{0}",
    "\u{a0}",
    "keys",
    "a=",
    "host: ",
    "x",
];

/// A request as a document describes it.
#[derive(Clone, Debug)]
struct Described {
    role: &'static str,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    form: Option<BTreeMap<String, String>>,
    key_id: String,
    key: String,
    other: String,
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(&PIECES[..]).prop_map(str::to_owned),
        2 => "[a-z0-9]{1,4}",
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A mostly valid request; `<P>` is a placeholder that the request can have.
fn template() -> impl Strategy<Value = String> {
    let right = select(vec!["<P>", "<P>", "Bearer <P>", r"\{x\}", "x", ""]);
    prop_oneof![
        12 => right.prop_map(str::to_owned),
        1 => text(),
    ]
}

fn url() -> impl Strategy<Value = String> {
    let segment = select(vec!["keys", "v1", "<I>", "<I>", "a.b", "%20", ""]);
    let pair = select(vec!["a=1", "b=<I>", "c=<I>", "d", "", "e=x=y"]);
    let usual = (vec(segment, 0..5), vec(pair, 0..3)).prop_map(|(path, query)| {
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        format!("https://<A>/{}{query}", path.join("/"))
    });
    prop_oneof![
        12 => usual.clone(),
        2 => (usual, text()).prop_map(|(usual, text)| usual + &text),
        2 => text().prop_map(|text| format!("https://<A>{text}")),
        1 => text().prop_map(|text| format!("https://<S>{text}")),
        1 => text().prop_map(|text| format!("https://{text}")),
        1 => text(),
    ]
}

fn json_of_templates() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => template().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[a-z{}]{0,3}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn described() -> impl Strategy<Value = Described> {
    let name = prop_oneof![
        30 => "[A-Za-z][A-Za-z-]{1,8}",
        1 => select(vec!["Host", "HOST", "content-length", "Transfer-Encoding", "connection", "TE", "Proxy-X", "Expect"])
            .prop_map(str::to_owned),
        1 => text(),
    ];
    let id = prop_oneof![
        9 => "[a-zA-Z0-9_]{1,9}",
        2 => text(),
        1 => ".{1,6}",
        1 => select(vec!["..", ".", "%2e", "a/b"]).prop_map(str::to_owned),
    ];
    let key = prop_oneof![12 => "[!-~]{1,12}", 1 => text(), 1 => ".{1,6}"];
    let other = prop_oneof![6 => "[!-~]{1,9}", 1 => text()];
    let method = prop_oneof![
        30 => select(vec!["GET", "POST", "PUT", "DELETE", "PATCH"]).prop_map(str::to_owned),
        1 => text(),
    ];
    let request = (
        select(vec!["create", "verify", "delete", "list"]),
        method,
        url(),
        btree_map(name, template(), 0..3),
    );
    let bodies = (
        prop::option::of(json_of_templates()),
        prop::option::weighted(0.2, btree_map("[a-z &=]{0,4}", template(), 0..3)),
    );
    (request, bodies, id, key, other).prop_map(
        |((role, method, url, headers), (body, form), key_id, key, other)| Described {
            role,
            method,
            url,
            headers,
            // null is no body; both together are refused
            body: body.filter(|body| form.is_none() && !body.is_null()),
            form,
            key_id,
            key,
            other,
        },
    )
}

impl Described {
    /// Replaces the names by the servers' addresses and the request's own placeholders.
    fn at(mut self, service: &str, stranger: &str) -> Self {
        let (any, in_address) = match self.role {
            "create" => ("{token}", "{label}"),
            "verify" => ("{key}", "{key_id}"),
            "delete" => ("{key_id}", "{key_id}"),
            _ => ("{master.other}", "x"),
        };
        let names = [
            ("<A>", service),
            ("<S>", stranger),
            ("<P>", any),
            ("<I>", in_address),
        ];
        let put = |text: &str| {
            let put = |text: String, (name, what): &(&str, &str)| text.replace(name, what);
            names.iter().fold(text.to_owned(), put)
        };
        let all = |texts: BTreeMap<String, String>| {
            let put = |(name, text): (String, String)| (name, put(&text));
            texts.into_iter().map(put).collect()
        };
        self.url = put(&self.url);
        self.key_id = put(&self.key_id);
        self.key = put(&self.key);
        self.other = put(&self.other);
        self.headers = all(self.headers);
        self.form = self.form.map(all);
        // JSON escapes no character of what is filled in
        let body = self.body.map(|body| put(&body.to_string()));
        self.body = body.map(|body| serde_json::from_str(&body).unwrap());
        self
    }

    fn document(&self, service: &str) -> Value {
        let url = |path: &str| format!("https://{service}/{path}");
        let mut document = json!({
            "engine": "http-api-key", "masterarn": "master", "key_id": self.key_id, "key": self.key,
            "create": { "method": "POST", "url": url("create"), "key": "/secret", "id": "/id" },
            "verify": { "method": "GET", "url": url("verify") },
            "delete": { "method": "DELETE", "url": url("delete/{key_id}") },
        });
        if self.role == "list" {
            document["list"] = json!({ "keys": "/keys", "id": "/id", "label": "/name" });
        }
        let request = &mut document[self.role];
        request["method"] = self.method.clone().into();
        request["url"] = self.url.clone().into();
        request["headers"] = json!(self.headers);
        if let Some(body) = &self.body {
            request["body"] = body.clone();
        }
        if let Some(form) = &self.form {
            request["form"] = json!(form);
        }
        document["create"]["headers"]["idempotency-key"] = "{token}".into();
        document
    }

    /// The engine makes the request; an error if it did not.
    async fn ask(&self, engine: &ApiKey<'_>, document: &Value) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let document =
            Document::parse(&document.to_string().into()).map_err(|error| said(&error))?;
        let json = json!({ "key": "the master's", "other": self.other });
        let parse = || Document::parse_administrator(&json.to_string().into(), &document, ENGINES);
        parse().map_err(|error| said(&error))?;
        let master = || parse().unwrap();
        let asked = match self.role {
            "verify" => engine.log_in(&document).await.map(drop),
            "list" => engine.listed(&document, &master()).await.map(drop),
            "delete" => {
                let retiring = Retiring {
                    secret: "secret",
                    version: "new",
                    replaced: &document,
                    window: Some(Duration::ZERO),
                    pinned: false,
                };
                let read = async |_| Ok::<_, EngineError>(master());
                let retired = engine.retire(&retiring, read, async || Ok(Promotion::Now));
                retired.await.map(drop)
            }
            _ => {
                let succession = Succession {
                    secret: "secret",
                    token: "the token",
                    current: &document,
                    password: "".into(),
                    overlap: Overlap::Unbounded,
                };
                let known = async || {
                    Ok::<_, EngineError>(Some(Known {
                        administrator: master(),
                        stored: None,
                        previous: None,
                        held: None,
                        overlaps: true,
                    }))
                };
                let store = async |_: &Document| Ok(Stored::Over);
                engine.successor(succession, known, store).await.map(drop)
            }
        };
        asked.map_err(|error| said(&error))
    }

    /// The value of a placeholder.
    fn value(&self, name: &str) -> Option<&str> {
        match (self.role, name) {
            ("verify", "key") => Some(&self.key),
            ("create" | "verify" | "delete", "key_id") => Some(&self.key_id),
            ("create", "token") => Some("the token"),
            ("create", "label") => Some(LABEL),
            ("create" | "delete" | "list", "master.key") => Some("the master's"),
            ("create" | "delete" | "list", "master.other") => Some(&self.other),
            _ => None,
        }
    }

    /// The text that must arrive; `None` if it is unknown, or if the request should not have been sent.
    fn filled(&self, text: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            rest = &rest[next.len_utf8()..];
            match next {
                '\\' => {
                    let escaped = rest.chars().next()?;
                    filled.push(escaped);
                    rest = &rest[escaped.len_utf8()..];
                }
                '{' => {
                    let (name, after) = rest.split_once('}')?;
                    filled.push_str(self.value(name.trim())?);
                    rest = after;
                }
                plain => filled.push(plain),
            }
        }
        Some(filled)
    }

    fn filled_in(&self, body: &Value) -> Option<Value> {
        Some(match body {
            Value::String(text) => self.filled(text)?.into(),
            Value::Array(parts) => parts
                .iter()
                .map(|part| self.filled_in(part))
                .collect::<Option<Vec<_>>>()?
                .into(),
            Value::Object(fields) => {
                let filled = fields
                    .iter()
                    .map(|(name, field)| Some((name.clone(), self.filled_in(field)?)));
                Value::Object(filled.collect::<Option<Map<_, _>>>()?)
            }
            other => other.clone(),
        })
    }

    /// Compares a request that arrived with the document.
    fn check(&self, request: &str, service: &str) -> Result<(), TestCaseError> {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
        prop_assert_eq!(
            (line.len(), line[0], line[2]),
            (3, &*self.method, "HTTP/1.1")
        );
        self.check_target(line[1], service)?;

        let mut expected: Vec<(String, Option<String>)> =
            vec![("host".to_owned(), Some(service.to_owned()))];
        let described = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), self.filled(value)));
        expected.extend(described);
        if self.role == "create" {
            expected.push(("idempotency-key".to_owned(), Some("the token".to_owned())));
        }
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            let arrived = (name.to_lowercase(), Some(value.trim().to_owned()));
            let is_it = |(name, value): &(String, Option<String>)| {
                *name == arrived.0
                    && value.as_ref().map(|value| value.trim()) == arrived.1.as_deref()
            };
            match expected.iter().position(is_it) {
                Some(found) => drop(expected.remove(found)),
                None => prop_assert!(
                    ["accept", "content-type", "content-length"].contains(&&*arrived.0),
                    "{line:?} is not in the document"
                ),
            }
        }
        prop_assert!(expected.is_empty(), "{expected:?} did not arrive");

        match (&self.body, &self.form) {
            (Some(described), _) => {
                let arrived: Value = serde_json::from_str(body).unwrap();
                prop_assert_eq!(Some(arrived), self.filled_in(described));
            }
            (None, Some(described)) => {
                let arrived = body.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap();
                    let plain = |text: &str| decoded(&text.replace('+', " "));
                    (plain(name), Some(plain(value)))
                });
                let described = described
                    .iter()
                    .map(|(name, value)| (name.clone(), self.filled(value)));
                prop_assert_eq!(arrived.collect::<Vec<_>>(), described.collect::<Vec<_>>());
            }
            (None, None) => prop_assert_eq!(body, ""),
        }
        Ok(())
    }

    /// The URL is the document's, part by part: a filled-in value neither ends a part nor begins one.
    fn check_target(&self, target: &str, service: &str) -> Result<(), TestCaseError> {
        let described = self.url.strip_prefix("https://").unwrap();
        let end = described.find(['/', '?']).unwrap_or(described.len());
        prop_assert_eq!(described[..end].to_lowercase(), service);
        let (path, query) = halves(&described[end..]);
        let (arrived_path, arrived_query) = halves(target);
        let leads_back = |segment: &str| matches!(&*decoded(segment), "." | "..");
        if !path.split('/').any(leads_back) {
            let path = if path.is_empty() { "/" } else { path };
            self.check_parts(path, arrived_path, '/')?;
        }
        prop_assert_eq!(query.is_some(), arrived_query.is_some());
        self.check_parts(
            query.unwrap_or_default(),
            arrived_query.unwrap_or_default(),
            '&',
        )
    }

    fn check_parts(
        &self,
        described: &str,
        arrived: &str,
        between: char,
    ) -> Result<(), TestCaseError> {
        let (described, arrived): (Vec<_>, Vec<_>) = (
            described.split(between).collect(),
            arrived.split(between).collect(),
        );
        prop_assert_eq!(
            described.len(),
            arrived.len(),
            "{:?} arrived as {:?}",
            described,
            arrived
        );
        for (described, arrived) in described.into_iter().zip(arrived) {
            let expected = match described.split_once('=') {
                // a name is escaped as in the document, a value as it is filled in
                Some((name, value)) if value.contains('{') && !name.contains('{') => self
                    .filled(value)
                    .map(|value| format!("{}={value}", decoded(name))),
                _ if described.contains('{') => self.filled(described),
                _ => Some(decoded(described)),
            };
            prop_assert_eq!(
                Some(decoded(arrived)),
                expected,
                "{:?} arrived as {:?}",
                described,
                arrived
            );
        }
        Ok(())
    }
}

fn halves(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex {
            Some(hex) => {
                decoded.push(u8::from_str_radix(hex, 16).unwrap());
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[test]
fn every_request_is_what_its_document_says_and_goes_only_to_an_allowed_host() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = r#"{"id":"made","secret":"the new key","keys":[]}"#;
    let names = ["localhost", "127.0.0.1", "::1", "0.0.0.0"];
    let (service, stranger) = runtime.block_on(async {
        let start = async || Recorder::start(&names, answer).await.unwrap();
        (start().await, start().await)
    });
    let at = format!("localhost:{}", service.port());
    let port = stranger.port();
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), [service.ca(), stranger.ca()].concat()).unwrap();
    // the stranger is allowed by name, but not at an address of this machine
    let hosts = format!("private:{at},localhost:{port},127.0.0.1:{port},[::1]:{port}");
    let settings = Settings::read(|name| (name == "ALLOWED_HOSTS").then(|| hosts.clone())).unwrap();
    let https = Https::new(Some(ca_file.path().to_owned()));

    let (cases, arrived) = (Cell::new(0_u32), Cell::new(0_u32));
    let asked_for = std::env::var("PROPTEST_CASES").ok();
    let config = Config {
        cases: asked_for.map_or(2000, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(13),
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&described(), |described| {
        cases.set(cases.get() + 1);
        let described = described.at(&at, &format!("localhost:{port}"));
        let document = described.document(&at);
        let engine = ApiKey::new(&https, &settings, LIMITS);
        let asked = runtime.block_on(described.ask(&engine, &document));
        prop_assert_eq!(stranger.connections(), 0, "the stranger was reached");
        let requests = service.take_requests();
        match (&requests[..], asked) {
            ([], Err(_)) => Ok(()),
            ([request], _) => {
                arrived.set(arrived.get() + 1);
                described.check(request, &at)
            }
            (requests, asked) => {
                prop_assert!(false, "{asked:?}, {requests:?}");
                Ok(())
            }
        }
    });
    println!("{} cases, {} requests", cases.get(), arrived.get());
    ran.unwrap();
    assert!(
        arrived.get() * 10 > cases.get(),
        "too few are right: {} of {}",
        arrived.get(),
        cases.get()
    );
}
