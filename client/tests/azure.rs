//! The provider for Azure Key Vault, against a stand-in that speaks Key Vault's wire format, over TLS.

#![cfg(feature = "azure")]
#![cfg(test)]

mod common;

use std::{io, sync::Arc};

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    http::{StatusCode, Transport},
    time::{Duration, OffsetDateTime},
};
use azure_security_keyvault_secrets::SecretClientOptions;
use common::stores::{begin_tracing, in_environment, tell, text, traced};
use local::key_vault::{Fault, KeyVault};
use rotating_secret::provider::{
    Azure, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::json;

const TOKEN: &str = "eyJ0.the-token-of-these-tests";

/// Returns this token, or this error.
#[derive(Debug)]
struct Credential(Token);

type Token = fn() -> Result<&'static str, Error>;

#[async_trait::async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://vault.azure.net/.default"]);
        let token = (self.0)()?;
        Ok(AccessToken::new(
            token,
            OffsetDateTime::now_utc() + Duration::hours(1),
        ))
    }
}

/// A client that reaches the stand-in and trusts these certificates.
fn options(vault: &KeyVault, roots: RootCertStore) -> SecretClientOptions {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve(&vault.host(), vault.address())
        .build()
        .unwrap();
    let mut options = SecretClientOptions::default();
    options.client_options.transport = Some(Transport::new(Arc::new(client)));
    options
}

fn azure(vault: &KeyVault, credential: Token) -> Azure {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(vault.ca().as_bytes()).unwrap())
        .unwrap();
    let url = format!("https://{}", vault.host());
    Azure::with_options(
        &url,
        Arc::new(Credential(credential)),
        options(vault, roots),
    )
    .unwrap()
}

async fn started() -> (KeyVault, Azure) {
    let vault = KeyVault::start("orders", TOKEN).await.unwrap();
    let azure = azure(&vault, || Ok(TOKEN));
    (vault, azure)
}

async fn current(azure: &Azure, secret: &str) -> Result<Version, ProviderError> {
    azure.fetch(secret, Stage::Current).await
}

fn refusal(status: u16, code: &str, inner: &str) -> Fault {
    let inner = json!({ "code": inner });
    let error = json!({ "code": code, "message": "hunter2", "innererror": inner });
    Fault::Answer(status, json!({ "error": error }).to_string())
}

#[tokio::test]
async fn the_latest_version_is_current_and_has_the_name_that_key_vault_gives_it() {
    let (vault, azure) = started().await;
    for value in ["one", r#"{"username":"orders","password":"two"}"#] {
        let id = vault.set("orders-db", value);
        let version = current(&azure, "orders-db").await.unwrap();
        assert_eq!((version.id.as_str(), text(&version)), (id.as_str(), value));
        assert_eq!((version.arn, version.lease), (None, None));
    }
}

#[tokio::test]
async fn only_the_first_request_is_challenged() {
    let (vault, azure) = started().await;
    vault.set("orders-db", "one");
    current(&azure, "orders-db").await.unwrap();
    assert_eq!(vault.requests(), ["GET /secrets/orders-db/"; 2]);
    // clones share their state
    current(&azure.clone(), "orders-db").await.unwrap();
    assert_eq!(vault.requests().len(), 3);
}

#[tokio::test]
async fn absent_deleted_and_disabled_secrets_are_not_found_and_expired_ones_are_delivered() {
    let (vault, azure) = started().await;
    for name in ["deleted", "disabled", "expired"] {
        vault.set(name, name);
    }
    vault.delete("deleted");
    vault.disable("disabled");
    vault.expire("expired", 1);
    for (name, says) in [
        ("absent", "SecretNotFound"),
        ("deleted", "SecretNotFound"),
        ("disabled", "SecretDisabled"),
    ] {
        let error = current(&azure, name).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(text(&current(&azure, "expired").await.unwrap()), "expired");
}

#[tokio::test]
async fn there_is_no_pending_version_and_key_vault_is_not_asked_for_one() {
    let (vault, azure) = started().await;
    vault.set("orders-db", "one");
    let error = azure.fetch("orders-db", Stage::Pending).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(vault.requests().is_empty());
}

#[tokio::test]
async fn an_invalid_name_of_a_secret_is_not_requested() {
    let (vault, azure) = started().await;
    for name in [
        "",
        "orders/db",
        "../keys/x",
        "orders?x=",
        "orders_db",
        &"x".repeat(128),
    ] {
        let error = current(&azure, name).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
    assert!(vault.requests().is_empty());
}

#[tokio::test]
async fn a_refusal_is_an_error_of_its_kind_and_is_not_retried() {
    for (status, code, inner, kind) in [
        (400, "BadParameter", "", Kind::Invalid),
        (401, "Unauthorized", "", Kind::AccessDenied),
        (403, "Forbidden", "AccessDenied", Kind::AccessDenied),
        (403, "Forbidden", "ForbiddenByRbac", Kind::AccessDenied),
        (403, "Forbidden", "ForbiddenByFirewall", Kind::AccessDenied),
        (403, "Forbidden", "SecretDisabled", Kind::NotFound),
        (404, "SecretNotFound", "", Kind::NotFound),
        (404, "NotFound", "", Kind::Invalid),
        (429, "Throttled", "", Kind::Throttled),
        (500, "InternalServerError", "", Kind::Unavailable),
        (503, "ServiceUnavailable", "", Kind::Unavailable),
    ] {
        let (vault, azure) = started().await;
        vault.fail(refusal(status, code, inner));
        let error = current(&azure, "orders-db").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(code), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(vault.requests().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn only_key_vault_itself_makes_a_secret_absent_or_forbidden() {
    for status in [401, 403, 404] {
        let (vault, azure) = started().await;
        vault.fail(Fault::Answer(
            status,
            "<h1>a proxy in between</h1>".to_owned(),
        ));
        let error = current(&azure, "orders-db").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_key_vaults_is_invalid_and_not_quoted() {
    for body in [
        "hunter2",
        r#"{"value":"hunter2"}"#,
        r#"{"attributes":"hunter2"}"#,
    ] {
        let (vault, azure) = started().await;
        vault.fail(Fault::Answer(200, body.to_owned()));
        let error = current(&azure, "orders-db").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_broken_or_untrusted_connection_is_unavailable() {
    let (vault, azure) = started().await;
    vault.fail(Fault::Close);
    let error = current(&azure, "orders-db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert_eq!(vault.requests().len(), 1);

    let url = format!("https://{}", vault.host());
    let credential = Arc::new(Credential(|| Ok(TOKEN)));
    let nobody = options(&vault, RootCertStore::empty());
    let azure = Azure::with_options(&url, credential, nobody).unwrap();
    let error = current(&azure, "orders-db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(vault.requests().len(), 1);
}

#[tokio::test]
async fn a_token_that_key_vault_rejects_is_an_access_error() {
    let (vault, _) = started().await;
    let error = current(&azure(&vault, || Ok("eyJ0.another")), "orders-db")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
}

fn status(status: StatusCode) -> ErrorKind {
    ErrorKind::HttpResponse {
        status,
        error_code: Some("7000215".to_owned()),
        raw_response: None,
    }
}

/// An error of a credential, as azure_identity wraps it.
fn wrapped(kind: ErrorKind) -> Error {
    let cause = Error::new(kind, io::Error::other("the cause"));
    Error::with_error(ErrorKind::Credential, cause, "authentication failed")
}

#[tokio::test]
async fn a_credential_that_has_no_token_is_unavailable_only_if_it_had_no_answer() {
    let credentials: [(Token, Kind); 5] = [
        (|| Err(wrapped(ErrorKind::Connection)), Kind::Unavailable),
        (
            || Err(wrapped(status(StatusCode::ServiceUnavailable))),
            Kind::Unavailable,
        ),
        (
            || Err(wrapped(status(StatusCode::TooManyRequests))),
            Kind::Throttled,
        ),
        (
            || Err(wrapped(status(StatusCode::Unauthorized))),
            Kind::Invalid,
        ),
        (
            || {
                Err(Error::with_message(
                    ErrorKind::Credential,
                    "Azure CLI not found",
                ))
            },
            Kind::Invalid,
        ),
    ];
    for (credential, kind) in credentials {
        let (vault, _) = started().await;
        let error = current(&azure(&vault, credential), "orders-db")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let says_so = ["no token for", "no answer for"]
            .iter()
            .any(|says| error.to_string().contains(says));
        assert!(says_so, "{error}");
        assert_eq!(vault.requests().len(), 1, "the challenge alone");
    }
}

#[tokio::test]
async fn neither_the_token_nor_a_value_is_shown_or_traced() {
    begin_tracing();
    let (vault, azure) = started().await;
    vault.set("orders-db", "hunter2");
    let version = current(&azure, "orders-db").await.unwrap();
    vault.fail(refusal(403, "Forbidden", "AccessDenied"));
    current(&azure, "orders-db").await.unwrap_err();

    let shown = format!("{version:?} {azure:?} {}", traced());
    assert!(
        shown.contains("orders.vault.azure.net/secrets"),
        "something was traced"
    );
    for secret in [TOKEN, "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

// --- the environment

#[tokio::test]
#[ignore = "the test below runs it, in several environments"]
async fn begins_in_its_environment() {
    tell(Azure::from_env("https://orders.vault.azure.net").map(|_| Version::text("begun", "")));
}

#[tokio::test]
async fn the_environment_chooses_the_credential_and_an_error_names_what_is_missing() {
    for (variables, says) in [
        (&[("AZURE_TOKEN_CREDENTIALS", "dev")][..], "begun"),
        (
            &[
                ("AZURE_TOKEN_CREDENTIALS", "prod"),
                ("AZURE_CLIENT_ID", "id"),
            ],
            "begun",
        ),
        (
            &[("AZURE_TOKEN_CREDENTIALS", "hunter")],
            "AZURE_TOKEN_CREDENTIALS is hunter: set it",
        ),
        (
            &[("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent")],
            "no tenant ID specified",
        ),
        (&[("AZURE_CLIENT_SECRET", "hunter2")], "invalid tenant ID"),
        (
            &[
                ("AZURE_CLIENT_SECRET", "hunter2"),
                ("AZURE_CLIENT_ID", "id"),
                ("AZURE_TENANT_ID", "tenant"),
            ],
            "begun",
        ),
    ] {
        let told = in_environment("begins_in_its_environment", variables).await;
        assert!(told.contains(says), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn an_address_without_tls_is_refused() {
    let azure = Azure::new(
        "http://orders.vault.azure.net",
        Arc::new(Credential(|| Ok(TOKEN))),
    );
    assert_eq!(azure.unwrap_err().kind(), Kind::Invalid);
}
