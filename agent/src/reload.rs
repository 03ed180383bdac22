//! SIGHUP: reads the settings again, and replaces what can be replaced while the agent runs. The port and the cache stay.

use std::sync::Arc;

use tokio::{signal::unix::Signal, task::spawn_blocking};

use crate::{
    Agent, Error,
    access::Access,
    arguments::Files,
    prefetch,
    settings::{LogLevel, Settings},
};

/// Reads the files again at each signal. `log_at` sets the level of the log.
pub async fn run(mut hangup: Signal, files: Files, agent: Arc<Agent>, log_at: impl Fn(LogLevel)) {
    let mut prefetched = agent.settings.prefetch.clone();
    while hangup.recv().await.is_some() {
        // a file or the machine's user database may take long, and this is the readers' thread
        let files = files.clone();
        let read = spawn_blocking(move || read(&files)).await;
        let Ok(read) = read else { return };
        let (settings, access) = match read {
            Ok(read) => read,
            Err(error) => {
                for mistake in error.mistakes() {
                    tracing::warn!("{mistake}");
                }
                tracing::warn!("the settings stay as they were: correct them, and reload again");
                continue;
            }
        };
        log_at(settings.log_level);
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let left = agent.settings.needs_restart(&settings);
        if !left.is_empty() {
            let settings = left.join(", ");
            tracing::warn!(
                settings,
                "these settings changed and have no effect before a restart"
            );
        }
        agent.replace(access);
        if settings.prefetch != prefetched {
            prefetched = settings.prefetch;
            tokio::spawn(prefetch::run(agent.clone(), prefetched.clone()));
        }
        tracing::info!("the settings were read again");
    }
}

/// Nothing is replaced if a part of it is wrong.
fn read(files: &Files) -> Result<(Settings, Access), Error> {
    let settings = Settings::read(files)?;
    let access = Access::new(&settings)?;
    Ok((settings, access))
}
