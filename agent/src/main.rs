//! The command `rotating-secret-agent`.

use std::{io::ErrorKind, process::ExitCode};

use clap::Parser;
use rotating_secret_agent::{
    Error,
    access::Access,
    arguments::{Arguments, Command, Exec},
    children, exec, ready,
    settings::{LogLevel, Settings},
    start,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tokio::spawn(children::remove_orphans());
    let ended = match &arguments.command {
        _ if arguments.check => check(&arguments),
        Some(Command::Exec(exec)) => run(&arguments, exec).await,
        Some(Command::Ready) => probe(&arguments).await,
        _ => serve(&arguments).await.map(|()| ExitCode::SUCCESS),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("rotating-secret-agent: {error}");
        status(&error, &arguments)
    })
}

/// 125, 126 and 127 say that the child never ran, as with `env` and `timeout`: the child's own status stays its own.
fn status(error: &Error, arguments: &Arguments) -> ExitCode {
    let status = match error {
        Error::NotStarted { source, .. } if source.kind() == ErrorKind::NotFound => 127,
        Error::NotStarted { .. } => 126,
        _ if matches!(arguments.command, Some(Command::Exec(_))) => 125,
        _ => 1,
    };
    status.into()
}

async fn run(arguments: &Arguments, exec: &Exec) -> Result<ExitCode, Error> {
    let settings = begin(arguments)?;
    Ok(exec::run(settings, exec).await?.into())
}

fn check(arguments: &Arguments) -> Result<ExitCode, Error> {
    let settings = begin(arguments)?;
    Access::new(&settings)?;
    tracing::info!("the settings and the tokens can be used");
    Ok(ExitCode::SUCCESS)
}

async fn probe(arguments: &Arguments) -> Result<ExitCode, Error> {
    let port = Settings::read(&arguments.files)?.port;
    ready::ask(port).await.map(|()| ExitCode::SUCCESS)
}

fn begin(arguments: &Arguments) -> Result<Settings, Error> {
    let settings = Settings::read(&arguments.files)?;
    log(settings.log_level);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

async fn serve(arguments: &Arguments) -> Result<(), Error> {
    let settings = begin(arguments)?;
    if !settings.enabled {
        tracing::info!("enabled = false in [capabilities.secrets_manager]: there is nothing to do");
        return Ok(());
    }
    let server = start(settings).await?;
    tracing::info!(port = server.port(), "the agent listens on localhost");
    server.run(told_to_end()).await;
    Ok(())
}

/// Logs to standard error: a unit's journal, a container's log. Libraries below the client log warnings only: at debug, the SDK and HTTP
/// would log requests and answers.
fn log(level: LogLevel) {
    if let Some(level) = level.tracing() {
        let own = ["rotating_secret", "rotating_secret_agent"].map(|own| (own, level));
        let others = level.min(tracing::Level::WARN);
        let targets = Targets::new().with_default(others).with_targets(own);
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        tracing_subscriber::registry()
            .with(lines.with_filter(targets))
            .init();
    }
}

/// Waits for SIGTERM or SIGINT.
async fn told_to_end() {
    let (terminate, interrupt) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // without a handler, the system ends the process
        _ => std::future::pending().await,
    }
}
