//! What a document says of itself, beyond the values in the table.

#![cfg(test)]

use std::time::Duration;

use rotating_secret_document::{Document, DocumentError, Fields, shown_engine};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

fn parse(document: &Value) -> Result<Document, DocumentError> {
    Document::parse(&SecretString::from(document.to_string()))
}

fn login(more: Value) -> Document {
    let mut document = json!({ "engine": "postgres", "host": "db.example.com", "username": "app", "password": "one" });
    merge(&mut document, more);
    parse(&document).unwrap()
}

fn merge(document: &mut Value, more: Value) {
    let more = more.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(more);
}

fn api_key(more: Value) -> Value {
    let request = |method: &str, path: &str| json!({ "method": method, "url": format!("https://api.example.com/{path}") });
    let mut document = json!({
        "engine": "http-api-key", "masterarn": "mail/master", "key": "one", "key_id": "k1",
        "create": request("POST", "keys"), "verify": request("GET", "me"), "delete": request("DELETE", "keys/{key_id}"),
    });
    merge(
        &mut document["create"],
        json!({ "headers": { "idempotency-key": "{token}" }, "key": "/secret", "id": "/id" }),
    );
    merge(
        &mut document["verify"],
        json!({ "headers": { "authorization": "Bearer {key}" } }),
    );
    merge(&mut document, more);
    document
}

#[test]
fn a_login_names_its_server_its_owner_and_any_other_text() {
    let document = login(
        json!({ "port": 6432, "masterarn": "admin", "ownerrole": "owner", "mine": "x\ny", "number": 7 }),
    );
    assert_eq!(document.server(), "db.example.com:6432");
    assert_eq!(document.login().unwrap().owner(), Some("owner"));
    assert_eq!(login(json!({})).login().unwrap().owner(), None);
    assert_eq!(document.text("mine").as_deref(), Some("x\ny"));
    assert_eq!(document.text("number"), None);
    assert_eq!(document.text("absent"), None);
    assert!(document.api().is_none());
    assert_eq!(document.ready_within(), Duration::ZERO);
}

#[test]
fn only_another_address_is_a_rotation_address() {
    for (more, is_another) in [
        (json!({}), false),
        (json!({ "rotationhost": "db.example.com" }), false),
        (json!({ "rotationport": 5432 }), false),
        (
            json!({ "rotationhost": "db.example.com", "rotationport": 5432 }),
            false,
        ),
        (json!({ "rotationhost": "writer.example.com" }), true),
        (json!({ "rotationport": 6432 }), true),
        (
            json!({ "rotationhost": "db.example.com", "rotationport": 6432 }),
            true,
        ),
        (
            json!({ "rotationhost": "writer.example.com", "rotationport": 5432 }),
            true,
        ),
    ] {
        assert_eq!(
            login(more.clone()).has_rotation_address(),
            is_another,
            "{more}"
        );
    }
}

#[test]
fn another_version_gives_its_user_and_password_and_nothing_else() {
    let current = login(json!({ "mine": 1 }));
    let other = json!({ "engine": "postgres", "host": "elsewhere", "username": "app_clone", "password": "two", "mine": 2 });
    let about = current.about(&other.to_string().into()).unwrap();
    assert_eq!(
        (about.username(), about.host()),
        ("app_clone", "db.example.com")
    );
    assert_eq!(about.password().expose_secret(), "two");
    let stored: Value = serde_json::from_str(about.to_json().expose_secret()).unwrap();
    assert_eq!(
        (&stored["username"], &stored["mine"]),
        (&json!("app_clone"), &json!(1))
    );
    for missing in ["username", "password"] {
        let mut without = other.clone();
        without.as_object_mut().unwrap().remove(missing);
        assert!(
            current.about(&without.to_string().into()).is_none(),
            "{missing}"
        );
    }
}

#[test]
fn an_api_key_has_requests_an_id_that_is_a_segment_and_a_time_until_it_is_accepted() {
    let list = json!({
        "method": "GET", "url": "https://api.example.com/keys", "keys": "/keys", "id": "/id", "label": "/name",
    });
    let document = parse(&api_key(json!({ "ready_within": "20s", "list": list }))).unwrap();
    assert_eq!(
        (document.username(), document.server()),
        ("k1", "api.example.com:443".to_owned())
    );
    assert_eq!(document.ready_within(), Duration::from_secs(20));
    assert_eq!(document.api().unwrap().create.method, "POST");
    let other = api_key(json!({ "key": "two", "key_id": "k2" })).to_string();
    let about = document.about(&other.into()).unwrap();
    assert_eq!(
        (about.username(), about.password().expose_secret()),
        ("k2", "two")
    );
    let requests = document.api().unwrap().requests();
    let named: Vec<_> = requests
        .map(|(name, request)| (name, &*request.method))
        .collect();
    assert_eq!(
        named,
        [
            ("create", "POST"),
            ("verify", "GET"),
            ("delete", "DELETE"),
            ("list", "GET")
        ]
    );
    for id in ["", "..", "a/b"] {
        let wrong = api_key(json!({ "key_id": id }));
        assert!(parse(&wrong).is_err(), "{id}");
        assert!(document.about(&wrong.to_string().into()).is_none(), "{id}");
    }
}

#[test]
fn an_error_says_what_a_text_looks_like_that_is_no_json() {
    for (text, looks) in [
        ("", "it is empty"),
        ("{'username': 'app'}", "Python"),
        ("{u'username': u'app'}", "Python"),
        ("postgres://app@db", "URL"),
        ("postgresql://app@db", "URL"),
        (r#"{\"username\": \"app\"}"#, "escaped once too often"),
    ] {
        let error = Document::parse(&SecretString::from(text))
            .unwrap_err()
            .to_string();
        assert!(error.contains(looks), "{text}: {error}");
    }
    let error = Document::parse(&SecretString::from("{broken"))
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains("escaped") && !error.contains("looks like"),
        "{error}"
    );
}

#[test]
fn an_ssl_that_is_null_or_empty_is_read_as_a_missing_one() {
    for (document, tls) in [
        ("{}", None),
        (r#"{"ssl":null}"#, None),
        (r#"{"ssl":""}"#, None),
        (r#"{"ssl":true}"#, Some(true)),
        (r#"{"ssl":" False "}"#, Some(false)),
    ] {
        let fields = Fields::read(&document.into()).unwrap();
        assert_eq!(fields.tls, tls, "{document}");
    }
}

#[test]
fn a_strategy_is_named_as_the_pages_name_it() {
    let two_users = login(json!({ "masterarn": "admin" }));
    let key = parse(&api_key(json!({}))).unwrap();
    for (document, name) in [
        (login(json!({})), "single user"),
        (two_users, "alternating users"),
        (key, "api key"),
    ] {
        assert_eq!(document.strategy().name(), name);
    }
}

#[test]
fn an_engine_is_shown_only_if_it_looks_like_a_name() {
    let longest = "x".repeat(40);
    for name in ["mysql", "my-sql_8.0", "SQL Server", &longest] {
        assert_eq!(shown_engine(name), name);
    }
    for text in ["pass/word", "naïve", &"x".repeat(41)] {
        assert_eq!(shown_engine(text), "…", "{text}");
    }
}

#[test]
fn a_database_that_readers_of_urls_would_remove_from_the_path_is_a_parameter() {
    for (database, ends) in [
        (".", "@db:5432/?dbname=.&sslmode=verify-full"),
        ("..", "@db:5432/?dbname=..&sslmode=verify-full"),
        ("...", "@db:5432/...?sslmode=verify-full"),
    ] {
        let text =
            json!({ "host": "db", "username": "app", "password": "one", "dbname": database });
        let fields = Fields::read(&text.to_string().into()).unwrap();
        let url = fields.url().unwrap();
        assert!(url.expose_secret().ends_with(ends), "{database}");
    }
}
