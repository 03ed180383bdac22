//! The command `rotatectl`.

use std::process::ExitCode;

use clap::Parser;
use rotatectl::{arguments::Arguments, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rotatectl: {error}");
            ExitCode::FAILURE
        }
    }
}
