//! Shared by the tests of the providers.

use std::{cell::RefCell, collections::HashMap, env, io, process::Command, sync::Once};

use rotating_secret::provider::{ProviderError, Value, Version};
use secrecy::ExposeSecret;
use tracing_subscriber::filter::LevelFilter;

pub(crate) fn text(version: &Version) -> &str {
    match &version.value {
        Value::Text(text) => text.expose_secret(),
        _ => panic!("a text was expected"),
    }
}

/// Runs an ignored test of this file in a process with these variables and no others of a store, and returns the output of its
/// [`tell`]: a process has only one environment, and setting it is unsafe.
pub(crate) async fn in_environment(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    for (name, _) in env::vars_os() {
        let store = name.to_string_lossy();
        if ["AWS_", "VAULT_", "AZURE_", "IDENTITY_", "MSI_"]
            .iter()
            .any(|prefix| store.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.envs(variables.iter().copied().collect::<HashMap<_, _>>());
    // the stand-in answers from this thread
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = String::from_utf8(output.await.unwrap().unwrap().stdout).unwrap();
    let told = output.split(MARK).nth(1);
    told.unwrap_or_else(|| panic!("nothing was told: {output}"))
        .to_owned()
}

const MARK: &str = "\u{1f}";

/// The result of [`in_environment`].
pub(crate) fn tell(answer: Result<Version, ProviderError>) {
    tell_text(&match answer {
        Ok(version) => format!("{} {}", version.id, text(&version)),
        Err(error) => error.to_string(),
    });
}

/// The same, of anything.
pub(crate) fn tell_text(told: &str) {
    println!("{MARK}{told}{MARK}");
}

thread_local! {
    static TRACED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// From now on, every trace of every level is kept for its thread.
///
/// The process has one subscriber: with one for each thread, another thread's first event can switch off that kind for all.
pub(crate) fn begin_tracing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(|| Traced)
            .init();
    });
}

/// The traces of this thread.
pub(crate) fn traced() -> String {
    TRACED.with_borrow(|traced| String::from_utf8_lossy(traced).into_owned())
}

struct Traced;

impl io::Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TRACED.with_borrow_mut(|traced| traced.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
