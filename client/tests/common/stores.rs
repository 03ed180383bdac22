//! What the tests of the providers share.

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

/// Runs an ignored test of this file in a process that has these variables and no others of a store's, and gives what it
/// [`tell`]s: a process has but one environment, and setting it is unsafe.
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

/// What [`in_environment`] gives.
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

/// From now on, all that is traced at whatever level is kept, for the thread that does it.
///
/// One subscriber for the process: with one for a thread, another thread's first event can switch that kind off for all.
pub(crate) fn begin_tracing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(|| Traced)
            .init();
    });
}

/// What this thread traced.
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
