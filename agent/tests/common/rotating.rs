//! A world whose function really rotates, and an agent that writes a service file for one of its secrets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::{
    executable,
    world::{Options, World},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Agent, folder::SHORT, until};

pub(crate) struct Rotating {
    pub(crate) world: World,
    pub(crate) secret: String,
    pub(crate) agent: Agent,
    /// The service file.
    pub(crate) file: PathBuf,
    _folder: TempDir,
}

impl Rotating {
    pub(crate) async fn start(secret: impl FnOnce(&World) -> &'static str) -> Self {
        Self::start_behind(secret, |_, _| String::new(), "").await
    }

    /// Starts it with tables before its own, and with more parameters.
    pub(crate) async fn start_behind(
        secret: impl FnOnce(&World) -> &'static str,
        before: impl FnOnce(&World, &Path) -> String,
        parameters: &str,
    ) -> Self {
        let function = executable::of_tests("--bin", "secret-rotation").unwrap();
        let world = World::start(Options::new(function)).await.unwrap();
        let secret = secret(&world).to_owned();
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().canonicalize().unwrap().join("out");
        let before = before(&world, directory.parent().unwrap());
        let own = format!(
            "{before}[[files]]\nsecret = \"{secret}\"\ndirectory = \"{}\"\nwrite = [{{ parameters = {{ sslrootcert = \"{}\"{parameters} }} }}]",
            directory.display(),
            world.ca_file().display()
        );
        let rotating = Self {
            agent: Agent::start(world.endpoint(), SHORT, &own),
            file: directory.join("current/pg_service.conf"),
            secret,
            world,
            _folder: folder,
        };
        rotating.follows().await;
        rotating
    }

    /// The document of the current version.
    pub(crate) async fn current(&self) -> Value {
        let input = json!({ "SecretId": self.secret });
        let service = self.world.secrets_manager();
        let read = service.call("GetSecretValue", input).await.unwrap();
        serde_json::from_str(read["SecretString"].as_str().unwrap()).unwrap()
    }

    /// Waits until the file holds the current version.
    pub(crate) async fn follows(&self) {
        let document = self.current().await;
        let line = format!("password={}\n", document["password"].as_str().unwrap());
        until(async || {
            fs::read_to_string(&self.file)
                .is_ok_and(|text| text.contains(&line))
                .then_some(())
        })
        .await;
    }

    pub(crate) async fn rotate(&self) {
        let service = self.world.secrets_manager();
        service.rotate(&self.secret).await.unwrap();
    }
}
