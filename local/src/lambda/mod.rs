//! A Lambda host: runs the real function binary as Lambda does.
//!
//! | file | what |
//! |---|---|
//! | `environment` | an execution environment: a function and its extensions, one invocation at a time |
//! | `process` | a process of an environment |
//! | `runtime_api` | the Lambda runtime API, for the function's process |
//! | `extensions` | the extensions of an environment |
//! | `extensions_api` | the Lambda Extensions API, for them |
//! | `invoke_api` | the `Invoke` operation, for the AWS CLI and SDKs |
//! | `describe_api` | the function's configuration, and who may invoke it |
//! | `refusal` | the errors of both APIs |
//! | `access` | IAM in front of both APIs |

pub(crate) mod access;
mod describe_api;
mod environment;
mod extensions;
mod extensions_api;
mod invoke_api;
mod process;
mod refusal;
mod runtime_api;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use serde_json::Value;
use tokio::sync::watch;

use self::environment::{Environment, NotStarted};
use crate::{
    iam::ACCOUNT,
    invocation::{FunctionPolicies, Invoke, Invoked},
};

/// The settings of a function.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// The executable.
    pub binary: PathBuf,
    /// Its name.
    pub name: String,
    /// The function's region.
    pub region: String,
    /// Environment variables besides Lambda's own. The function inherits nothing else.
    pub env: Vec<(String, String)>,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Starts a new process for each invocation, and ends it afterwards: no invocation finds state of another one.
    pub cold_starts: bool,
    /// Also writes the function's log to this process's stderr.
    pub show_log: bool,
    /// A folder, as Lambda's `/opt/extensions`: each of its files is started as an extension.
    pub extensions: Option<PathBuf>,
    /// Stops the processes between two invocations, as Lambda does.
    pub freezes: bool,
}

/// A line of the function's log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When its invocation ended, in milliseconds since 1970.
    pub time: i64,
    /// The line.
    pub text: String,
}

/// A function that can be invoked. Clones share its environments; dropping the last clone stops them.
#[derive(Clone)]
pub struct Function(Arc<Inner>);

struct Inner {
    settings: FunctionSettings,
    idle: Mutex<Vec<Environment>>,
    /// The ids of the processes that serve an invocation.
    busy: Mutex<Vec<u32>>,
    started: AtomicUsize,
    /// The statements of its policy: who may invoke it.
    policy: Mutex<Vec<Value>>,
    log: Mutex<Vec<LogLine>>,
    /// Notified to kill all processes.
    kill: watch::Sender<()>,
}

impl Function {
    /// The first invocation starts the first process.
    pub fn new(settings: FunctionSettings) -> Self {
        let (idle, busy, started, log, kill) = Default::default();
        let function = Self(Arc::new(Inner {
            settings,
            idle,
            busy,
            started,
            policy: Mutex::default(),
            log,
            kill,
        }));
        let secrets_manager = describe_api::secrets_manager_may_invoke(&function.arn());
        function.set_policy(vec![secrets_manager]);
        function
    }

    /// The function's ARN, in the account of AWS's examples.
    pub fn arn(&self) -> String {
        let FunctionSettings { region, name, .. } = &self.0.settings;
        format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{name}")
    }

    /// Replaces the statements of its policy. By default Secrets Manager of its own account may invoke it.
    pub fn set_policy(&self, statements: Vec<Value>) {
        *self.0.policy.lock().unwrap_or_else(PoisonError::into_inner) = statements;
    }

    /// A lookup of policies for RotateSecret. It knows only this function.
    pub fn policies(&self) -> FunctionPolicies {
        let function = self.clone();
        Arc::new(move |arn| {
            let policy = &function.0.policy;
            let policy = policy.lock().unwrap_or_else(PoisonError::into_inner);
            (arn == function.arn()).then(|| policy.clone())
        })
    }

    /// Invokes the function and waits for the result.
    ///
    /// Uses a warm environment, unless the settings forbid it; else starts a new one.
    pub async fn invoke(&self, event: Value) -> Invoked {
        let inner = &self.0;
        let started = Instant::now();
        let mut killed = inner.kill.subscribe();
        let environment = match self.idle() {
            Some(environment) => {
                environment.thaw();
                Ok(environment)
            }
            None => {
                inner.started.fetch_add(1, Ordering::Relaxed);
                Environment::start(&inner.settings, self.arn()).await
            }
        };
        let mut environment = match environment {
            Ok(environment) => environment,
            Err(NotStarted { error, log }) => {
                self.keep(&log);
                return Invoked {
                    outcome: Err(error),
                    log,
                    took: started.elapsed(),
                };
            }
        };
        let serving = environment.process().map(|id| Serving::of(inner, id));
        let outcome = environment
            .invoke(&event, inner.settings.timeout, &mut killed)
            .await;
        drop(serving);
        let took = started.elapsed();
        let mut log = environment.take_log().await;
        if inner.settings.cold_starts {
            environment.end("SPINDOWN").await;
            log.extend(environment.lines());
        }
        self.keep(&log);
        let mut idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // checked under the lock: `kill` first sends the notice, and then takes the idle environments
        let spared = !killed.has_changed().unwrap_or(true);
        if spared && environment.is_alive() {
            if inner.settings.freezes {
                environment.freeze();
            }
            idle.push(environment);
        }
        Invoked { outcome, log, took }
    }

    /// A warm environment. Drops those whose process has ended.
    fn idle(&self) -> Option<Environment> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(Environment::is_alive);
        idle.pop()
    }

    /// [`Function::invoke`] as a closure for Secrets Manager.
    pub fn invoke_closure(&self) -> Invoke {
        let function = self.clone();
        Arc::new(move |event| {
            let function = function.clone();
            Box::pin(async move { function.invoke(event).await })
        })
    }

    /// Kills every process at once. A running invocation ends with `Runtime.ExitError`.
    pub async fn kill(&self) {
        self.0.kill.send_replace(());
        for mut environment in self.take_idle() {
            environment.kill().await;
        }
    }

    /// Ends the environments that wait for an event, as Lambda does when no more come: extensions get SHUTDOWN, and 2 seconds.
    /// Returns the names of the extensions that had to be killed.
    pub async fn shut_down(&self) -> Vec<String> {
        let mut late = Vec::new();
        for mut environment in self.take_idle() {
            late.extend(environment.end("SPINDOWN").await);
            self.keep(&environment.lines());
        }
        late
    }

    fn take_idle(&self) -> Vec<Environment> {
        std::mem::take(&mut *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The function's region.
    pub fn region(&self) -> &str {
        &self.0.settings.region
    }

    /// The name of its log group in CloudWatch Logs.
    pub fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.0.settings.name)
    }

    /// The log so far, oldest line first.
    pub fn log(&self) -> Vec<LogLine> {
        self.0
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, lines: &[String]) {
        if self.0.settings.show_log {
            lines.iter().for_each(|line| eprintln!("{line}"));
        }
        let time = Utc::now().timestamp_millis();
        let lines = lines.iter().cloned().map(|text| LogLine { time, text });
        let mut log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend(lines);
    }

    /// How many processes were started so far.
    pub fn environments(&self) -> usize {
        self.0.started.load(Ordering::Relaxed)
    }

    /// Starts a process, measures the time until it asks for its first event, and stops it.
    ///
    /// `None` if the process does not start or does not ask.
    pub async fn start_up(&self) -> Option<Duration> {
        let mut environment = Environment::start(&self.0.settings, self.arn())
            .await
            .ok()?;
        environment.start_up().await
    }

    /// The ids of the processes that wait for an event.
    pub fn processes(&self) -> Vec<u32> {
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().filter_map(Environment::process).collect()
    }

    /// The ids of the processes that serve an invocation.
    pub fn busy(&self) -> Vec<u32> {
        let busy = self.0.busy.lock();
        busy.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Marks a process as busy until it is dropped. The caller may drop the invocation at any time.
struct Serving<'a>(&'a Inner, u32);

impl<'a> Serving<'a> {
    fn of(inner: &'a Inner, process: u32) -> Self {
        let busy = inner.busy.lock();
        busy.unwrap_or_else(PoisonError::into_inner).push(process);
        Self(inner, process)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let busy = self.0.busy.lock();
        let mut busy = busy.unwrap_or_else(PoisonError::into_inner);
        busy.retain(|process| *process != self.1);
    }
}
