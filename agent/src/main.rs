//! The command `rotating-secret-agent`.

use std::{io::ErrorKind, process::ExitCode, time::Duration};

use clap::Parser;
use rotating_secret_agent::{
    Error,
    access::Access,
    arguments::{Arguments, Command, Exec, Files},
    bind, children, exec, extension,
    log::Log,
    ready, reload,
    settings::{LogLevel, Settings},
    start,
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

/// How long the end waits for threads that write files. One may read a file that gives nothing.
const LEFT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // one thread: a read is so short that handing it to another thread costs more
    let runtime = Builder::new_current_thread().enable_all().build();
    let (log, runtime) = match Log::begin().and_then(|log| Ok((log, runtime?))) {
        Ok(begun) => begun,
        Err(error) => {
            eprintln!("rotating-secret-agent: it cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    log.panics();
    let status = runtime.block_on(perform(&log));
    runtime.shutdown_timeout(LEFT);
    status
}

async fn perform(log: &Log) -> ExitCode {
    let mut arguments = Arguments::parse();
    let is_extension = extension::is_started();
    if is_extension {
        arguments.files = Files::of_lambda();
    }
    tokio::spawn(children::remove_orphans());
    let ended = match &arguments.command {
        _ if arguments.check => check(log, &arguments),
        _ if is_extension => extend(log, &arguments).await,
        Some(Command::Exec(exec)) => run(log, &arguments, exec).await,
        Some(Command::Ready) => probe(&arguments).await,
        _ => serve(log, &arguments).await.map(|()| ExitCode::SUCCESS),
    };
    ended.unwrap_or_else(|error| {
        let prefix = match error {
            // an editor reads these lines as places in a file
            Error::Settings { .. } => "",
            _ => "rotating-secret-agent: ",
        };
        for mistake in error.mistakes() {
            log.line(&format!("{prefix}{mistake}"));
        }
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

async fn run(log: &Log, arguments: &Arguments, exec: &Exec) -> Result<ExitCode, Error> {
    let (settings, _) = begin(log, arguments)?;
    Ok(exec::run(settings, exec).await?.into())
}

fn check(log: &Log, arguments: &Arguments) -> Result<ExitCode, Error> {
    let (settings, _) = begin(log, arguments)?;
    Access::new(&settings)?;
    tracing::info!("the settings and the tokens can be used");
    Ok(ExitCode::SUCCESS)
}

async fn probe(arguments: &Arguments) -> Result<ExitCode, Error> {
    let port = Settings::read(&arguments.files)?.port;
    ready::ask(port).await.map(|()| ExitCode::SUCCESS)
}

/// Reads the settings and begins the log. The second value sets the log's level.
fn begin(log: &Log, arguments: &Arguments) -> Result<(Settings, impl Fn(LogLevel) + use<>), Error> {
    let settings = Settings::read(&arguments.files)?;
    let log_at = log.events(settings.log_level);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok((settings, log_at))
}

async fn serve(log: &Log, arguments: &Arguments) -> Result<(), Error> {
    // from here on SIGHUP does not end the agent
    let hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
    let (settings, log_at) = begin(log, arguments)?;
    if !settings.enabled {
        tracing::info!("enabled = false in [capabilities.secrets_manager]: there is nothing to do");
        return Ok(());
    }
    let server = start(settings).await?;
    tracing::info!(port = server.port(), "the agent listens on localhost");
    let reloads = reload::run(hangup, arguments.files.clone(), server.agent(), log_at);
    tokio::spawn(reloads);
    server.run(told_to_end()).await;
    Ok(())
}

async fn extend(log: &Log, arguments: &Arguments) -> Result<ExitCode, Error> {
    let started = match begin(log, arguments) {
        Ok((settings, _)) => bind(settings).await,
        Err(error) => Err(error),
    };
    if let Ok(server) = &started {
        tracing::info!(port = server.port(), "the extension listens on localhost");
    }
    extension::run(started).await.map(|()| ExitCode::SUCCESS)
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
