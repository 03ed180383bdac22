//! The command of `make picture`: runs the demo and writes the README's picture.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use drill::{command, demo, report};
use local::{
    executable,
    world::{self, Options, World},
};

/// Rotate beside an application, and draw the requests that were served and that failed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The rotation function's executable.
    #[arg(long)]
    function: PathBuf,
    /// The SVG file to write.
    file: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    command::run("picture", draw(Arguments::parse())).await
}

async fn draw(arguments: Arguments) -> Result<(), Error> {
    let function = executable::function(Some(arguments.function))?;
    let world = World::start(demo::options(Options::new(&function))).await?;
    // boxed: the future's type is too deep for the compiler
    let mut nowhere = io::sink();
    let shown = Box::pin(demo::run(&world, &mut nowhere, false, demo::ROTATIONS));
    let rehearsals = shown.await?;
    // single user first: without an overlap, requests of a plain cache fail
    let picture = report::picture(&rehearsals[0])?;
    Ok(std::fs::write(arguments.file, picture)?)
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Executable(#[from] executable::Error),
    #[error(transparent)]
    World(#[from] world::Error),
    #[error(transparent)]
    Demo(#[from] demo::Error),
    #[error(transparent)]
    Drawing(#[from] drill::Error),
    #[error("the picture cannot be written: {0}")]
    Unwritable(#[from] io::Error),
}
