//! Reads from each store but Secrets Manager, with and without faults, and shows every result in every form.

use std::{fmt::Debug, fs, sync::Arc, time::Duration};

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::Transport,
    time::OffsetDateTime,
};
use azure_security_keyvault_secrets::SecretClientOptions;
use local::{key_vault::KeyVault, secrets_manager_agent, vault};
use rotating_secret::{
    RotatingSecret,
    provider::{Agent, Azure, Env, File, Fixed, SecretProvider, Stage, Value, Vault, Version},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};

use crate::{application::Made, common::closed_port};

/// The number of faults that each stand-in can be given.
const FAULTS: usize = 5;

/// Reads from all stores, and returns the text of every result.
pub(crate) async fn read(made: &mut Made) -> String {
    let mut shown = String::new();
    shown += &files(made).await;
    shown += &an_agent(made).await;
    shown += &a_vault(made).await;
    shown += &a_key_vault(made).await;
    shown
}

fn document(password: &str) -> Json {
    json!({ "host": "localhost", "username": "orders", "password": password, "port": 1 })
}

/// The text of every result and error of a provider. `fail` sets a fault by its number; the number [`FAULTS`] sets none.
async fn all_that_it_shows<P: SecretProvider + Debug>(
    provider: P,
    id: &str,
    made: &mut Made,
    fail: impl Fn(usize),
) -> String {
    let provider = Arc::new(provider);
    let mut shown = format!("{provider:?} {provider:#?}\n");

    fail(FAULTS);
    let built = RotatingSecret::builder(id)
        .lag(Duration::ZERO)
        .build(provider.clone())
        .await;
    let secret = built.unwrap();
    for number in (0..FAULTS).chain([FAULTS]) {
        fail(number);
        for stage in [Stage::Current, Stage::Pending, Stage::Previous] {
            match provider.fetch(id, stage).await {
                Ok(version) => {
                    if let Value::Text(text) = &version.value {
                        made.value(text.expose_secret());
                    }
                    shown += &format!("{version:?} {version:#?}\n");
                }
                Err(error) => shown += &format!("{error} {error:?} {error:#?}\n"),
            }
        }
        fail(number);
        match secret.refresh().await {
            Ok(credential) => shown += &format!("{credential:?} {credential:#?}\n"),
            Err(error) => shown += &format!("{error} {error:?} {error:#?}\n"),
        }
        shown += &format!("{secret:?} {:?}\n", secret.current());
    }
    let refused =
        RotatingSecret::builder("nothing of this name").start_timeout(Duration::from_secs(1));
    let error = refused.build(provider).await.unwrap_err();
    shown + &format!("{error} {error:?}\n")
}

async fn files(made: &mut Made) -> String {
    let folder = tempfile::tempdir().unwrap();
    let password = made.password();
    let whole = folder.path().join("orders");
    let write = |number: usize| {
        let text = match number {
            0 => format!("{{\"password\": {}", Json::from(password.as_str())),
            1 => password.clone(),
            2 => json!([password]).to_string(),
            3 => json!({ "password": { "is": password } }).to_string(),
            4 => String::new(),
            _ => document(&password).to_string(),
        };
        fs::write(&whole, text).unwrap();
    };
    let shown = all_that_it_shows(File::new(folder.path()), "orders", made, write).await;
    let variables = folder.path().join(".env");
    let write = |number: usize| {
        let text = match number {
            0 => format!("ORDERS='{password}\n"),
            1 => password.clone(),
            _ => format!("ORDERS='{}'\n", document("the password of a file")),
        };
        fs::write(&variables, text).unwrap();
    };
    let env = Env::with_file(&variables);
    let shown = shown + &all_that_it_shows(env, "orders", made, write).await;
    let fixed = Fixed::new().with(
        "orders",
        Version::text("v1", document(&password).to_string()),
    );
    shown + &all_that_it_shows(fixed, "orders", made, |_| ()).await
}

async fn an_agent(made: &mut Made) -> String {
    let (token, password) = (made.token_for_a_header(), made.password());
    let agent = secrets_manager_agent::Agent::start(&token, true)
        .await
        .unwrap();
    agent.set(
        "orders",
        "AWSCURRENT",
        "v1",
        &document(&password).to_string(),
    );
    let fail = |number| faults(number, &password, |fault| agent.fail(fault));
    let (right, wrong) = (
        Agent::with_token(agent.port(), token.clone()),
        made.token_for_a_header(),
    );
    let shown = all_that_it_shows(right, "orders", made, fail).await;
    let strangers = [
        Agent::with_token(agent.port(), wrong),
        Agent::with_token(closed_port().1, token),
    ];
    shown + &refused(strangers, "orders").await
}

async fn a_vault(made: &mut Made) -> String {
    let (token, password) = (made.token_for_a_header(), made.password());
    let stub = vault::Vault::start(&token).await.unwrap();
    stub.write("secret", "orders", document(&password));
    let (ttl, max_ttl) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    stub.set_role(
        "database",
        "orders",
        vault::Role {
            ttl,
            max_ttl,
            renewable: true,
        },
    );
    let role = vault::StaticRole {
        username: "orders".to_owned(),
        password: password.clone(),
        last_vault_rotation: "2026-01-01T00:00:00Z".to_owned(),
        ttl: 3600.0,
    };
    stub.set_static_role("database", "static", role);
    let client = |address: &str, token: &str| {
        let mut settings = VaultClientSettingsBuilder::default();
        let settings = settings.address(address).token(token).build().unwrap();
        Vault::from_client(VaultClient::new(settings).unwrap()).unwrap()
    };
    let vault = client(&stub.address(), &token);
    let base = document("nobody's").as_object().unwrap().clone();
    let fail = |number| faults(number, &password, |fault| stub.fail(fault));
    let mut shown = format!("{vault:?}\n");
    shown += &all_that_it_shows(vault.kv("secret"), "orders", made, fail).await;
    shown += &all_that_it_shows(
        vault.database("database", base.clone()),
        "orders",
        made,
        fail,
    )
    .await;
    shown += &all_that_it_shows(vault.static_roles("database", base), "static", made, fail).await;
    let nowhere = format!("http://127.0.0.1:{}", closed_port().1);
    let strangers = [
        client(&stub.address(), &made.token_for_a_header()),
        client(&nowhere, &token),
    ];
    shown + &refused(strangers.map(|vault| vault.kv("secret")), "orders").await
}

async fn a_key_vault(made: &mut Made) -> String {
    let (token, password) = (made.token_for_a_header(), made.password());
    let vault = KeyVault::start("orders", &token).await.unwrap();
    vault.set("orders", &document(&password).to_string());
    let fail = |number| faults(number, &password, |fault| vault.fail(fault));
    let wrong = made.token_for_a_header();
    let shown = all_that_it_shows(azure(&vault, &token), "orders", made, fail).await;
    shown + &refused([azure(&vault, &wrong)], "orders").await
}

fn azure(vault: &KeyVault, token: &str) -> Azure {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(vault.ca().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve(&vault.host(), vault.address())
        .build();
    let mut options = SecretClientOptions::default();
    options.client_options.transport = Some(Transport::new(Arc::new(client.unwrap())));
    let url = format!("https://{}", vault.host());
    Azure::with_options(&url, Arc::new(Token(token.to_owned())), options).unwrap()
}

/// An identity with this token.
struct Token(String);

impl Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[async_trait::async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let end = OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken::new(self.0.clone(), end))
    }
}

/// A store that answers wrongly, with the password in its answer, or not at all.
fn faults(number: usize, password: &str, fail: impl Fn(vault::Fault)) {
    let echo = json!({ "errors": [password], "error": { "code": "X", "message": password }, "message": password });
    let unfinished = document(password).to_string();
    match number {
        0 => fail(vault::Fault::Answer(500, echo.to_string())),
        1 => fail(vault::Fault::Answer(403, echo.to_string())),
        2 => fail(vault::Fault::Answer(
            200,
            unfinished[..unfinished.len() - 1].to_owned(),
        )),
        3 => fail(vault::Fault::Answer(200, password.to_owned())),
        4 => fail(vault::Fault::Close),
        _ => {}
    }
}

/// The text of providers that cannot read.
async fn refused<P: SecretProvider + Debug>(
    providers: impl IntoIterator<Item = P>,
    id: &str,
) -> String {
    let mut shown = String::new();
    for provider in providers {
        let error = provider.fetch(id, Stage::Current).await.unwrap_err();
        shown += &format!("{provider:?} {error} {error:?}\n");
        let builder = RotatingSecret::builder(id).start_timeout(Duration::from_secs(1));
        let error = builder.build(provider).await.unwrap_err();
        shown += &format!("{error} {error:?}\n");
    }
    shown
}

/// A token for a header: each of its characters is valid there.
pub(crate) fn for_a_header() -> String {
    format!("t0ken.+/=-_~{}", Uuid::new_v4().simple())
}
