//! A Secrets Manager, and a folder that the agent writes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::secrets_manager::SecretsManager;
use tempfile::TempDir;

use super::{Agent, create, put, secrets_manager, until};

/// A lifetime of one second: a change is seen soon.
pub(crate) const SHORT: &str = "[capabilities.secrets_manager.cache]\nttl_seconds = 1";

/// A Secrets Manager, and the folder for an agent's files.
pub(crate) struct Place {
    pub(crate) service: SecretsManager,
    pub(crate) endpoint: String,
    folder: TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let (service, endpoint) = secrets_manager().await;
        Self {
            service,
            endpoint,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// One whose secret `orders/db` is a login of the user `orders` with the password `one`.
    pub(crate) async fn with_login() -> Self {
        let place = Self::new().await;
        create(&place.service, "orders/db", &document("orders", "one")).await;
        place
    }

    /// Makes this login the current version of `orders/db`.
    pub(crate) async fn put(&self, user: &str, password: &str) {
        put(&self.service, "orders/db", &document(user, password)).await;
    }

    /// A path beside the directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        // some machines have a link in place of /tmp
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.beside("out")
    }

    /// A file of the current version.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory().join("current").join(name)
    }

    /// A `[[files]]` table of the secret `orders/db` with these lines.
    pub(crate) fn table(&self, lines: &str) -> String {
        let directory = self.directory().display().to_string();
        format!("[[files]]\nsecret = \"orders/db\"\ndirectory = \"{directory}\"\n{lines}\n")
    }

    /// An agent with that table.
    pub(crate) fn agent(&self, lines: &str) -> Agent {
        Agent::start(&self.endpoint, SHORT, &self.table(lines))
    }

    /// Waits until the file contains this part, and returns its text.
    pub(crate) async fn holds(&self, name: &str, part: &str) -> String {
        let path = self.file(name);
        until(async || {
            fs::read_to_string(&path)
                .ok()
                .filter(|text| text.contains(part))
        })
        .await
    }
}

/// The document of a login.
pub(crate) fn document(user: &str, password: &str) -> String {
    let document = serde_json::json!({
        "engine": "postgres", "host": "db.example.com", "port": 6432, "username": user, "password": password, "dbname": "shop",
    });
    document.to_string()
}

/// Writes a shell script.
pub(crate) fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
