//! The command of `make bench`: brings a world up, and prints what a rotation costs. Meant for a release build.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use drill::{bench, demo};
use local::{
    executable,
    postgres::Settings,
    world::{self, Options, World},
};

/// What a rotation costs, in a world on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The rotation function's executable.
    #[arg(long)]
    function: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let measured = tokio::select! {
        measured = measure(Arguments::parse().function) => measured,
        // the world has to be dropped, or its database server lives on
        _ = tokio::signal::ctrl_c() => return ExitCode::FAILURE,
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(function: PathBuf) -> Result<(), Error> {
    let function = executable::function(Some(function))?;
    let options = Options::new(&function).own_postgres(Settings::default());
    let world = World::start(options).await?;
    Ok(bench::run(&world, &function, &mut io::stdout()).await?)
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Executable(#[from] executable::Error),
    #[error(transparent)]
    World(#[from] world::Error),
    #[error(transparent)]
    Bench(#[from] demo::Error),
}
