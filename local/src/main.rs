//! The command `local`, which is `rotatectl local` too.

use std::process::ExitCode;

use clap::Parser;
use local::command::{self, Command};

/// What AWS and a database server would run, on this machine: a Secrets Manager that really rotates, a Lambda host
/// that runs the real function, a PostgreSQL with TLS.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    match command::run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error}");
            ExitCode::FAILURE
        }
    }
}
