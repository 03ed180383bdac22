//! The command of `make soak`: many rotations, with an application in its own process.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use drill::{
    command,
    soak::{self, Soak},
};
use local::{
    executable,
    postgres::Settings,
    world::{self, Options, World},
};

/// Many rotations of both strategies under load, and what they leave behind.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The rotation function's executable.
    #[arg(long, required_unless_present = "application")]
    function: Option<PathBuf>,
    /// How many times each secret rotates.
    #[arg(long, default_value_t = 1000)]
    rotations: usize,
    /// The time between the beginnings of two rotations of a secret.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// The secret of the application's process.
    #[arg(long, hide = true, requires_all = ["endpoint", "ca_file"])]
    application: Option<String>,
    #[arg(long, hide = true)]
    endpoint: Option<String>,
    #[arg(long, hide = true)]
    ca_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    command::run("soak", run(Arguments::parse())).await
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    if let (Some(secret), Some(endpoint), Some(ca_file)) =
        (arguments.application, arguments.endpoint, arguments.ca_file)
    {
        let out = &mut io::stdout();
        return Ok(soak::beside::work(&endpoint, secret, ca_file, out).await?);
    }
    let function = executable::function(arguments.function)?;
    let settings = Settings {
        conf: "max_connections = 300".to_owned(),
        ..Settings::default()
    };
    let world = World::start(Options::new(&function).own_postgres(settings)).await?;
    let soak = Soak {
        rotations: arguments.rotations,
        every: arguments.every,
    };
    Ok(soak.run(&world, &mut io::stdout()).await?)
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Executable(#[from] executable::Error),
    #[error(transparent)]
    World(#[from] world::Error),
    #[error(transparent)]
    Soak(#[from] soak::Error),
}
