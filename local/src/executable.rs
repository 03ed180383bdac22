//! Executables of this workspace, freshly built.

use std::{
    collections::BTreeMap,
    env, io,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// Why the executable is missing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The given file does not exist.
    #[error("the file {0} does not exist: build the function, or leave out --function")]
    Missing(PathBuf),
    /// cargo cannot run.
    #[error("cannot run cargo ({0}): name the function's executable with --function")]
    Cargo(#[from] io::Error),
    /// The build failed.
    #[error("{0} does not build: see cargo's messages above")]
    Failed(&'static str),
}

/// The rotation function's executable: the given file, or the one of this workspace.
///
/// # Errors
///
/// The file does not exist, or the build fails.
pub fn function(named: Option<PathBuf>) -> Result<PathBuf, Error> {
    match named {
        // the host starts it in another folder: the path must be absolute
        Some(path) => path.canonicalize().map_err(|_| Error::Missing(path)),
        None => build("secret-rotation", &["--bin"]),
    }
}

/// The binary or example `name` (`kind` is `--bin` or `--example`), built with the features of `make test`, which usually has built
/// it already. Runs cargo once per process.
///
/// # Errors
///
/// The build fails.
pub fn of_tests(kind: &str, name: &'static str) -> Result<PathBuf, Error> {
    static BUILT: Mutex<BTreeMap<&'static str, PathBuf>> = Mutex::new(BTreeMap::new());
    // locked while cargo runs: other callers wait here
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return Ok(path.clone());
    }
    let path = build(name, &["--workspace", "--all-features", kind])?;
    built.insert(name, path.clone());
    Ok(path)
}

/// Builds the binary or example `name` with the cargo that started us; `how` ends with `--bin` or `--example`.
///
/// The path comes from cargo's messages: the target folder may be anywhere.
fn build(name: &'static str, how: &[&str]) -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // ring's build depends on variables that an outer cargo sets: with them cargo would rebuild half of the workspace
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    let built = command
        .args([
            "build",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ])
        .args(how)
        .arg(name)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["target"]["name"] == name && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .filter(|_| built.status.success())
        .ok_or(Error::Failed(name))
}
