//! A run of rotatectl: its time, and its memory at most.

use std::{
    io::{self, Read, Seek},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use local::{
    memory,
    world::{REGION, World},
};
use tokio::task::spawn_blocking;

use super::Error;

/// What a run of rotatectl took.
pub(super) struct Ran {
    pub(super) took: Duration,
    /// Its resident memory, in KiB.
    pub(super) peak: u64,
}

/// Runs it in the world.
pub(super) async fn run(world: &World, rotatectl: &Path, arguments: &[&str]) -> Result<Ran, Error> {
    let mut command = Command::new(rotatectl);
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", world.endpoint())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let program = format!("{} {}", rotatectl.display(), arguments.join(" "));
    let ran = spawn_blocking(move || watch(command, program)).await;
    ran.map_err(io::Error::other)?
}

/// Runs it, and looks at its memory until it ends.
fn watch(mut command: Command, program: String) -> Result<Ran, Error> {
    let mut stderr = tempfile::tempfile()?;
    let began = Instant::now();
    let child = command.stderr(stderr.try_clone()?).spawn();
    let mut child = child.map_err(|error| Error::Program {
        program: program.clone(),
        said: error.to_string(),
    })?;
    let mut peak = 0;
    loop {
        peak = memory::peak(child.id()).unwrap_or_default().max(peak);
        let Some(status) = child.try_wait()? else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let took = began.elapsed();
        // 2: a secret needs attention
        if matches!(status.code(), Some(0 | 2)) {
            return Ok(Ran { took, peak });
        }
        let mut said = String::new();
        stderr.rewind()?;
        stderr.read_to_string(&mut said)?;
        return Err(Error::Program { program, said });
    }
}
