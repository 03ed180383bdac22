//! The command `local`, which is `rotatectl local` too.

use std::process::ExitCode;

use clap::Parser;
use local::command::{self, Command};

/// Stand-ins for AWS and a database server on this machine: a Secrets Manager that rotates, a Lambda host that runs the
/// real function, and PostgreSQL with TLS.
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
