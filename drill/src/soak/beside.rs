//! The application in a process of its own: so its memory can be measured.

use std::{
    env::current_exe,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use local::world::{self, World};
use serde::{Deserialize, Serialize};
use tokio::time::{interval, sleep};

use super::Error;
use crate::application::{Access, Application, Cache, Connections, Workload};

/// The number of workers for each kind of connections.
const WORKERS: usize = 3;

/// The counts that the process prints each second.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Said {
    pub(super) requests: usize,
    pub(super) failures: usize,
    pub(super) first_failure: Option<String>,
    pub(super) all_work: bool,
}

/// Works with this secret until the process is killed, and prints its counts every second.
///
/// # Errors
///
/// The credential cannot be read, or a pool cannot be made.
pub async fn work(
    endpoint: &str,
    secret: String,
    ca_file: PathBuf,
    out: &mut impl Write,
) -> Result<(), Error> {
    let access = Access {
        service: world::aws_at(endpoint, "AKIAAPPLICATION"),
        secret,
        ca_file: Some(ca_file),
        database_ahead: 0,
    };
    let workload = Workload {
        connections: Connections::ALL.to_vec(),
        workers: WORKERS,
        pause: Duration::from_millis(50),
        patience: Duration::from_secs(30),
        // the record of the unfinished span grows with each request
        span: Duration::from_secs(60),
        cache: Cache::Rotating {
            ttl: Duration::from_secs(600),
            listen: true,
        },
    };
    let application = Application::start(&access, &workload).await?;
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        let mut failures = application.summaries().into_iter();
        let said = Said {
            requests: application.requests(),
            failures: application.failures(),
            first_failure: failures.find_map(|summary| summary.first_failure),
            all_work: application.all_work(),
        };
        let said = serde_json::to_string(&said).map_err(Error::Said)?;
        writeln!(out, "{said}")?;
    }
}

/// The parent's view of the process. Dropping it kills the process.
pub(super) struct Beside {
    process: Child,
    said: Arc<Mutex<Said>>,
}

impl Beside {
    /// Starts the process, and waits for one successful request of each worker.
    pub(super) async fn start(world: &World, secret: &str) -> Result<Self, Error> {
        let mut process = Command::new(current_exe()?)
            .args(["--application", secret])
            .args(["--endpoint", world.endpoint(), "--ca-file"])
            .arg(world.postgres().ca_file())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = Arc::new(Mutex::new(Said::default()));
        if let Some(stdout) = process.stdout.take() {
            let said = said.clone();
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Ok(heard) = serde_json::from_str(&line) {
                        *said.lock().unwrap_or_else(PoisonError::into_inner) = heard;
                    }
                }
            });
        }
        let mut beside = Self { process, said };
        while !beside.said().all_work {
            if let Some(status) = beside.process.try_wait()? {
                return Err(Error::Ended(status));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(beside)
    }

    pub(super) fn said(&self) -> Said {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    pub(super) fn process(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
