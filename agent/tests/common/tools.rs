//! Programs of others that `make test` installs, and where they are.

use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.tools")
        .join(name)
}

/// The program that was installed for these tests, or else the machine's. Debian's pgbouncer is in a folder of root's PATH.
pub(crate) fn tool(name: &str) -> PathBuf {
    let folders = [folder("recipes/bin"), folder("aws/bin"), "/usr/sbin".into()];
    let named = folders.map(|folder| folder.join(name));
    let found = named.into_iter().find(|named| named.exists());
    found.unwrap_or_else(|| name.into())
}

/// Where node looks for modules, apart from its own folders.
pub(crate) fn node_path() -> String {
    let own = folder("javascript/node_modules");
    let set = std::env::var("NODE_PATH").unwrap_or_default();
    format!("{}:{set}", own.display())
}
