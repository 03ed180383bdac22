//! The local Secrets Manager over a real socket, driven by the SDK that the rotation function uses.

// clippy.toml's permission covers test functions, not the helpers beside them
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod faults;
mod lists;
mod rotation;
mod values;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use local::{
    invocation::{FunctionError, Invoke, Invoked},
    secrets_manager::SecretsManager,
};
use serde_json::Value;

/// A token for the tests: readable, and of the length that the service asks for.
fn token(name: &str) -> String {
    format!("{name:0>32}")
}

/// The service, and a client that speaks to it through a socket and never retries.
struct World {
    service: SecretsManager,
    client: Client,
    endpoint: String,
}

/// Serves with a function that is called with a client and the event, and returns the message of its error.
async fn serve<F, R>(function: F) -> World
where
    F: Fn(Client, Value) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = Result<(), String>> + Send + 'static,
{
    let slot: Arc<OnceLock<Client>> = Arc::default();
    let client_of = slot.clone();
    let invoke: Invoke = Arc::new(move |event| {
        let (function, client) = (function.clone(), client_of.get().unwrap().clone());
        Box::pin(async move {
            let outcome = match function(client, event).await {
                Ok(()) => Ok(Value::Null),
                Err(error_message) => Err(FunctionError {
                    error_type: "Test".to_owned(),
                    error_message,
                }),
            };
            Invoked {
                outcome,
                log: Vec::new(),
                took: Duration::ZERO,
            }
        })
    });
    let service = SecretsManager::new("eu-central-1", invoke);
    service.set_retry(3, Duration::ZERO);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = service.router();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = slot
        .get_or_init(|| client(&endpoint, RetryConfig::disabled()))
        .clone();
    World {
        service,
        client,
        endpoint,
    }
}

/// Serves with a function that no test of the file wants to be called.
async fn serve_without_function() -> World {
    serve(|_, _| async { Err("not to be called".to_owned()) }).await
}

fn client(endpoint: &str, retry: RetryConfig) -> Client {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retry)
        .build();
    Client::from_conf(config)
}

/// The code and the message of an answer that has to be an error.
fn refused<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> (String, String) {
    let Err(error) = result else {
        panic!("should have been refused")
    };
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    (text(error.code()), text(error.message()))
}

/// The value of the version that carries a label.
async fn value(client: &Client, label: &str) -> String {
    let read = client
        .get_secret_value()
        .secret_id("demo")
        .version_stage(label)
        .send()
        .await;
    read.unwrap().secret_string.unwrap()
}

impl World {
    async fn create(&self, name: &str, value: &str) -> String {
        let created = self
            .client
            .create_secret()
            .name(name)
            .secret_string(value)
            .send()
            .await;
        created.unwrap().version_id.unwrap()
    }

    async fn put(&self, token: &str, value: &str, label: &str) {
        let put = self
            .client
            .put_secret_value()
            .secret_id("demo")
            .client_request_token(token)
            .secret_string(value);
        put.version_stages(label).send().await.unwrap();
    }

    /// `VersionIdsToStages` of the secret `demo`.
    async fn labels(&self, id: &str) -> Vec<String> {
        let described = self
            .client
            .describe_secret()
            .secret_id("demo")
            .send()
            .await
            .unwrap();
        described
            .version_ids_to_stages
            .unwrap_or_default()
            .remove(id)
            .unwrap_or_default()
    }
}
