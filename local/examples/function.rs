//! A Lambda function that does what its event says, for the tests of the Lambda host.

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    eprintln!("got {payload}");
    match payload["do"].as_str() {
        Some("fail") => Err(Diagnostic {
            error_type: "Asked".to_owned(),
            error_message: "it was asked to fail".to_owned(),
        }),
        Some("exit") => std::process::exit(3),
        Some("hang") => std::future::pending().await,
        Some("pid") => Ok(json!(std::process::id())),
        Some("environment") => Ok(std::env::vars()
            .map(|(name, value)| (name, json!(value)))
            .collect()),
        Some("context") => Ok(json!({
            "arn": context.invoked_function_arn,
            "left": context.deadline().duration_since(std::time::SystemTime::now()).map(|left| left.as_secs()).ok(),
        })),
        _ => Ok(payload),
    }
}
