//! An agent's process.

use std::{
    fs, io,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use local::world::World;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{Error, HEADER, READ, READERS, TOKEN};
use crate::bench::row::Sample;

/// An agent's executable.
#[derive(Clone, Debug)]
pub(super) enum Agent {
    /// Ours.
    Ours(PathBuf),
    /// AWS's.
    Awss(PathBuf),
}

/// A running agent.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) port: u16,
    _files: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    /// Starts it. Returns the time until it answers.
    pub(super) async fn start(
        &self,
        world: &World,
        ttl: u64,
    ) -> Result<(Running, Duration), Error> {
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
}

impl Running {
    pub(super) async fn read(&self) -> Result<(), Error> {
        self.get(READ).await
    }

    async fn get(&self, path: &str) -> Result<(), Error> {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
        read_on(connection, path).await
    }

    pub(super) fn megabytes(&self, read: fn(u32) -> Option<u64>) -> Sample {
        Sample::one(
            read(self.child.id()).unwrap_or_default() as f64 / 1024.0,
            "MB",
        )
    }
}

/// Sends a request, and reads an answer that has to be a 200.
pub(super) async fn read_on(mut connection: TcpStream, path: &str) -> Result<(), Error> {
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
