//! The local Secrets Manager over a real socket, driven by the SDK that the rotation function uses.

// clippy.toml's permission covers test functions, not the helpers beside them

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod clock;
mod faults;
mod lists;
mod model;
mod policies;
mod replicas;
mod retries;
mod rotation;
mod values;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_secretsmanager::{
    Client,
    config::{Region, retry::RetryConfig},
    error::SdkError,
    operation::{
        describe_secret::DescribeSecretOutput,
        get_secret_value::{GetSecretValueError, GetSecretValueOutput},
        put_secret_value::builders::PutSecretValueFluentBuilder,
    },
};
use common::{REGION, client, invoked, refused};
use local::{
    invocation::{FunctionError, Invoke},
    secrets_manager::{Retry, SecretsManager},
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
    address: SocketAddr,
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
            invoked(outcome)
        })
    });
    let service = SecretsManager::new(REGION, invoke);
    service.set_retry(Retry {
        attempts: 3,
        interval: Duration::ZERO,
    });
    let address = common::serve(service.router()).await;
    let client = client(address, "any", RetryConfig::disabled());
    World {
        service,
        client: slot.get_or_init(|| client).clone(),
        address,
    }
}

/// Serves with a function that no test of the file may call.
async fn serve_without_function() -> World {
    serve(|_, _| async { Err("not to be called".to_owned()) }).await
}

/// The value of the version of `demo` that carries a label.
async fn value(client: &Client, label: &str) -> String {
    let read = client.get_secret_value().secret_id("demo");
    let read = read.version_stage(label).send().await;
    read.unwrap().secret_string.unwrap()
}

impl World {
    async fn create(&self, name: &str, value: &str) -> String {
        let created = self.client.create_secret().name(name).secret_string(value);
        created.send().await.unwrap().version_id.unwrap()
    }

    /// The client, in another region.
    fn client_in(&self, region: &'static str) -> Client {
        self.client_as("any", region)
    }

    /// The same with this access key, whose role may be restricted.
    fn client_as(&self, access_key_id: &str, region: &'static str) -> Client {
        let client = client(self.address, access_key_id, RetryConfig::disabled());
        let config = client.config().to_builder();
        Client::from_conf(config.region(Region::new(region)).build())
    }

    /// AWSCURRENT of any secret.
    async fn read(
        &self,
        secret: &str,
    ) -> Result<GetSecretValueOutput, SdkError<GetSecretValueError>> {
        let read = self.client.get_secret_value().secret_id(secret);
        read.send().await
    }

    /// Another value for the secret `demo`.
    fn put(&self, value: &str) -> PutSecretValueFluentBuilder {
        let put = self.client.put_secret_value().secret_id("demo");
        put.secret_string(value)
    }

    async fn put_pending(&self, token: &str, value: &str) {
        let put = self.put(value).client_request_token(token);
        put.version_stages("AWSPENDING").send().await.unwrap();
    }

    async fn describe(&self, secret: &str) -> DescribeSecretOutput {
        let described = self.client.describe_secret().secret_id(secret).send().await;
        described.unwrap()
    }

    /// The labels of a version of the secret `demo`.
    async fn labels(&self, id: &str) -> Vec<String> {
        let labels = self.describe("demo").await.version_ids_to_stages;
        let labels = labels.unwrap_or_default().remove(id);
        labels.unwrap_or_default()
    }
}
