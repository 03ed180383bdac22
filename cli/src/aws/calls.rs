//! The output of `--verbose`: each call, the status of its answer, and its duration. It reads no body of a request or an answer, so it
//! cannot print a value or a token.

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

/// A client that does the same and also prints its calls.
pub(super) fn logged(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Logged(client))
}

#[derive(Debug)]
struct Logged(SharedHttpClient);

impl HttpClient for Logged {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.0.http_connector(settings, components);
        SharedHttpConnector::new(LoggedConnector(connector))
    }
}

#[derive(Debug)]
struct LoggedConnector(SharedHttpConnector);

impl HttpConnector for LoggedConnector {
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

/// `secretsmanager.ListSecrets at https://…`, or the method and the path. Not the query: a signed query is a credential.
fn what(request: &HttpRequest) -> String {
    let uri = request.uri().split('?').next().unwrap_or_default();
    match request.headers().get("x-amz-target") {
        Some(target) => format!("{target} at {uri}"),
        None => format!("{} {uri}", request.method()),
    }
}
