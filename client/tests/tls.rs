//! The caller's own TLS configuration, against a server that requires TLS.
#![cfg(feature = "tls")]
#![cfg(test)]

mod common;

use std::fs;

use common::{chain, of_document};
use local::postgres::{Postgres, Settings};
use rotating_secret::{
    RotatingSecret,
    postgres::{self, TlsBuilder},
};
use secrecy::ExposeSecret;
use serde_json::json;

/// The superuser's secret at this server: the test is about TLS, not about the role.
async fn secret(server: &Postgres) -> RotatingSecret {
    let password = server.superuser_password().expose_secret();
    let document = json!({ "host": server.host(), "port": server.port(), "username": "postgres", "password": password });
    of_document(document).await
}

async fn connected(server: &Postgres, tls: TlsBuilder) -> Result<(), String> {
    let tls = tls.build().unwrap();
    let client = postgres::connect(&secret(server).await, tls).await;
    let client = client.map_err(|error| chain(&error))?;
    let question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = client.query_one(question, &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "without TLS");
    Ok(())
}

/// A server whose certificate has another name.
async fn misnamed() -> Postgres {
    let settings = Settings {
        certificate_hosts: vec!["db.internal.example".to_owned()],
        ..Settings::default()
    };
    Postgres::start(settings).await.unwrap()
}

#[tokio::test]
async fn a_root_given_as_text_or_file_is_trusted_beside_the_built_in_ones_and_alone() {
    let server = Postgres::shared().await.unwrap();
    let pem = fs::read(server.ca_file()).unwrap();
    for tls in [
        TlsBuilder::new().ca_pem(pem.clone()),
        TlsBuilder::new().ca_file(server.ca_file()),
        TlsBuilder::new().ca_pem(pem).without_built_in_roots(),
    ] {
        connected(server, tls).await.unwrap();
    }
    let refused = connected(server, TlsBuilder::new()).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[tokio::test]
async fn verify_ca_accepts_another_name_and_no_other_signer() {
    let (server, other) = (misnamed().await, Postgres::shared().await.unwrap());
    let full = TlsBuilder::new().ca_file(server.ca_file());
    let refused = connected(&server, full).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    let ca_only = TlsBuilder::new().ca_file(server.ca_file()).verify_ca();
    connected(&server, ca_only).await.unwrap();
    let strange = TlsBuilder::new().ca_file(other.ca_file()).verify_ca();
    let refused = connected(&server, strange).await.unwrap_err();
    assert!(refused.contains("invalid peer certificate"), "{refused}");
    // an expired certificate is still refused
    server.issue_certificate(-1).unwrap();
    server.execute("SELECT pg_reload_conf()").await.unwrap();
    let ca_only = || TlsBuilder::new().ca_file(server.ca_file()).verify_ca();
    // the server reloads with a delay
    let refused = loop {
        if let Err(refused) = connected(&server, ca_only()).await {
            break refused;
        }
    };
    assert!(refused.contains("xpired"), "{refused}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_it() {
    let settings = Settings {
        conf: "ssl_ca_file = '../ca.pem'".to_owned(),
        ..Settings::default()
    };
    let server = Postgres::start(settings).await.unwrap();
    let folder = server.folder();
    // without TLS the requests are as before
    let rules = "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n";
    let rules = format!("hostssl all all all scram-sha-256 clientcert=verify-ca\n{rules}");
    fs::write(folder.join("data/pg_hba.conf"), rules).unwrap();
    server.execute("SELECT pg_reload_conf()").await.unwrap();

    let trusting = || TlsBuilder::new().ca_file(server.ca_file());
    // the server reloads with a delay
    let refused = loop {
        if let Err(refused) = connected(&server, trusting()).await {
            break refused;
        }
    };
    assert!(refused.contains("client certificate"), "{refused}");
    // its CA signed the server's certificate, whose purpose excludes this use
    let certificate = fs::read(folder.join("data/server.crt")).unwrap();
    let key = fs::read_to_string(folder.join("data/server.key")).unwrap();
    let showing = trusting().client_certificate(certificate, key.into());
    connected(&server, showing).await.unwrap();
}
