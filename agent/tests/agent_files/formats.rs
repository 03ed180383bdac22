//! What a format writes, and what it refuses.

use std::path::PathBuf;

use rotating_secret::{
    CredentialGuard, RotatingSecret,
    provider::{Fixed, Version},
};
use rotating_secret_agent::{
    files::formats::{Bytes, render},
    settings::files::{File, Folder, Format, Owner},
};
use serde_json::json;

/// The bytes of one file in this format, or why it was refused.
pub(super) fn written(format: Format, document: &impl ToString) -> Result<Bytes, String> {
    let folder = Folder {
        secret: "orders/db".to_owned(),
        directory: PathBuf::from("/run/out"),
        owner: Owner::default(),
        mode: 0o600,
        shared_parent: false,
        required: true,
        after: None,
        files: vec![File {
            name: "file".to_owned(),
            format,
        }],
    };
    let rendered = render(&folder, &credential(document), true);
    rendered
        .map(|mut files| files.remove(0))
        .map_err(|error| error.to_string())
}

fn credential(document: &impl ToString) -> CredentialGuard {
    let provider = Fixed::new().with("orders/db", Version::text("v1", document.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let secret = runtime
        .block_on(RotatingSecret::builder("orders/db").build(provider))
        .unwrap();
    secret.current().unwrap()
}

#[test]
fn what_pgbouncer_takes_for_a_verifier_is_refused_and_what_only_begins_like_one_is_not() {
    let md5 = format!("md5{}", "0a".repeat(16));
    for (password, is_refused) in [
        (&*md5, true),
        ("SCRAM-SHA-256$4096:salt$stored:server", true),
        (&md5[1..], false),
        (&md5[..34], false),
        ("SCRAM-SHA-256", false),
    ] {
        let document = json!({ "username": "orders", "password": password });
        let refused = written(Format::Userlist, &document).is_err();
        assert_eq!(refused, is_refused, "{password}");
    }
}

/// libpq ends a line at a line feed only, and PostgreSQL's driver for JDBC at a carriage return too.
#[test]
fn a_carriage_return_cannot_begin_another_parameter_of_a_service_file() {
    let document =
        |password: &str| json!({ "host": "db", "username": "orders", "password": password });
    let format = || Format::PgService {
        service: "default".to_owned(),
        parameters: Default::default(),
    };
    let refused = written(format(), &document("one\rsslmode=disable")).unwrap_err();
    assert!(refused.contains("password has a line break"), "{refused}");
    written(format(), &document("one sslmode=disable")).unwrap();
}

/// vacuumdb, reindexdb and others read PGDATABASE as psql reads its argument: host and sslmode in it win over PGHOST and PGSSLMODE.
#[test]
fn a_database_that_is_a_connection_string_for_libpq_is_refused() {
    for (dbname, is_refused) in [
        ("host=db.example.com sslmode=disable", true),
        ("postgresql://db.example.com", true),
        ("postgres://db.example.com", true),
        ("a shop: one//two", false),
        ("postgres", false),
    ] {
        let document =
            json!({ "host": "db", "username": "orders", "password": "one", "dbname": dbname });
        let values = Default::default();
        let refused = written(Format::Env { values }, &document).err();
        assert_eq!(refused.is_some(), is_refused, "{dbname}: {refused:?}");
    }
}

#[test]
fn a_number_is_written_with_the_digits_of_the_document() {
    for (number, is) in [
        ("12345678901234567890123", "12345678901234567890123"),
        ("1.10", "1.10"),
        ("true", "true"),
        ("\"\\u0031e3\"", "1e3"),
    ] {
        let key = Some("id".to_owned());
        let text = format!("{{\"i\\u0064\":{number}}}");
        let bytes = written(Format::Plain { key }, &text).unwrap();
        assert_eq!(*bytes, is.as_bytes(), "{number}");
    }
}
