//! Third-party programs that `make test` installs.

use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.tools")
        .join(name)
}

/// The program installed for these tests, or else the machine's. Debian's pgbouncer is in a folder that only root's PATH has.
pub(crate) fn tool(name: &str) -> PathBuf {
    let folders = [folder("recipes/bin"), folder("aws/bin"), "/usr/sbin".into()];
    let named = folders.map(|folder| folder.join(name));
    let found = named.into_iter().find(|named| named.exists());
    found.unwrap_or_else(|| name.into())
}

/// Where node finds extra modules.
pub(crate) fn node_path() -> String {
    let own = folder("javascript/node_modules");
    let set = std::env::var("NODE_PATH").unwrap_or_default();
    format!("{}:{set}", own.display())
}
