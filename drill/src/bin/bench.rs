//! The command of `make bench`: starts a world, and prints the cost of a rotation. Use a release build.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use drill::{bench, changeover, command, demo};
use local::{
    executable,
    postgres::Settings,
    world::{self, Options, World},
};

/// Measure the cost of a rotation in a world on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The rotation function's executable.
    #[arg(long)]
    function: PathBuf,
    /// How long to watch each pool with rotations and without, in seconds: twelve runs. 0 leaves them out.
    #[arg(long, default_value_t = 120)]
    changeover: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    command::run("bench", measure(Arguments::parse())).await
}

async fn measure(arguments: Arguments) -> Result<(), Error> {
    let function = executable::function(Some(arguments.function))?;
    let options = Options::new(&function).own_postgres(Settings::default());
    let world = World::start(options).await?;
    bench::run(&world, &function, &mut io::stdout()).await?;
    if arguments.changeover > 0 {
        let length = Duration::from_secs(arguments.changeover);
        changeover::run(&world, length, &mut io::stdout()).await?;
    }
    Ok(())
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
