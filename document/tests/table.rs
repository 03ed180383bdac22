//! The document's own readers against the table; and what else a document promises.

#![cfg(test)]

use std::time::Duration;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use rotating_secret_document::{
    Document, DocumentError, ENGINES, FieldNames, Fields, Overlap,
    table::{ROWS, Reading},
};

fn parse(json: &str) -> Result<Document, DocumentError> {
    Document::parse(&SecretString::from(json))
}

/// In the form of the table.
fn reading(document: &Document) -> impl PartialEq<Reading> {
    struct Read<'a>(&'a Document);
    impl PartialEq<Reading> for Read<'_> {
        fn eq(&self, other: &Reading) -> bool {
            let Self(document) = self;
            let login = document.login().unwrap();
            (document.host(), document.port(), document.username())
                == (other.host, other.port, other.user)
                && document.password().expose_secret() == other.password
                && (login.dbname(), document.tls()) == (other.database, other.tls)
                && document.administrator() == other.administrator
                && document.takes_turns()
                    == other.takes_turns.unwrap_or(other.administrator.is_some())
        }
    }
    Read(document)
}

#[test]
fn every_document_of_the_table_has_its_one_reading() {
    assert!(ROWS.len() >= 80);
    for row in ROWS {
        match (parse(row.text), row.reading) {
            (Ok(document), Ok(expected)) => {
                assert!(reading(&document) == expected, "{}: {document:?}", row.what);
            }
            (Err(error), Err(kind)) => {
                assert_eq!(error.error_type(), kind, "{}", row.what);
                assert!(!error.to_string().contains("s3cret"), "{error}");
            }
            (read, expected) => panic!("{}: {read:?} in place of {expected:?}", row.what),
        }
    }
}

#[test]
fn every_document_of_the_table_comes_back_byte_for_byte_but_for_its_password() {
    for row in ROWS.iter().filter(|row| row.reading.is_ok()) {
        let document = parse(row.text).unwrap();
        assert_eq!(document.to_json().expose_secret(), row.text, "{}", row.what);
        let other = document.with_password("n\"ew".into()).to_json();
        let read_back = Document::parse(&other).unwrap();
        assert_eq!(read_back.password().expose_secret(), "n\"ew");
        // and back again
        let password = document.password().clone();
        let back = read_back.with_password(password).to_json();
        let plain = !row.text.contains(r"\u") && !row.text.contains(r"\/");
        if plain {
            assert_eq!(back.expose_secret(), row.text, "{}", row.what);
        }
    }
}

#[test]
fn the_fields_have_the_values_of_the_whole_document() {
    for row in ROWS {
        let Ok(fields) = Fields::read(&row.text.into()) else {
            assert!(row.reading.is_err(), "{}", row.what);
            continue;
        };
        let Ok(expected) = row.reading else { continue };
        assert_eq!(fields.host.as_deref(), Some(expected.host), "{}", row.what);
        assert_eq!(fields.username.as_deref(), Some(expected.user));
        assert_eq!(
            fields.password.unwrap().expose_secret(),
            expected.password,
            "{}",
            row.what
        );
    }
}

#[test]
fn an_error_says_what_a_text_looks_like() {
    for (text, looks) in [
        ("{'host': 'h'}", "what Python prints of a dict"),
        ("postgresql://app:p@h/db", "a connection's URL"),
        (r#"{\"host\":\"h\"}"#, "escaped once too often"),
        ("", "empty"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(looks), "{error}");
    }
}

#[test]
fn keys_without_meaning_for_a_single_user_are_reported_and_not_refused() {
    let document = parse(
        r#"{"host":"h","username":"u","password":"p","overlap":5,"ownerrole":[1],"strategy":7}"#,
    );
    assert_eq!(
        document.unwrap().ignored(),
        ["strategy", "ownerrole", "overlap"]
    );
    let ours = parse(r#"{"host":"h","username":"u","password":"p","overlap":"24h"}"#).unwrap();
    assert!(ours.ignored().is_empty());
    assert_eq!(
        ours.overlap(),
        Some(Overlap::Bounded(Duration::from_secs(86_400)))
    );
}

#[test]
fn debug_output_shows_keys_and_neither_the_password_nor_an_unknown_keys_value() {
    let document =
        parse(r#"{"host":"h","username":"u","password":"hidden-1","api_key":"hidden-2"}"#).unwrap();
    let shown = format!("{document:?}");
    assert!(
        shown.contains("api_key") && !shown.contains("hidden"),
        "{shown}"
    );
    let fields = Fields::read(&r#"{"host":"h","password":"hidden-1","key":"hidden-2"}"#.into());
    let shown = format!("{:?}", fields.unwrap());
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn an_error_names_the_field_in_which_two_servers_differ() {
    let current = parse(r#"{"host":"h","username":"u","password":"p"}"#).unwrap();
    for (more, field) in [
        (r#""extra":1"#, None),
        (r#""host":"evil""#, Some("host")),
        (r#""port":1"#, Some("port")),
        (r#""host":"h:5432""#, None),
        (r#""username":"v""#, None),
        (r#""masterarn":"a""#, Some("masterarn")),
        (r#""dbname":"d""#, Some("dbname")),
        (r#""dbname":"postgres""#, None),
        (r#""rotationhost":"d""#, Some("rotationhost")),
        (r#""rotationport":1"#, Some("rotationport")),
        (r#""ssl":false"#, None),
        (r#""ownerrole":"o""#, None),
    ] {
        let other = format!(r#"{{"host":"h","username":"u","password":"q",{more}}}"#);
        assert_eq!(
            parse(&other).unwrap().differs_from(&current),
            field,
            "{other}"
        );
    }
    let alternating = r#"{"host":"h","username":"u","password":"p","masterarn":"a"}"#;
    for (more, field) in [
        (r#""ownerrole":"o""#, "ownerrole"),
        (r#""strategy":"single-user""#, "strategy"),
    ] {
        let other = alternating.replace('}', &format!(",{more}}}"));
        let differs = parse(&other)
            .unwrap()
            .differs_from(&parse(alternating).unwrap());
        assert_eq!(differs, Some(field));
    }
}

#[test]
fn if_two_versions_differ_in_ssl_the_current_one_counts() {
    let current = parse(r#"{"host":"h","username":"u","password":"p"}"#).unwrap();
    let plain = parse(r#"{"host":"h","username":"u","password":"q","ssl":false}"#).unwrap();
    assert!(!plain.tls() && plain.with_tls_of(&current).tls());
}

#[test]
fn an_administrators_document_takes_what_it_does_not_say_from_the_rotated_one() {
    let rotated =
        parse(r#"{"host":"h","port":6432,"username":"u","password":"p","dbname":"d","ssl":false}"#)
            .unwrap();
    for managed in [
        r#"{"username":"admin","password":"a"}"#,
        r#"{"username":"admin","password":"a","host":null,"dbname":"","port":null,"ssl":""}"#,
    ] {
        let managed = Document::parse_administrator(&managed.into(), &rotated, ENGINES).unwrap();
        assert_eq!(managed.differs_from(&rotated), None);
        // a writer of a secret does not decide that the administrator logs in without TLS
        assert_eq!((managed.username(), managed.tls()), ("admin", true));
    }
    let own = r#"{"host":"w","port":1,"username":"admin","password":"a","dbname":"x"}"#;
    let own = Document::parse_administrator(&own.into(), &rotated, ENGINES).unwrap();
    let dbname = own.login().unwrap().dbname();
    assert_eq!((own.host(), own.port(), dbname), ("w", 1, "x"));
}

#[test]
fn the_other_users_document_announces_the_overlap_and_keeps_the_rest() {
    let text = r#"{"username":"u","host":"h","password":"p","masterarn":"m","mine":1}"#;
    let current = parse(text).unwrap();
    assert_eq!(current.next_user(), "u_clone");
    let written = |current: &Document, overlap| {
        let next = current.with_user("u_clone".to_owned(), "q".into(), overlap);
        let read_back = Document::parse(&next.to_json()).unwrap();
        assert_eq!(read_back.username(), next.username());
        next
    };
    let bounded = written(&current, Overlap::Bounded(Duration::from_secs(7200)));
    let unbounded = written(&bounded, Overlap::Unbounded);
    let json = |document: &Document| document.to_json().expose_secret().to_owned();
    assert_eq!(
        json(&bounded),
        r#"{"username":"u_clone","host":"h","password":"q","masterarn":"m","mine":1,"overlap_seconds":7200}"#
    );
    assert_eq!(
        json(&unbounded),
        r#"{"username":"u_clone","host":"h","password":"q","masterarn":"m","mine":1}"#
    );
}

#[test]
fn a_url_logs_in_with_any_password() {
    let fields = |text: &str| Fields::read(&text.into()).unwrap();
    let url = |text: &str| {
        let url = fields(text).url();
        url.map(|url| url.expose_secret().to_owned())
    };
    assert_eq!(
        url(r#"{"host":"h","username":"a@b","password":"a:/?#[]@%é\\"}"#).unwrap(),
        "postgresql://a%40b:a%3A%2F%3F%23%5B%5D%40%25%C3%A9%5C@h:5432/postgres?sslmode=verify-full"
    );
    assert_eq!(
        url(r#"{"host":"::1","port":1,"username":"u","password":"p","dbname":"d","ssl":false}"#)
            .unwrap(),
        "postgresql://u:p@[::1]:1/d?sslmode=disable"
    );
    assert_eq!(url(r#"{"username":"u","password":"p"}"#), None);
}

#[test]
fn a_document_with_other_field_names_is_read_by_them_and_errors_name_them() {
    let names = FieldNames {
        username: "DB_USER",
        password: "pass",
        host: "DB_HOST",
        port: "DB_PORT",
        dbname: "DB_NAME",
    };
    let text = r#"{"DB_USER":"orders","pass":"p","DB_HOST":"h","DB_PORT":"6543","DB_NAME":"shop","username":"other","password":7}"#;
    let fields = Fields::read_named(&text.into(), &names).unwrap();
    assert_eq!(fields.wrong, None);
    assert_eq!(
        fields.url().unwrap().expose_secret(),
        "postgresql://orders:p@h:6543/shop?sslmode=verify-full"
    );
    let wrong = r#"{"DB_USER":"orders","pass":7}"#;
    let wrong = Fields::read_named(&wrong.into(), &names).unwrap().wrong;
    assert!(wrong.unwrap().to_string().contains("\"pass\""));
}

proptest! {
    #[test]
    fn any_password_is_written_and_read_back(password in "[^\0]{1,80}") {
        let document = parse(r#"{"host":"h","username":"u","password":"p"}"#).unwrap();
        let written = document.with_password(password.as_str().into()).to_json();
        let read_back = Document::parse(&written).unwrap();
        prop_assert_eq!(read_back.password().expose_secret(), password);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_object_makes_the_parser_panic(
        fields in prop::collection::vec(
            (
                prop::sample::select(vec!["host", "port", "username", "password", "ssl", "dbname", "masterarn", "x", "\\u0061"]),
                prop::sample::select(vec!["null", "\"\"", "\"a\"", "1", "true", "[]", "{}", "\"a:1\"", "\" \"", "1e9", "\"\\ud800\""]),
            ),
            0..12,
        )
    ) {
        let members: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let text = format!("{{{}}}", members.join(" , "));
        if let Ok(document) = parse(&text) {
            let changed = document.with_user("v".to_owned(), "q".into(), Overlap::Unbounded);
            let read_back = Document::parse(&changed.to_json()).unwrap();
            prop_assert_eq!(read_back.username(), "v");
            prop_assert_eq!(read_back.password().expose_secret(), "q");
        }
    }
}
