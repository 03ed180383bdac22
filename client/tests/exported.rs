//! An application that depends on this crate only: all types in its signatures are exported.
#![cfg(all(
    feature = "aws",
    feature = "azure",
    feature = "bb8",
    feature = "deadpool",
    feature = "sqlx",
    feature = "tls",
    feature = "vault"
))]
#![cfg(test)]

mod common;

use common::of_document;
use rotating_secret::{
    aws_config, aws_sdk_secretsmanager, azure_core, bb8, deadpool_postgres, pool,
    postgres::{self, RDS_ROOTS, TlsBuilder},
    provider::{Aws, Azure, Value, Vault},
    rustls, secrecy, serde_json, sqlx, tokio_postgres, tokio_postgres_rustls, vaultrs,
};

/// Never called: the test is that it compiles.
#[allow(dead_code, reason = "its types are what is tested")]
async fn an_application(
    shared: aws_config::SdkConfig,
    client: aws_sdk_secretsmanager::Client,
    vault: vaultrs::client::VaultClient,
    azure: std::sync::Arc<dyn azure_core::credentials::TokenCredential>,
) -> Result<(), Box<dyn std::error::Error>> {
    let _ = (Aws::from_config(shared), Aws::from_clients([client]));
    let base: serde_json::Map<String, serde_json::Value> = serde_json::Map::new();
    let _ = Vault::from_client(vault)?.database("database", base);
    let _ = Azure::new("https://shop.vault.azure.net", azure)?;
    let secret = of_document(serde_json::json!({})).await;
    let credential = secret.usable().await?;
    let password: Option<&secrecy::SecretString> = credential.password();
    let _ = password.map(secrecy::ExposeSecret::expose_secret);
    let value: serde_json::Value = credential.json()?;
    let _ = Value::Binary(secrecy::SecretSlice::from(value.to_string().into_bytes()));
    let config: tokio_postgres::Config = credential.postgres_config()?;
    let options: sqlx::postgres::PgConnectOptions = credential.sqlx_options()?;
    let options = options.ssl_root_cert_from_pem(RDS_ROOTS.to_vec());
    let provider = rustls::crypto::CryptoProvider::get_default().cloned();
    let tls = provider
        .into_iter()
        .fold(TlsBuilder::new(), |tls, provider| {
            tls.crypto_provider(provider)
        });
    let tls: tokio_postgres_rustls::MakeRustlsConnect = tls.build()?;
    let client: tokio_postgres::Client = postgres::connect(&secret, tls.clone()).await?;
    let _ = (client, config);
    let _: deadpool_postgres::Object = pool::deadpool::pool(&secret, tls.clone(), |pool| pool)?
        .get()
        .await?;
    let bb8 = pool::bb8::pool(&secret, tls, |pool| pool).await?;
    let _: bb8::PooledConnection<'_, _> = bb8.get().await?;
    let _ = pool::sqlx::pool(&secret, options, sqlx::postgres::PgPoolOptions::new()).await?;
    Ok(())
}

#[tokio::test]
async fn the_exported_driver_is_the_one_that_the_credential_supports() {
    let document = serde_json::json!({ "host": "db", "username": "orders", "password": "p" });
    let secret = of_document(document).await;
    let config: tokio_postgres::Config = secret.current().unwrap().postgres_config().unwrap();
    assert_eq!(config.get_user(), Some("orders"));
}
