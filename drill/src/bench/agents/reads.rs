//! Reads from an agent's cache: how many, how fast, and what they cost.

use std::{fs, process::Command};

use local::processor;
use serde::Deserialize;

use super::{Error, HEADER, READ, running::Running};

const WRK: &str = include_str!("wrk.lua");

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
pub(super) struct Reads {
    pub(super) rate: Vec<f64>,
    pub(super) p50: Vec<f64>,
    pub(super) p99: Vec<f64>,
    pub(super) processor: Vec<f64>,
}

impl Reads {
    pub(super) fn add(
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
