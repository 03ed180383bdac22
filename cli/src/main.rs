//! The command `rotatectl`.

use std::process::ExitCode;

use clap::Parser;
use rotatectl::{arguments::Arguments, run, terminal};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help_or_error) => {
            // who closed the output does not want to read it
            let _ = help_or_error.print();
            // clap would end with 2, which says here that something is overdue
            return if help_or_error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            terminal::tell(&format!("rotatectl: {error}"));
            error.exit_code()
        }
    }
}
