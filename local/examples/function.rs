//! A Lambda function that does what its event says, for the tests of the Lambda host.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

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
        Some("answer and exit") => answer_and_exit(&context.request_id),
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

/// Past the runtime, which would ask for the next event.
fn answer_and_exit(request: &str) -> ! {
    let body = "\"the last words\"";
    let answered = std::env::var("AWS_LAMBDA_RUNTIME_API")
        .map_err(std::io::Error::other)
        .and_then(TcpStream::connect)
        .and_then(|mut api| {
            write!(
                api,
                "POST /2018-06-01/runtime/invocation/{request}/response HTTP/1.1\r\nHost: api\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            api.read_to_end(&mut Vec::new())
        });
    std::process::exit(answered.is_err().into())
}
