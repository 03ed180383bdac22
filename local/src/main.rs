//! The command `local`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, value_parser};
use local::{
    executable,
    postgres::Settings,
    secrets_manager::{Retry, labels::Promotion},
    world::{Options, World},
};

/// What AWS and a database server would run, on this machine: a Secrets Manager that really rotates, a Lambda host
/// that runs the real function, a PostgreSQL with TLS.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring it all up, print one line of JSON when it is ready, and serve until Ctrl-C.
    Up(Up),
}

#[derive(Args)]
struct Up {
    /// The port of both services; 0 takes any that is free.
    #[arg(long, default_value_t = 4599)]
    port: u16,
    /// The rotation function's executable; without it the one of this workspace is built.
    #[arg(long)]
    function: Option<PathBuf>,
    /// Stage this token as AWSPENDING on the single-user secret, and leave the four steps to you.
    #[arg(long, value_name = "TOKEN")]
    stage: Option<String>,
    /// How often a rotation is attempted before it is given up; AWS makes about 5 attempts.
    #[arg(long, value_name = "NUMBER", default_value_t = Retry::default().attempts, value_parser = value_parser!(u32).range(1..))]
    attempts: u32,
    /// The time between two attempts, and before that of a rotation that made RotateSecret refuse; with AWS about 100s.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    retry_interval: Duration,
    /// Serve each step by a new process of the function, as AWS may: it finds nothing that another step kept.
    #[arg(long)]
    cold_starts: bool,
    /// What becomes of AWSPENDING when its version becomes AWSCURRENT; AWS does not promise one of them.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    promotion: Promotion,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up(arguments) => up(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn up(arguments: Up) -> Result<(), Error> {
    let mut stop = Stop::listen()?;
    let function = executable::function(arguments.function)?;
    let mut options = Options::new(function)
        .own_postgres(Settings::default())
        .with_key_service();
    (options.port, options.show_log) = (arguments.port, true);
    options.retry = Retry {
        attempts: arguments.attempts,
        interval: arguments.retry_interval,
    };
    (options.cold_starts, options.promotion) = (arguments.cold_starts, arguments.promotion);
    let world = tokio::select! {
        world = World::start(options) => world?,
        () = stop.requested() => return Ok(()),
    };
    if let Some(token) = arguments.stage {
        world
            .secrets_manager()
            .stage(world.single_user(), &token)
            .map_err(local::world::Error::from)?;
    }
    let ready = serde_json::to_string(&world.ready()).map_err(io::Error::from)?;
    writeln!(io::stdout(), "{ready}")?;
    stop.requested().await;
    Ok(())
}

/// Ctrl-C and SIGTERM.
struct Stop(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

impl Stop {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Executable(#[from] executable::Error),
    #[error(transparent)]
    World(#[from] local::world::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}
