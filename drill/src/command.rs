//! How this crate's commands end.

use std::{fmt::Display, process::ExitCode};

use tokio::signal::ctrl_c;

/// Runs `work` until it ends or Ctrl-C interrupts it. Prints why it failed.
pub async fn run<E: Display>(name: &str, work: impl Future<Output = Result<(), E>>) -> ExitCode {
    let ended = tokio::select! {
        ended = work => ended,
        // the world must be dropped: otherwise its database server keeps running
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
