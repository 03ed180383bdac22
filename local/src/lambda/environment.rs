//! An execution environment: one process of the function, beside its extensions. It serves one invocation at a time.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

use chrono::Utc;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, sync::watch, task::JoinHandle, time::timeout};
use uuid::Uuid;

use super::{
    FunctionSettings,
    extensions::Extensions,
    process::Process,
    runtime_api::{Event, Host, Said, TRACE, runtime_api},
};
use crate::invocation::FunctionError;

/// How long a process may take to ask for the next event after an answer, also on a busy machine.
const UNTIL_NEXT: Duration = Duration::from_secs(10);

/// The processes, and their API.
pub(super) struct Environment {
    process: Process,
    extensions: Extensions,
    host: Host,
    api: JoinHandle<()>,
    /// What the processes write. A file, not a pipe: once a process asks for its next event, all its output is readable.
    log: File,
    function_arn: String,
    spawned: Instant,
    alive: bool,
    /// How many events it has finished.
    served: u64,
}

/// Why an environment does not start, and what was written.
pub(super) struct NotStarted {
    pub(super) error: FunctionError,
    pub(super) log: Vec<String>,
}

impl Environment {
    /// Starts the extensions, and when all are registered, the function, as Lambda does. They have Lambda's environment variables only.
    pub(super) async fn start(
        settings: &FunctionSettings,
        function_arn: String,
    ) -> Result<Self, NotStarted> {
        let not_started = |error: io::Error| NotStarted {
            error: FunctionError {
                error_type: "Runtime.InvalidEntrypoint".to_owned(),
                error_message: format!("{}: {error}", settings.binary.display()),
            },
            log: Vec::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(not_started)?;
        let address = listener.local_addr().map_err(not_started)?.to_string();
        let (router, host) = runtime_api();
        let mut log = log().map_err(not_started)?;
        // of an extension: without the variables of the runtime (docs)
        let command = |binary: &Path| {
            let mut command = Command::new(binary);
            command.env_clear();
            command.envs(shared(settings, &address));
            command
        };
        let extensions = Extensions::start(settings, command, &log);
        let mut extensions = extensions.map_err(|error| NotStarted {
            error: FunctionError {
                error_type: "Extension.LaunchError".to_owned(),
                error_message: error.to_string(),
            },
            log: Vec::new(),
        })?;
        let router = router.merge(extensions.api.router());
        let api = tokio::spawn(async move {
            // ends when this task is aborted
            let _ = axum::serve(listener, router).await;
        });
        let registered = match timeout(settings.timeout, extensions.registered()).await {
            Ok(registered) => registered,
            Err(_) => Err(timed_out("INIT", settings.timeout)),
        };
        if let Err(error) = registered {
            extensions.kill().await;
            api.abort();
            let log = lines(&mut log);
            return Err(NotStarted { error, log });
        }
        let spawned = Instant::now();
        let mut function = command(&settings.binary);
        let group = format!("/aws/lambda/{}", settings.name);
        function.env("AWS_LAMBDA_LOG_GROUP_NAME", group);
        function.env("AWS_LAMBDA_LOG_STREAM_NAME", "local");
        let process = Process::start(&mut function, &log).map_err(not_started)?;
        Ok(Self {
            process,
            extensions,
            host,
            api,
            log,
            function_arn,
            alive: true,
            served: 0,
            spawned,
        })
    }

    /// Passes the event on. Waits for the answer, the end of a process, the timeout, or a kill.
    pub(super) async fn invoke(
        &mut self,
        event: &Value,
        limit: Duration,
        killed: &mut watch::Receiver<()>,
    ) -> Result<Value, FunctionError> {
        let id = Uuid::new_v4().to_string();
        let event = Event {
            id: id.clone(),
            body: event.to_string(),
            deadline: (Utc::now() + limit).timestamp_millis(),
            function_arn: self.function_arn.clone(),
        };
        let Self {
            process,
            extensions,
            host,
            served,
            ..
        } = self;
        tokio::select! {
            // in this order: an answer counts, even if the process exits right after it
            biased;
            said = serve(host, extensions, event, *served) => match said {
                Ok(said) => said,
                Err(error) => {
                    self.end("FAILURE").await;
                    Err(error)
                }
            },
            status = process.wait() => {
                self.end("FAILURE").await;
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(exited(&id, &status))
            }
            () = tokio::time::sleep(limit) => {
                self.end("TIMEOUT").await;
                Err(timed_out(&id, limit))
            }
            _ = killed.changed() => {
                self.kill().await;
                Err(exited(&id, "killed"))
            }
        }
    }

    /// Waits until the invocation has ended: all processes ask for an event. Returns what they wrote since the last call.
    pub(super) async fn take_log(&mut self) -> Vec<String> {
        if self.alive {
            let Self {
                process,
                extensions,
                host,
                served,
                ..
            } = self;
            *served += 1;
            let polled = async {
                let asks = host.polls.wait_for(|polls| polls.count > *served);
                asks.await.is_ok() && extensions.ready().await.is_ok()
            };
            // a process that does not ask for its next event cannot serve another one
            self.alive = tokio::select! {
                polled = timeout(UNTIL_NEXT, polled) => polled.unwrap_or(false),
                _ = process.wait() => false,
            };
        }
        self.lines()
    }

    /// What the processes wrote since the last call.
    pub(super) fn lines(&mut self) -> Vec<String> {
        lines(&mut self.log)
    }

    /// Whether it can take another event. A process may end while it waits for one.
    pub(super) fn is_alive(&mut self) -> bool {
        self.alive && self.process.is_alive() && self.extensions.are_alive()
    }

    /// Waits until the function first asks for an event, and returns the time since its start.
    pub(super) async fn start_up(&mut self) -> Option<Duration> {
        let polls = timeout(
            UNTIL_NEXT,
            self.host.polls.wait_for(|polls| polls.count > 0),
        )
        .await;
        let first = polls.ok()?.ok()?.first?;
        Some(first.duration_since(self.spawned))
    }

    /// Stops all processes until the next invocation, as Lambda does.
    pub(super) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.signal(signal);
        self.extensions.signal(signal);
    }

    /// Ends the function, and then its extensions, as Lambda does. Returns the names of those that had to be killed.
    pub(super) async fn end(&mut self, reason: &str) -> Vec<String> {
        self.alive = false;
        self.process.kill().await;
        self.thaw();
        self.extensions.shut_down(reason).await
    }

    /// Kills the processes, and waits until they are gone.
    pub(super) async fn kill(&mut self) {
        self.alive = false;
        self.process.kill().await;
        self.extensions.kill().await;
    }

    /// The function's process id, while it lives.
    pub(super) fn process(&self) -> Option<u32> {
        self.process.id()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.api.abort();
    }
}

/// The variables of the function and of its extensions.
fn shared<'a>(
    settings: &'a FunctionSettings,
    address: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let own = settings.env.iter();
    let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
    [
        ("AWS_LAMBDA_RUNTIME_API", address),
        ("AWS_LAMBDA_FUNCTION_NAME", &settings.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_REGION", &settings.region),
        ("AWS_DEFAULT_REGION", &settings.region),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TZ", ":UTC"),
    ]
    .into_iter()
    .chain(own)
}

/// A file for the log, in append mode: it is truncated after each invocation.
fn log() -> io::Result<File> {
    let file = tempfile::NamedTempFile::new()?;
    File::options().read(true).append(true).open(file.path())
}

/// Takes the lines out of the log.
fn lines(log: &mut File) -> Vec<String> {
    let mut text = Vec::new();
    let read = log
        .seek(SeekFrom::Start(0))
        .and_then(|_| log.read_to_end(&mut text));
    if let Err(error) = read.and_then(|_| log.set_len(0)) {
        return vec![format!("the log cannot be read: {error}")];
    }
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::to_owned).collect()
}

/// One invocation. It begins when all processes ask for an event. The outer error is of an extension.
async fn serve(
    host: &mut Host,
    extensions: &mut Extensions,
    event: Event,
    served: u64,
) -> Result<Result<Value, FunctionError>, FunctionError> {
    extensions.ready().await?;
    let id = event.id.clone();
    let mut polls = host.polls.clone();
    tokio::select! {
        biased;
        _ = polls.wait_for(|polls| polls.count > served) => {}
        said = answer(host, &id) => return Ok(said),
        error = extensions.failed() => return Err(error),
    }
    extensions.api.send(&json!({
        "eventType": "INVOKE", "deadlineMs": event.deadline, "requestId": id, "invokedFunctionArn": event.function_arn,
        "tracing": { "type": "X-Amzn-Trace-Id", "value": TRACE },
    }));
    // a channel of one event; it is empty, because the process takes an event only to answer it
    let _ = host.events.send(event).await;
    tokio::select! {
        biased;
        said = answer(host, &id) => Ok(said),
        error = extensions.failed() => Err(error),
    }
}

async fn answer(host: &mut Host, id: &str) -> Result<Value, FunctionError> {
    loop {
        match host.said.recv().await {
            Some(Said::Answered(answered, outcome)) if answered == id => return outcome,
            Some(Said::Answered(..)) => {} // too late: the host gave up that invocation
            Some(Said::InitFailed(error)) => return Err(error),
            None => std::future::pending().await, // the process's end decides
        }
    }
}

fn timed_out(id: &str, limit: Duration) -> FunctionError {
    let seconds = limit.as_secs_f64();
    FunctionError {
        error_type: "Sandbox.Timedout".to_owned(),
        error_message: format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"),
    }
}

fn exited(id: &str, how: &str) -> FunctionError {
    FunctionError {
        error_type: "Runtime.ExitError".to_owned(),
        error_message: format!("RequestId: {id} Error: Runtime exited with error: {how}"),
    }
}
