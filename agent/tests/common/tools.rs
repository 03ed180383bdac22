//! Programs of others that `make test` installs, where they are.

use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.tools")
        .join(name)
}

/// The program that was installed for these tests, or else the machine's.
pub(crate) fn tool(name: &str) -> PathBuf {
    let folders = ["recipes/bin", "aws/bin"].map(folder);
    let own = folders.map(|folder| folder.join(name));
    let found = own.into_iter().find(|own| own.exists());
    found.unwrap_or_else(|| name.into())
}

/// Where node looks for modules, apart from its own folders.
pub(crate) fn node_path() -> String {
    let own = folder("javascript/node_modules");
    let set = std::env::var("NODE_PATH").unwrap_or_default();
    format!("{}:{set}", own.display())
}
