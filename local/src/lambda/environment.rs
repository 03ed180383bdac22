//! An execution environment: one process of the function. It serves one invocation at a time.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    process::Stdio,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use super::{
    FunctionSettings,
    runtime_api::{Event, Host, Said, runtime_api},
};
use crate::{guard::Guard, invocation::FunctionError};

/// How long a process may take to ask for the next event after an answer, also on a busy machine.
const UNTIL_NEXT: Duration = Duration::from_secs(10);

/// A process and its runtime API.
pub(super) struct Environment {
    process: Child,
    _guard: Guard,
    host: Host,
    api: JoinHandle<()>,
    /// The process's stdout and stderr. A file, not a pipe: once the process asks for its next event, all its output is readable.
    log: File,
    function_arn: String,
    spawned: Instant,
    alive: bool,
    /// How many events it has finished.
    served: u64,
}

impl Environment {
    /// Starts the process with Lambda's environment variables only.
    pub(super) async fn start(
        settings: &FunctionSettings,
        function_arn: String,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (router, host) = runtime_api();

        let log_file = tempfile::NamedTempFile::new()?;
        // append mode: the file is truncated after each invocation
        let written = File::options().append(true).open(log_file.path())?;
        let mut guard = Guard::over(None)?;
        let spawned = Instant::now();
        let process = Command::new(&settings.binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.to_string().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", &settings.name),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                (
                    "AWS_LAMBDA_LOG_GROUP_NAME",
                    &format!("/aws/lambda/{}", settings.name),
                ),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
                ("AWS_REGION", &settings.region),
                ("AWS_DEFAULT_REGION", &settings.region),
                ("AWS_ACCESS_KEY_ID", "local"),
                ("AWS_SECRET_ACCESS_KEY", "local"),
                ("AWS_SESSION_TOKEN", "local"),
                ("LANG", "en_US.UTF-8"),
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("TZ", ":UTC"),
            ])
            .envs(settings.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(id) = process.id() {
            guard.watch(id, "KILL")?;
        }
        let api = tokio::spawn(async move {
            // ends when this task is aborted
            let _ = axum::serve(listener, router).await;
        });
        let log = log_file.into_file();
        Ok(Self {
            process,
            _guard: guard,
            host,
            api,
            log,
            function_arn,
            alive: true,
            served: 0,
            spawned,
        })
    }

    /// Passes the event on. Waits for the answer, the end of the process, the timeout, or a kill.
    pub(super) async fn invoke(
        &mut self,
        event: &Value,
        limit: Duration,
        killed: &mut watch::Receiver<()>,
    ) -> Result<Value, FunctionError> {
        let id = Uuid::new_v4().to_string();
        let deadline = SystemTime::now() + limit;
        let event = Event {
            id: id.clone(),
            body: event.to_string(),
            deadline: deadline
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis(),
            function_arn: self.function_arn.clone(),
        };
        // a channel of one event; it is empty, because the process takes an event only to answer it
        let _ = self.host.events.send(event).await;
        tokio::select! {
            // in this order: an answer counts, even if the process exits right after it
            biased;
            said = answer(&mut self.host, &id) => said,
            status = self.process.wait() => {
                self.alive = false;
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(exited(&id, &status))
            }
            () = tokio::time::sleep(limit) => {
                self.kill().await;
                Err(FunctionError {
                    error_type: "Sandbox.Timedout".to_owned(),
                    error_message: format!(
                        "RequestId: {id} Error: Task timed out after {:.2} seconds", limit.as_secs_f64()
                    ),
                })
            }
            _ = killed.changed() => {
                self.kill().await;
                Err(exited(&id, "killed"))
            }
        }
    }

    /// The process's output since the last call, in lines.
    pub(super) async fn take_log(&mut self) -> Vec<String> {
        let answered = self.served;
        let polled = timeout(
            UNTIL_NEXT,
            self.host.polls.wait_for(|polls| polls.count > answered + 1),
        );
        if self.alive {
            // a process that does not ask for its next event cannot serve another one
            self.alive = tokio::select! {
                polled = polled => matches!(polled, Ok(Ok(_))),
                _ = self.process.wait() => false,
            };
            self.served += 1;
        }
        let mut text = Vec::new();
        let read = self
            .log
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.log.read_to_end(&mut text));
        if let Err(error) = read.and_then(|_| self.log.set_len(0)) {
            return vec![format!("the log cannot be read: {error}")];
        }
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Whether it can take another event. A process may end while it waits for one.
    pub(super) fn is_alive(&mut self) -> bool {
        self.alive && matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits until the process first asks for an event, and returns the time since its start.
    pub(super) async fn start_up(&mut self) -> Option<Duration> {
        let polls = timeout(
            UNTIL_NEXT,
            self.host.polls.wait_for(|polls| polls.count > 0),
        )
        .await;
        let first = polls.ok()?.ok()?.first?;
        Some(first.duration_since(self.spawned))
    }

    /// Kills the process, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        self.alive = false;
        // an error means that the process has ended already
        let _ = self.process.kill().await;
    }

    /// The process id, while the process lives.
    pub(super) fn process(&self) -> Option<u32> {
        self.process.id()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.api.abort();
        let _ = self.process.start_kill();
        // reap it here: the guard would wait for a zombie process
        while let Ok(None) = self.process.try_wait() {
            std::thread::sleep(Duration::from_millis(1));
        }
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

fn exited(id: &str, how: &str) -> FunctionError {
    FunctionError {
        error_type: "Runtime.ExitError".to_owned(),
        error_message: format!("RequestId: {id} Error: Runtime exited with error: {how}"),
    }
}
