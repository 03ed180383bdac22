//! The Lambda function's binary: wiring, and nothing else.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use secret_rotation::{
    function::Function,
    rotation::Memory,
    settings::Settings,
    store::SecretsManager,
    target::postgres::{Kept, Roots},
    telemetry::{self, Metrics},
};
use serde_json::Value;

// one thread: a step waits for the network, and a second one would only cost start-up time and memory
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    telemetry::start_log(
        variable("LOG_LEVEL")
            .or_else(|| variable("AWS_LAMBDA_LOG_LEVEL"))
            .as_deref(),
    );
    let settings = Settings::read(variable);
    let (endpoint, roots, ca_file) = match &settings {
        Ok(settings) => (
            settings.endpoint.as_deref(),
            settings.api_roots.clone(),
            settings.tls_ca_file.clone(),
        ),
        Err(_) => (None, None, None), // every invocation is answered with what is wrong
    };
    let function = Function {
        store: SecretsManager::from_env(endpoint, roots).await?,
        roots: Roots::new(ca_file),
        kept: Kept::default(),
        memory: Memory::default(),
        metrics: Metrics::start(),
        settings,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        function.invoke(event)
    }))
    .await
}
