//! The application's own rustls, and the client's, with no provider installed.

#![cfg(test)]

use std::process::Command;

use rotating_secret::{
    postgres,
    provider::{Aws, ProviderErrorKind, SecretProvider, Stage},
};
use rustls::{ClientConfig, RootCertStore};

#[test]
fn the_applications_rustls_needs_no_provider_installed() {
    // panics where more than one provider is in the build
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    assert!(!config.crypto_provider().cipher_suites.is_empty());
}

#[test]
fn the_clients_tls_to_postgresql_needs_no_provider_installed() {
    assert!(postgres::tls(None).is_ok());
}

#[test]
fn the_clients_tls_to_aws_needs_no_provider_installed() {
    let roots = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../src/postgres/rds-root-cas.pem"
    );
    // a process of its own, because to set a variable of this one is unsafe
    let asked = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ask_aws", "--ignored"])
        .env("AWS_CA_BUNDLE", roots)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        // nobody listens there
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://127.0.0.1:1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "the test above runs it, in a process with variables of AWS"]
async fn ask_aws() {
    let aws = Aws::from_env().await.unwrap();
    let error = aws.fetch("orders/db", Stage::Current).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Unavailable, "{error}");
}
