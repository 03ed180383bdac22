//! Keeps each operation at its pace.
//!
//! It is below the SDK's retries, because the service counts a retry as a call too.

use std::sync::Arc;

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

use crate::pace::Paces;

/// A client that does the same, but an operation with a pace first waits for its turn.
pub(super) fn paced(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Paced {
        client,
        paces: Arc::default(),
    })
}

#[derive(Debug)]
struct Paced {
    client: SharedHttpClient,
    paces: Arc<Paces>,
}

impl HttpClient for Paced {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(PacedConnector {
            connector: self.client.http_connector(settings, components),
            paces: self.paces.clone(),
        })
    }
}

#[derive(Debug)]
struct PacedConnector {
    connector: SharedHttpConnector,
    paces: Arc<Paces>,
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, paces) = (self.connector.clone(), self.paces.clone());
        HttpConnectorFuture::new(async move {
            let operation = request.headers().get("x-amz-target");
            let pace = operation.and_then(|operation| paces.of(operation));
            if let Some(pace) = pace {
                pace.turn().await;
            }
            connector.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex, time::Duration};

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use aws_sdk_secretsmanager::Client;
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use futures_util::future::{BoxFuture, join_all};
    use tokio::time::Instant;

    use super::*;

    const CALLS: usize = 200;
    const SECOND: Duration = Duration::from_secs(1);

    /// When each operation was called. Every second call is throttled.
    #[derive(Clone, Debug, Default)]
    struct Service(Arc<Mutex<HashMap<String, Vec<Instant>>>>);

    impl HttpClient for Service {
        fn http_connector(
            &self,
            _: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Service {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let target = request.headers().get("x-amz-target").unwrap();
            let (_, operation) = target.split_once('.').unwrap();
            let mut calls = self.0.lock().unwrap();
            let calls = calls.entry(operation.to_owned()).or_default();
            calls.push(Instant::now());
            let (status, body) = match calls.len() % 2 {
                0 => (200, "{}"),
                _ => (400, r#"{"__type":"ThrottlingException"}"#),
            };
            let status = StatusCode::try_from(status).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body.into())))
        }
    }

    /// The most of these in any second.
    fn busiest(calls: &[Instant]) -> usize {
        let in_second = |first: &Instant| {
            let later = calls.iter().filter(|at| *at >= first);
            later.take_while(|at| **at < *first + SECOND).count()
        };
        calls.iter().map(in_second).max().unwrap_or_default()
    }

    async fn many(call: impl Fn() -> BoxFuture<'static, ()>) {
        join_all((0..CALLS).map(|_| call())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_calls_than_the_pace_of_an_operation_and_retries_count() {
        let service = Service::default();
        let credentials = Credentials::new("any", "any", None, None, "test");
        let configuration = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://localhost")
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(paced(SharedHttpClient::new(service.clone())))
            .build();
        let client = Client::new(&configuration);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&configuration);
        macro_rules! call {
            ($client:ident.$operation:ident()$(.$given:ident($value:expr))*) => {
                many(|| {
                    let call = $client.$operation()$(.$given($value))*;
                    Box::pin(async { drop(call.send().await) })
                }).await
            };
        }
        call!(client.list_secrets());
        call!(client.batch_get_secret_value());
        call!(client.list_secret_version_ids().secret_id("any"));
        call!(client.get_resource_policy().secret_id("any"));
        call!(client.rotate_secret().secret_id("any"));
        call!(logs.filter_log_events());

        let calls = service.0.lock().unwrap();
        for (operation, pace) in [
            ("ListSecrets", 50),
            ("BatchGetSecretValue", 80),
            ("ListSecretVersionIds", 40),
            ("GetResourcePolicy", 40),
            ("RotateSecret", 20),
            ("FilterLogEvents", 4),
        ] {
            let calls = &calls[operation];
            assert!(calls.len() > CALLS, "{operation}: no retry");
            let busiest = busiest(calls);
            assert!(
                busiest <= pace && busiest > pace / 2,
                "{operation}: {busiest} calls in a second"
            );
        }
    }
}
