//! The provider for HashiCorp Vault, against a stand-in that speaks Vault's wire format.

#![cfg(feature = "vault")]
#![cfg(test)]

mod common;

use std::{io::Write, slice, time::Duration};

use common::stores::{begin_tracing, in_environment, tell, text, traced};
use local::vault::{self as stub, Fault, Role, StaticRole};
use rotating_secret::provider::{
    Database, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Vault, Version,
};
use serde_json::{Map, Value as Json, json};
use tokio::time::timeout;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};

const TOKEN: &str = "hvs.the-token-of-these-tests";
const HOUR: Duration = Duration::from_secs(3600);

fn client(address: &str, token: &str) -> VaultClient {
    // vaultrs uses the process's default; a second installation is refused, and changes nothing
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings = VaultClientSettingsBuilder::default();
    let settings = settings.address(address).token(token).build().unwrap();
    VaultClient::new(settings).unwrap()
}

async fn started() -> (stub::Vault, Vault) {
    let stub = stub::Vault::start(TOKEN).await.unwrap();
    let vault = Vault::from_client(client(&stub.address(), TOKEN)).unwrap();
    (stub, vault)
}

fn base() -> Map<String, Json> {
    let base =
        json!({ "engine": "postgres", "host": "db.example", "port": 5432, "dbname": "orders" });
    base.as_object().unwrap().clone()
}

const ORDERS: Role = Role {
    ttl: HOUR,
    max_ttl: Duration::from_secs(24 * 3600),
    renewable: true,
};

async fn with_role(role: Role) -> (stub::Vault, Database) {
    let (stub, vault) = started().await;
    stub.set_role("database", "orders", role);
    (stub, vault.database("database", base()))
}

async fn current(provider: &impl SecretProvider, secret: &str) -> Result<Version, ProviderError> {
    provider.fetch(secret, Stage::Current).await
}

fn errors(status: u16, reason: &str) -> Fault {
    Fault::Answer(status, json!({ "errors": [reason] }).to_string())
}

// --- the key-value engine

#[tokio::test]
async fn a_secret_is_the_object_at_its_path_and_its_version_is_the_number() {
    let (stub, vault) = started().await;
    let kv = vault.kv("secret");
    stub.write(
        "secret",
        "orders/db",
        json!({ "username": "orders", "password": "one" }),
    );
    let first = current(&kv, "orders/db").await.unwrap();
    assert_eq!(first.id, "1");
    assert_eq!(text(&first), r#"{"password":"one","username":"orders"}"#);
    assert_eq!((first.lease, first.arn), (None, None));

    stub.write(
        "secret",
        "orders/db",
        json!({ "username": "orders", "password": "two", "port": 5432 }),
    );
    let second = current(&kv, "orders/db").await.unwrap();
    assert_eq!(second.id, "2");
    assert_eq!(
        text(&second),
        r#"{"password":"two","port":5432,"username":"orders"}"#
    );
}

#[tokio::test]
async fn an_absent_a_deleted_and_a_destroyed_secret_and_an_absent_mount_have_different_errors() {
    let (stub, vault) = started().await;
    let kv = vault.kv("secret");
    for path in ["deleted", "destroyed"] {
        stub.write("secret", path, json!({ "password": "one" }));
        stub.write("secret", path, json!({ "password": "two" }));
    }
    stub.delete("secret", "deleted", "2026-03-01T00:00:00Z");
    stub.destroy("secret", "destroyed");

    let elsewhere = vault.kv("elsewhere");
    for (error, says) in [
        (
            current(&kv, "absent").await.unwrap_err(),
            "nothing was ever written to secret/data/absent",
        ),
        (
            current(&kv, "deleted").await.unwrap_err(),
            "version 2 of secret/data/deleted was deleted at 2026-03-01",
        ),
        (
            current(&kv, "destroyed").await.unwrap_err(),
            "version 2 of secret/data/destroyed was destroyed",
        ),
        (
            current(&elsewhere, "orders").await.unwrap_err(),
            "check the mount",
        ),
    ] {
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn no_engine_has_a_pending_version_and_vault_is_not_asked_for_one() {
    let (stub, vault) = started().await;
    stub.write("secret", "orders", json!({}));
    let kv = vault.kv("secret").fetch("orders", Stage::Pending).await;
    let database = vault
        .database("database", base())
        .fetch("orders", Stage::Pending)
        .await;
    let fixed = vault
        .static_roles("database", base())
        .fetch("orders", Stage::Pending)
        .await;
    for answer in [kv, database, fixed] {
        assert_eq!(answer.unwrap_err().kind(), Kind::NotFound);
    }
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn a_status_is_an_error_of_its_kind_and_is_not_retried() {
    for (status, kind) in [
        (400, Kind::Invalid),
        (403, Kind::AccessDenied),
        (404, Kind::NotFound),
        (405, Kind::Invalid),
        (412, Kind::Invalid),
        (429, Kind::Throttled),
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (503, Kind::Unavailable),
    ] {
        let (stub, vault) = started().await;
        stub.fail(errors(status, "a reason with hunter2 in it"));
        let error = current(&vault.kv("secret"), "orders").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(stub.requests(), ["GET /v1/secret/data/orders"]);
    }
}

#[tokio::test]
async fn only_vault_itself_makes_a_secret_absent_or_forbidden() {
    for status in [400, 403, 404] {
        let (stub, vault) = started().await;
        stub.fail(Fault::Answer(
            status,
            "<h1>a proxy in between</h1>".to_owned(),
        ));
        let error = current(&vault.kv("secret"), "orders").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
}

#[tokio::test]
async fn a_broken_or_refused_connection_is_unavailable() {
    let (stub, vault) = started().await;
    stub.write("secret", "orders", json!({}));
    stub.fail(Fault::Close);
    let error = current(&vault.kv("secret"), "orders").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert_eq!(stub.requests().len(), 1);

    // the port was free a moment ago
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let vault =
        Vault::from_client(client(&format!("http://user:hunter2@{nobody}"), TOKEN)).unwrap();
    let error = current(&vault.kv("secret"), "orders").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error} {vault:?}").contains("hunter2"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_vaults_is_invalid_and_not_quoted() {
    for body in [
        r#"{"data":{"data":"hunter2","metadata":{"version":1}}}"#,
        r#"{"data":{"data":{"password":"hunter2"},"metadata":{"version":"hunter2"}}}"#,
        r#"{"data":null}"#,
        "hunter2",
    ] {
        let (stub, vault) = started().await;
        stub.fail(Fault::Answer(200, body.to_owned()));
        let error = current(&vault.kv("secret"), "orders").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{body}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_vault_rejects_is_an_access_error() {
    let (stub, _) = started().await;
    let vault = Vault::from_client(client(&stub.address(), "hvs.another")).unwrap();
    let error = current(&vault.kv("secret"), "orders").await.unwrap_err();
    assert_eq!(error.kind(), Kind::AccessDenied, "{error}");
}

#[tokio::test]
async fn a_token_that_cannot_be_a_header_is_an_error_and_not_a_panic() {
    let error = Vault::from_client(client("http://127.0.0.1:1", "hvs.token\n")).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(!error.to_string().contains("hvs.token"), "{error}");
}

// --- the database engine

#[tokio::test]
async fn the_base_document_gets_credentials_and_their_lease() {
    let (stub, vault) = started().await;
    stub.set_role("database", "orders", ORDERS);
    let mut base = base();
    base.insert("password".to_owned(), json!("of the base"));
    let version = current(&vault.database("database", base), "orders")
        .await
        .unwrap();

    assert_eq!(stub.leases().as_slice(), slice::from_ref(&version.id));
    assert_eq!(version.lease, Some(HOUR));
    let user = version.id.rsplit('/').next().unwrap();
    let expected = format!(
        r#"{{"dbname":"orders","engine":"postgres","host":"db.example","port":5432,"username":"v-orders-{user}","password":"password-of-{user}"}}"#
    );
    assert_eq!(text(&version), expected);
}

#[tokio::test]
async fn a_lease_is_renewed_and_its_credentials_stay() {
    let (stub, database) = with_role(ORDERS).await;
    let first = current(&database, "orders").await.unwrap();
    stub.advance(HOUR / 2);
    // a clone has the same lease
    let renewed = current(&database.clone(), "orders").await.unwrap();

    assert_eq!((&renewed.id, text(&renewed)), (&first.id, text(&first)));
    assert_eq!(renewed.lease, Some(HOUR));
    assert_eq!(
        stub.requests(),
        ["GET /v1/database/creds/orders", "PUT /v1/sys/leases/renew"]
    );
}

#[tokio::test]
async fn a_renewal_of_less_than_a_third_leads_to_new_credentials_and_the_old_lease_continues() {
    let (stub, database) = with_role(Role {
        max_ttl: 2 * HOUR,
        ..ORDERS
    })
    .await;
    let first = current(&database, "orders").await.unwrap();
    // every quarter of an hour, until little more than a third of max_ttl is left; the clock runs on
    let slack = Duration::from_secs(30);
    for _ in 0..6 {
        stub.advance(HOUR / 4);
        assert_eq!(current(&database, "orders").await.unwrap().id, first.id);
    }
    stub.advance(HOUR / 6 - slack);
    let last = current(&database, "orders").await.unwrap();
    assert_eq!(last.id, first.id);
    assert!(last.lease.unwrap() <= HOUR / 3 + slack);

    stub.advance(2 * slack);
    let second = current(&database, "orders").await.unwrap();
    assert_ne!(second.id, first.id);
    assert_ne!(text(&second), text(&first));
    assert_eq!(second.lease, Some(HOUR));
    assert_eq!(stub.leases().len(), 2, "the first was not revoked");

    let renewed = current(&database, "orders").await.unwrap();
    assert_eq!(renewed.id, second.id);
}

#[tokio::test]
async fn a_lease_that_is_not_renewable_leads_to_new_credentials_at_once() {
    let (stub, database) = with_role(Role {
        renewable: false,
        ..ORDERS
    })
    .await;
    let first = current(&database, "orders").await.unwrap();
    let second = current(&database, "orders").await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(stub.requests(), ["GET /v1/database/creds/orders"; 2]);
}

#[tokio::test]
async fn a_renewal_for_longer_than_any_clock_is_a_renewal() {
    let (stub, database) = with_role(ORDERS).await;
    let first = current(&database, "orders").await.unwrap();
    let forever = json!({ "lease_id": first.id, "lease_duration": i64::MAX, "renewable": true });
    stub.fail(Fault::Answer(200, forever.to_string()));
    let renewed = current(&database, "orders").await.unwrap();
    assert_eq!(renewed.id, first.id);
    assert_eq!(renewed.lease, Some(Duration::from_secs(i64::MAX as u64)));
}

#[tokio::test]
async fn a_refused_renewal_leads_to_new_credentials() {
    let (stub, database) = with_role(ORDERS).await;
    let first = current(&database, "orders").await.unwrap();
    stub.fail(errors(403, "permission denied"));
    let second = current(&database, "orders").await.unwrap();
    assert_ne!(second.id, first.id);
    stub.advance(HOUR); // the second has ended: 400
    let third = current(&database, "orders").await.unwrap();
    assert_ne!(third.id, second.id);
    assert_eq!(stub.leases(), [third.id]);
}

#[tokio::test]
async fn a_renewal_without_an_answer_is_an_error_and_does_not_lead_to_new_credentials() {
    let (stub, database) = with_role(ORDERS).await;
    let first = current(&database, "orders").await.unwrap();
    for (fault, kind) in [
        (Fault::Close, Kind::Unavailable),
        (errors(503, "Vault is sealed"), Kind::Unavailable),
        (errors(429, "rate limit quota exceeded"), Kind::Throttled),
        (Fault::Answer(403, "a proxy".to_owned()), Kind::Invalid),
        (Fault::Answer(200, "a proxy".to_owned()), Kind::Invalid),
    ] {
        stub.fail(fault);
        let error = current(&database, "orders").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(stub.leases().as_slice(), slice::from_ref(&first.id));
    assert_eq!(current(&database, "orders").await.unwrap().id, first.id);
}

#[tokio::test]
async fn if_new_credentials_are_not_available_the_current_lease_is_kept() {
    let (stub, database) = with_role(Role {
        max_ttl: HOUR,
        ..ORDERS
    })
    .await;
    let first = current(&database, "orders").await.unwrap();
    stub.advance(HOUR * 3 / 4);
    stub.fail(errors(403, "permission denied"));
    stub.fail(errors(503, "Vault is sealed"));
    let error = current(&database, "orders").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_ne!(current(&database, "orders").await.unwrap().id, first.id);
    assert_eq!(stub.requests()[3], "PUT /v1/sys/leases/renew");
}

#[tokio::test]
async fn two_fetches_at_once_get_the_same_credentials() {
    let (stub, database) = with_role(ORDERS).await;
    let (one, other) = tokio::join!(current(&database, "orders"), current(&database, "orders"));
    assert_eq!(one.unwrap().id, other.unwrap().id);
    assert_eq!(stub.leases().len(), 1);
}

#[tokio::test]
async fn a_hanging_fetch_delays_no_other_role_and_after_it_is_given_up_not_its_own_either() {
    let (stub, database) = with_role(ORDERS).await;
    stub.set_role("database", "reports", ORDERS);
    stub.fail(Fault::Hang);
    tokio::select! {
        _ = current(&database, "orders") => panic!("it does not hang"),
        answer = async {
            stub.asked(1).await;
            // a hanging test says less than a failing one
            timeout(Duration::from_secs(60), current(&database, "reports")).await
        } => assert!(answer.unwrap().is_ok()),
    }
    // `select!` dropped the hanging fetch
    assert!(current(&database, "orders").await.is_ok());
}

#[tokio::test]
async fn an_absent_role_is_reported_as_absent() {
    let (_stub, vault) = started().await;
    let database = current(&vault.database("database", base()), "absent").await;
    let fixed = current(&vault.static_roles("database", base()), "absent").await;
    for answer in [database, fixed] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
        assert!(error.to_string().contains("no role"), "{error}");
    }
}

#[tokio::test]
async fn credentials_without_a_lease_are_invalid() {
    let (stub, database) = with_role(ORDERS).await;
    let body = r#"{"lease_id":"","data":{"username":"orders","password":"hunter2"}}"#;
    stub.fail(Fault::Answer(200, body.to_owned()));
    let error = current(&database, "orders").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_static_role_is_named_by_its_last_rotation_and_lasts_until_the_next() {
    let (stub, vault) = started().await;
    let roles = vault.static_roles("database", base());
    let mut role = StaticRole {
        username: "orders".to_owned(),
        password: "one".to_owned(),
        last_vault_rotation: "2026-03-01T00:00:00.123456789Z".to_owned(),
        ttl: 1234.5,
    };
    stub.set_static_role("database", "orders", role.clone());
    let first = current(&roles, "orders").await.unwrap();
    assert_eq!(first.id, role.last_vault_rotation);
    assert_eq!(first.lease, Some(Duration::from_millis(1_234_500)));
    assert!(text(&first).ends_with(r#""port":5432,"username":"orders","password":"one"}"#));

    role.password = "two".to_owned();
    role.last_vault_rotation = "2026-03-02T00:00:00Z".to_owned();
    role.ttl = -3.0; // the next one is overdue
    stub.set_static_role("database", "orders", role.clone());
    let second = current(&roles, "orders").await.unwrap();
    assert_eq!(second.id, role.last_vault_rotation);
    assert_eq!(second.lease, Some(Duration::ZERO));
    assert!(text(&second).ends_with(r#""password":"two"}"#));
}

// --- what is secret

#[tokio::test]
async fn the_token_is_kept_once_and_neither_it_nor_a_password_is_shown_or_traced() {
    begin_tracing();
    let (stub, vault) = started().await;
    assert_eq!(vault.client().settings.token, "");
    stub.write("secret", "orders", json!({ "password": "hunter2" }));
    stub.set_role("database", "orders", ORDERS);
    let (kv, database) = (vault.kv("secret"), vault.database("database", base()));
    let shown = [
        format!("{:?}", current(&kv, "orders").await.unwrap()),
        format!("{:?}", current(&database, "orders").await.unwrap()),
        format!("{:?}", current(&database, "orders").await.unwrap()),
        format!(
            "{vault:?} {kv:?} {database:?} {:?}",
            vault.static_roles("database", base())
        ),
    ];
    stub.fail(errors(500, "a statement with hunter2"));
    current(&kv, "orders").await.unwrap_err();

    let shown = format!("{} {}", shown.concat(), traced());
    assert!(shown.contains("sys/leases/renew"), "something was traced");
    // vaultrs names the lease's id, which is none; the made user's passwords begin like this
    for secret in [TOKEN, "password-of-"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

// --- the environment

#[tokio::test]
#[ignore = "the tests below run it, each in an environment"]
async fn reads_in_its_environment() {
    match Vault::from_env() {
        Ok(vault) => tell(current(&vault.kv("secret"), "orders").await),
        Err(error) => tell(Err(error)),
    }
}

async fn read_in(variables: &[(&str, &str)]) -> String {
    in_environment("reads_in_its_environment", variables).await
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn the_environment_gives_address_token_namespace_and_roots() {
    let stub = stub::Vault::start_tls(TOKEN).await.unwrap();
    stub.set_namespace("team/orders");
    stub.write("secret", "orders", json!({ "password": "one" }));
    let roots = file(stub.ca().unwrap());
    let address = stub.address();
    let read = read_in(&[
        ("VAULT_ADDR", &address),
        ("VAULT_TOKEN", TOKEN),
        ("VAULT_NAMESPACE", "team/orders"),
        ("VAULT_CACERT", roots.path().to_str().unwrap()),
    ])
    .await;
    assert_eq!(read, r#"1 {"password":"one"}"#);
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused_even_if_the_environment_skips_verification() {
    let stub = stub::Vault::start_tls(TOKEN).await.unwrap();
    let other = stub::Vault::start_tls(TOKEN).await.unwrap();
    let roots = file(other.ca().unwrap());
    let address = stub.address();
    let error = read_in(&[
        ("VAULT_ADDR", &address),
        ("VAULT_TOKEN", TOKEN),
        ("VAULT_SKIP_VERIFY", "true"),
        ("VAULT_CACERT", roots.path().to_str().unwrap()),
    ])
    .await;
    assert!(error.starts_with("unavailable"), "{error}");
    assert!(error.contains("certificate"), "{error}");
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn unusable_variables_are_named_and_not_quoted() {
    let empty = file("no certificate");
    for (variables, says) in [
        (
            [("VAULT_ADDR", TOKEN), ("VAULT_TOKEN", "")],
            "VAULT_ADDR is no http or https address",
        ),
        (
            [
                ("VAULT_ADDR", "https://vault.example/prefix"),
                ("VAULT_TOKEN", ""),
            ],
            "without a path",
        ),
        (
            [("VAULT_CACERT", "/nonexistent"), ("VAULT_TOKEN", "")],
            "VAULT_CACERT, /nonexistent, cannot be read",
        ),
        (
            [
                ("VAULT_CACERT", empty.path().to_str().unwrap()),
                ("VAULT_TOKEN", ""),
            ],
            "holds no certificate",
        ),
        (
            [
                ("VAULT_ADDR", "http://127.0.0.1:1"),
                ("VAULT_TOKEN", "hvs.the-token\n"),
            ],
            "Vault's token has a character",
        ),
    ] {
        let error = read_in(&variables).await;
        assert!(error.starts_with("invalid: "), "{error}");
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("hvs.the-token"), "{error}");
    }
}

#[tokio::test]
async fn a_standby_is_followed_to_the_active_node_and_no_further() {
    let (standby, _) = started().await;
    let (active, _) = started().await;
    active.write("secret", "orders", json!({ "password": "one" }));
    let (address, path) = (standby.address(), "v1/secret/data/orders");
    let variables = [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", TOKEN)];
    let to_active = || Fault::Redirect(format!("{}/{path}", active.address()));

    standby.fail(to_active());
    assert_eq!(read_in(&variables).await, r#"1 {"password":"one"}"#);

    standby.fail(Fault::Redirect(format!("{address}/{path}")));
    standby.fail(to_active());
    let error = read_in(&variables).await;
    assert!(error.starts_with("unavailable"), "{error}");
    assert_eq!(active.requests().len(), 1);
}
