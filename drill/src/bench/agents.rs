//! Our agent beside AWS's, both against the same Secrets Manager: their start, their memory, reads from the cache, and what a thousand
//! readers of an expired secret cause.
//!
//! `wrk` reads: it costs little, and takes one of the two processors that such machines have.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use local::{
    memory, processor,
    secrets_manager::{Behavior, Fault},
    world::World,
};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::{
    Effort,
    row::{Goal, Row, Sample},
};

const SECRET: &str = "bench/agents";
const READ: &str = "/secretsmanager/get?secretId=bench/agents";
const TOKEN: &str = "the-t0ken-of-the-benchmark";
const HEADER: &str = "X-Aws-Parameters-Secrets-Token: the-t0ken-of-the-benchmark";

const READERS: usize = 1000;
const TTL: Duration = Duration::from_secs(3);
/// How long Secrets Manager takes to answer while a thousand wait.
const UPSTREAM: Duration = Duration::from_millis(200);

const WRK: &str = include_str!("wrk.lua");

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    let Effort { turns, seconds, .. } = effort;
    format!(
        "Both agents read the same secret from the same local Secrets Manager, with `max_conn = {READERS}`, no log, and a lifetime of 300 s. \
         `wrk` with one thread reads for {seconds} s at each number of connections, {turns} times, in turns. The lifetime of the expired \
         secret is {} s, and Secrets Manager takes {} ms to answer then.",
        TTL.as_secs(),
        UPSTREAM.as_millis()
    )
}

/// An agent's executable.
#[derive(Clone, Debug)]
pub enum Agent {
    /// Ours.
    Ours(PathBuf),
    /// AWS's.
    Awss(PathBuf),
}

/// A running agent.
struct Running {
    child: Child,
    port: u16,
    _files: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `wrk` prints.
#[derive(Deserialize)]
struct Load {
    requests: f64,
    seconds: f64,
    p50: f64,
    p99: f64,
    errors: u64,
}

/// The figures of one agent at one number of connections.
#[derive(Default)]
struct Reads {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    processor: Vec<f64>,
}

/// What a thousand readers of an expired secret cause.
struct Expired {
    calls: usize,
    slowest: Duration,
}

/// Measures ours, and AWS's if it is here.
///
/// # Errors
///
/// An agent does not start or answer, or `wrk` is not installed.
pub async fn measure(
    world: &World,
    ours: &Path,
    awss: Option<&Path>,
    effort: Effort,
) -> Result<Vec<Row>, Error> {
    let create = world.aws().create_secret().name(SECRET);
    let document = r#"{"username":"orders","password":"an-example-of-a-password-in-32-ch"}"#;
    create
        .secret_string(document)
        .send()
        .await
        .map_err(|error| Error::Secret(error.to_string()))?;
    let agents: Vec<Agent> = [
        Some(Agent::Ours(ours.into())),
        awss.map(|path| Agent::Awss(path.into())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut rows = Rows::default();

    let mut starts: Vec<Vec<Duration>> = vec![Vec::new(); agents.len()];
    for _ in 0..effort.starts {
        for (agent, starts) in agents.iter().zip(&mut starts) {
            starts.push(agent.start(world, 300).await?.1);
        }
    }
    rows.add(
        "exec to the first answer",
        starts.into_iter().map(Sample::times),
        Some(Goal::AtMost(10.0)),
    );

    let mut running = Vec::new();
    for agent in &agents {
        let (running_agent, _) = agent.start(world, 300).await?;
        running_agent.read().await?;
        running.push(running_agent);
    }
    let resident = running
        .iter()
        .map(|agent| agent.megabytes(memory::resident));
    rows.add(
        "resident after the first read",
        resident,
        Some(Goal::AtMost(14.0)),
    );
    for (connections, closing) in [
        (1, false),
        (16, false),
        (64, false),
        (1, true),
        (16, true),
        (64, true),
    ] {
        let mut reads: Vec<Reads> = running.iter().map(|_| Reads::default()).collect();
        for _ in 0..effort.turns {
            for (agent, reads) in running.iter().zip(&mut reads) {
                reads.add(agent, connections, closing, effort.seconds)?;
            }
        }
        let kept = if closing {
            "a new connection each"
        } else {
            "kept"
        };
        let what = |figure: &str| format!("{connections} readers, {kept}: {figure}");
        let of = |figure: fn(&Reads) -> &Vec<f64>, unit| {
            reads
                .iter()
                .map(move |reads| Sample::of(figure(reads).clone(), unit))
                .collect::<Vec<_>>()
        };
        rows.add(
            &what("reads a second"),
            of(|reads| &reads.rate, ""),
            awss.map(|_| Goal::More(1.0)),
        );
        let goal = awss.map(|_| Goal::Times(1.0));
        rows.add(&what("p50"), of(|reads| &reads.p50, "µs"), goal);
        rows.add(&what("p99"), of(|reads| &reads.p99, "µs"), goal);
        rows.add(
            &what("processor time of a read"),
            of(|reads| &reads.processor, "µs"),
            goal,
        );
    }
    drop(running);

    let mut expired = Vec::new();
    for agent in &agents {
        expired.push(agent.expire(world).await?);
    }
    let calls = expired
        .iter()
        .map(|expired| Sample::one(expired.calls as f64, "calls"));
    rows.add(
        "1,000 readers of an expired secret",
        calls,
        Some(Goal::AtMost(1.0)),
    );
    let slowest = expired
        .iter()
        .map(|expired| Sample::times([expired.slowest]));
    rows.add("the slowest of these readers", slowest, None);
    Ok(rows.0)
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// The first sample is ours, the second, if any, is AWS's.
    fn add(&mut self, what: &str, samples: impl IntoIterator<Item = Sample>, goal: Option<Goal>) {
        let mut samples = samples.into_iter();
        let Some(ours) = samples.next() else { return };
        self.0.push(Row {
            what: what.to_owned(),
            ours,
            peer: samples.next().map(|sample| ("AWS's agent", sample)),
            goal,
        });
    }
}

impl Agent {
    /// Starts it. Returns the time until it answers.
    async fn start(&self, world: &World, ttl: u64) -> Result<(Running, Duration), Error> {
        let files = tempfile::tempdir()?;
        let port = free_port().await?;
        let config = files.path().join("agent.toml");
        fs::write(
            &config,
            format!(
                "[logging]\nlog_level = \"warn\"\nlog_to_file = false\n[capabilities.secrets_manager]\nhttp_port = {port}\nregion = \"us-east-1\"\n\
                 max_conn = {READERS}\nvalidate_credentials = false\n[capabilities.secrets_manager.cache]\nttl_seconds = {ttl}\n"
            ),
        )?;
        let own = files.path().join("own.toml");
        fs::write(&own, format!("endpoint = \"{}\"\n", world.endpoint()))?;
        let mut command = match self {
            Self::Ours(path) => {
                let mut command = Command::new(path);
                command.arg("--settings").arg(&own);
                command
            }
            Self::Awss(path) => Command::new(path),
        };
        command
            .args(["sm", "start", "--config"])
            .arg(&config)
            .env_clear()
            .env("AWS_ENDPOINT_URL", world.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAAGENT")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let mut running = Running {
            child: command.spawn()?,
            port,
            _files: files,
        };
        loop {
            if running.get("/ping").await.is_ok() {
                return Ok((running, began.elapsed()));
            }
            if let Some(status) = running.child.try_wait()? {
                return Err(Error::Ended(status.to_string()));
            }
            sleep(Duration::from_micros(100)).await;
        }
    }

    /// A thousand readers ask at the same moment, after the time to live.
    async fn expire(&self, world: &World) -> Result<Expired, Error> {
        let (agent, _) = self.start(world, TTL.as_secs()).await?;
        agent.read().await?;
        sleep(TTL + TTL / 3).await;
        let faults = ["GetSecretValue", "DescribeSecret"].map(|operation| {
            let slow = Fault::on(operation, Behavior::Delay(UPSTREAM));
            world.secrets_manager().inject(slow.times(usize::MAX))
        });
        let mut connections = Vec::new();
        for _ in 0..READERS {
            connections.push(TcpStream::connect(("127.0.0.1", agent.port)).await?);
        }
        let (before, began) = (world.secrets_manager().calls().len(), Instant::now());
        let mut readers = JoinSet::new();
        for connection in connections {
            readers.spawn(async move {
                read_on(connection, READ).await?;
                Ok::<_, Error>(began.elapsed())
            });
        }
        let mut slowest = Duration::ZERO;
        while let Some(read) = readers.join_next().await {
            slowest = slowest.max(read.map_err(io::Error::other)??);
        }
        // a renewal in the background ends after its readers
        sleep(2 * UPSTREAM).await;
        let calls = world.secrets_manager().calls().len() - before;
        for fault in faults {
            world.secrets_manager().clear_faults(Some(fault));
        }
        Ok(Expired { calls, slowest })
    }
}

impl Running {
    async fn read(&self) -> Result<(), Error> {
        self.get(READ).await
    }

    async fn get(&self, path: &str) -> Result<(), Error> {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
        read_on(connection, path).await
    }

    fn megabytes(&self, read: fn(u32) -> Option<u64>) -> Sample {
        Sample::one(
            read(self.child.id()).unwrap_or_default() as f64 / 1024.0,
            "MB",
        )
    }
}

impl Reads {
    fn add(
        &mut self,
        agent: &Running,
        connections: usize,
        closing: bool,
        seconds: usize,
    ) -> Result<(), Error> {
        let busy = || {
            processor::time(agent.child.id())
                .unwrap_or_default()
                .as_secs_f64()
        };
        let before = busy();
        let load = load(agent.port, connections, closing, seconds)?;
        let processor = busy() - before;
        if load.errors > 0 {
            return Err(Error::Answer(format!("{} reads failed", load.errors)));
        }
        self.rate.push(load.requests / load.seconds);
        self.p50.push(load.p50);
        self.p99.push(load.p99);
        self.processor.push(processor * 1e6 / load.requests);
        Ok(())
    }
}

/// Runs `wrk`.
fn load(port: u16, connections: usize, closing: bool, seconds: usize) -> Result<Load, Error> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("wrk.lua");
    fs::write(&script, WRK)?;
    let mut command = Command::new("wrk");
    command.args([
        "-t1",
        &format!("-c{connections}"),
        &format!("-d{seconds}s"),
        "-H",
        HEADER,
    ]);
    if closing {
        command.args(["-H", "Connection: close"]);
    }
    let output = command
        .arg("-s")
        .arg(&script)
        .arg(format!("http://127.0.0.1:{port}{READ}"))
        .output()
        .map_err(Error::Wrk)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find(|line| line.starts_with('{'));
    let line = line.ok_or_else(|| Error::Answer(said.trim().to_owned()))?;
    serde_json::from_str(line).map_err(|error| Error::Answer(error.to_string()))
}

/// Sends a request, and reads an answer that has to be a 200.
async fn read_on(mut connection: TcpStream, path: &str) -> Result<(), Error> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{HEADER}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => {
            let status = answer.lines().next().unwrap_or_default();
            Err(Error::Answer(status.to_owned()))
        }
    }
}

async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// An agent could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has ended.
    #[error("the agent ended with {0}")]
    Ended(String),
    /// It answered something else.
    #[error("the agent answered: {0}")]
    Answer(String),
    /// The secret could not be made.
    #[error("the secret could not be made: {0}")]
    Secret(String),
    /// `wrk` does not run.
    #[error("wrk does not run: {0}; install it with your system's packages")]
    Wrk(#[source] io::Error),
    /// A file or a connection.
    #[error(transparent)]
    Io(#[from] io::Error),
}
