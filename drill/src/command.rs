//! How the commands of this crate end.

use std::{fmt::Display, process::ExitCode};

use tokio::signal::ctrl_c;

/// Runs it until it ends or Ctrl-C interrupts it, and prints why it failed.
pub async fn run<E: Display>(name: &str, work: impl Future<Output = Result<(), E>>) -> ExitCode {
    let ended = tokio::select! {
        ended = work => ended,
        // the world must be dropped, or its database server keeps running
        _ = ctrl_c() => return ExitCode::FAILURE,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
