//! The agent as an extension of AWS Lambda: a process beside a function, which Lambda starts, freezes and ends.
//!
//! The order at the start is what Lambda promises and this module relies on: Lambda starts the function when all extensions are
//! registered. The port is open before that, so the function's first line can read a secret.

mod api;

use std::{env, path::Path, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use self::api::{Event, Registered};
use crate::{Error, prefetch, server::Server};

/// The address of the Extensions API, which Lambda sets.
const ADDRESS: &str = "AWS_LAMBDA_RUNTIME_API";

/// Lambda Managed Instances serve several invocations at once. They refuse a registration for INVOKE, and take no snapshots.
///
/// Source: AWS's runtime interface emulator (`internal/lambda-managed-instances/core/externalagent.go`).
const MANAGED: &str = "lambda-managed-instances";

/// How long open requests have to finish. Lambda gives all extensions 2 seconds, less up to 0.5 that the function takes to end.
const DRAIN: Duration = Duration::from_secs(1);

/// Whether Lambda has started this process as an extension. It gives an extension no arguments.
pub fn is_started() -> bool {
    env::args_os().len() == 1 && env::var_os(ADDRESS).is_some()
}

/// Serves until Lambda shuts the environment down. `started` is the agent with its port bound, or why it does not start: Lambda
/// accepts that error from a registered extension only.
///
/// # Errors
///
/// The agent does not start, or Lambda does not register it, or gives no next event.
pub async fn run(started: Result<Server, Error>) -> Result<(), Error> {
    let (end, ended) = oneshot::channel::<()>();
    // before the registration: a function that Lambda starts now gets its answers
    let serving = started.map(|server| {
        let agent = server.agent();
        let ended = async {
            // an error means the same: the other end is dropped
            let _ = ended.await;
        };
        (agent, tokio::spawn(server.run(ended)))
    });
    let address = env::var(ADDRESS).unwrap_or_default();
    let is_managed = env::var("AWS_LAMBDA_INITIALIZATION_TYPE").is_ok_and(|kind| kind == MANAGED);
    let events: &[&str] = match is_managed {
        true => &["SHUTDOWN"],
        false => &["INVOKE", "SHUTDOWN"],
    };
    let lambda = Registered::register(&address, &name(), events).await?;
    let (agent, serving) = match serving {
        Ok(serving) => serving,
        Err(error) => {
            lambda
                .report("init", "Extension.ConfigInvalid", &error)
                .await;
            return Err(error);
        }
    };
    // not before the first invocation: SnapStart takes its snapshot before, and the snapshot must hold no secret
    let prefetched = agent.settings.prefetch.clone();
    let mut prefetch = Some(prefetch::run(agent, prefetched));
    if is_managed {
        prefetch.take().map(tokio::spawn);
    }
    let told = loop {
        match lambda.next().await {
            Ok(Event::Invoke) => {
                prefetch.take().map(tokio::spawn);
            }
            Ok(Event::Shutdown) => break Ok(()),
            Err(error) => {
                lambda.report("exit", "Extension.NoEvent", &error).await;
                break Err(error);
            }
        }
    };
    drop(end);
    if timeout(DRAIN, serving).await.is_err() {
        tracing::warn!(after = ?DRAIN, "open requests were cut");
    }
    told
}

/// The name of the file that was started. Lambda knows the extension by it, also where the file is a link.
fn name() -> String {
    let file = env::args_os().next().unwrap_or_default();
    let name = Path::new(&file).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
