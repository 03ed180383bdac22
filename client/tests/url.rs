//! A credential as a URL and as a driver's settings: the drivers' own parsers read it correctly, and the server accepts the login.
#![cfg(all(feature = "postgres", feature = "sqlx", feature = "tls"))]
#![cfg(test)]

mod common;

use common::of_document;
use local::postgres::Postgres;
use rotating_secret::{
    FieldNames, RotatingSecret, postgres,
    provider::{Fixed, Version},
};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

/// Each is used as a user, as a password and as a database.
const NASTY: [&str; 20] = [
    "plain",
    "a b",
    "a@b",
    "a:b",
    "a/b",
    "/a",
    "//",
    "a?b=c&d",
    "#",
    "%",
    "%41",
    "100%",
    "+",
    "\\",
    "'\"`",
    "ü€😀",
    "..",
    ".",
    "[::1]",
    "\n\t\u{7f}",
];

const HOSTS: [(&str, u16); 4] = [
    ("db.example.com", 5432),
    ("10.0.0.7", 6543),
    ("2001:db8::7", 5432),
    ("db_1", 1),
];

#[tokio::test]
async fn the_drivers_read_the_documents_values_from_the_url_and_the_settings() {
    for (host, port) in HOSTS {
        for nasty in NASTY {
            for ssl in [true, false] {
                let document = json!({ "host": host, "port": port, "username": nasty, "password": nasty, "dbname": nasty, "ssl": ssl });
                let secret = of_document(document).await;
                let credential = secret.current().unwrap();
                let url = credential.url().unwrap();
                let url = url.expose_secret();

                // which knows no verify-full
                let parsed: Config = url.replace("verify-full", "require").parse().unwrap();
                for config in [parsed, credential.postgres_config().unwrap()] {
                    assert_eq!(config.get_user(), Some(nasty), "{url}");
                    assert_eq!(config.get_password(), Some(nasty.as_bytes()), "{url}");
                    assert_eq!(config.get_dbname(), Some(nasty), "{url}");
                    assert_eq!(config.get_hosts(), [Host::Tcp(host.to_owned())], "{url}");
                    assert_eq!(config.get_ports(), [port], "{url}");
                    let mode = if ssl {
                        SslMode::Require
                    } else {
                        SslMode::Disable
                    };
                    assert_eq!(config.get_ssl_mode(), mode, "{url}");
                }

                let parsed: PgConnectOptions = url.parse().unwrap();
                let settings = credential.sqlx_options().unwrap();
                assert_eq!(settings.get_host(), host);
                assert_eq!(parsed.get_host().trim_matches(['[', ']']), host, "{url}");
                for options in [parsed, settings] {
                    assert_eq!(options.get_username(), nasty, "{url}");
                    assert_eq!(options.get_database(), Some(nasty), "{url}");
                    assert_eq!(options.get_port(), port, "{url}");
                    let verifies = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
                    assert_eq!(verifies, ssl, "{url}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_url_and_the_settings_log_in_as_the_documents_user() {
    let server = Postgres::shared().await.unwrap();
    let ca = server.ca_file();
    let tls = postgres::tls(Some(&ca)).unwrap();
    // sqlx refuses a user with a character that SASLprep (RFC 4013) prohibits, such as an emoji
    for (number, nasty) in ["a@b:c/d?e=f&g=#%41+", "\\ '\"`", "..", "ü €"]
        .into_iter()
        .enumerate()
    {
        let (user, password, dbname) = (format!("{nasty}{number}"), nasty, nasty);
        let quoted = |name: &str| name.replace('"', "\"\"");
        for statement in [
            format!(
                "CREATE ROLE \"{}\" LOGIN PASSWORD '{}'",
                quoted(&user),
                password.replace('\'', "''")
            ),
            format!("CREATE DATABASE \"{}\"", quoted(dbname)),
        ] {
            server.execute(&statement).await.unwrap();
        }
        let document = json!({ "host": server.host(), "port": server.port(), "username": user, "password": password, "dbname": dbname });
        let secret = of_document(document).await;
        let credential = secret.current().unwrap();
        let question = "SELECT session_user::text || ' in ' || current_database()";
        let expected = format!("{user} in {dbname}");

        let url = credential.url().unwrap();
        let parsed: Config = url
            .expose_secret()
            .replace("verify-full", "require")
            .parse()
            .unwrap();
        for config in [parsed, credential.postgres_config().unwrap()] {
            let (client, connection) = config.connect(tls.clone()).await.unwrap();
            tokio::spawn(async { drop(connection.await) });
            let answer: String = client.query_one(question, &[]).await.unwrap().get(0);
            assert_eq!(answer, expected);
        }
        let parsed: PgConnectOptions = url.expose_secret().parse().unwrap();
        for options in [parsed, credential.sqlx_options().unwrap()] {
            let mut connection = options.ssl_root_cert(&ca).connect().await.unwrap();
            let answer: String = sqlx::query_scalar(question)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(answer, expected);
            connection.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_secret_with_its_own_field_names_logs_in_and_a_missing_field_is_reported_by_that_name() {
    let server = Postgres::shared().await.unwrap();
    let created = server.execute("CREATE ROLE named LOGIN PASSWORD 'named'");
    created.await.unwrap();
    let names = FieldNames {
        username: "DB_USER",
        password: "pass",
        host: "DB_HOST",
        port: "DB_PORT",
        ..FieldNames::RDS
    };
    let document = json!({ "DB_USER": "named", "pass": "named", "DB_HOST": server.host(), "DB_PORT": server.port().to_string() });
    let provider = Fixed::new().with("orders/db", Version::text("1", document.to_string()));
    let secret = RotatingSecret::builder("orders/db").field_names(names);
    let secret = secret.build(provider.clone()).await.unwrap();
    let tls = postgres::tls(Some(&server.ca_file())).unwrap();
    let client = postgres::connect(&secret, tls).await.unwrap();
    let row = client.query_one("SELECT session_user::text", &[]).await;
    assert_eq!(row.unwrap().get::<_, String>(0), "named");

    provider.set(
        "orders/db",
        Version::text("2", r#"{"DB_HOST":"h","pass":"p","username":"u"}"#),
    );
    let other = secret.refresh().await.unwrap();
    for error in [
        other.postgres_config().unwrap_err().to_string(),
        other.sqlx_options().unwrap_err().to_string(),
    ] {
        for part in ["orders/db", "has no DB_USER", "field_names"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
