//! What `--verbose` tells: each call, the status of its answer, and how long it took. Neither a request's body nor an answer's is
//! looked at, so no value and no token can be told.

use std::time::Instant;

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

use crate::terminal::{tell, took};

/// The same client, which tells of its calls.
pub(super) fn told(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Told(client))
}

#[derive(Debug)]
struct Told(SharedHttpClient);

impl HttpClient for Told {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.0.http_connector(settings, components);
        SharedHttpConnector::new(ToldConnector(connector))
    }
}

#[derive(Debug)]
struct ToldConnector(SharedHttpConnector);

impl HttpConnector for ToldConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (what, began) = (what(&request), Instant::now());
        let call = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = call.await;
            let said = match &answer {
                Ok(answer) => answer.status().as_u16().to_string(),
                Err(error) => format!("no answer ({error})"),
            };
            tell(&format!("{what}: {said}, {}", took(began.elapsed())));
            answer
        })
    }
}

/// `secretsmanager.ListSecrets at https://…`, or the method and the path. A query is left out: a signed one would be a credential.
fn what(request: &HttpRequest) -> String {
    let uri = request.uri().split('?').next().unwrap_or_default();
    match request.headers().get("x-amz-target") {
        Some(target) => format!("{target} at {uri}"),
        None => format!("{} {uri}", request.method()),
    }
}
