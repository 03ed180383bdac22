//! `credentials_file_path`: credentials that another program writes to a file, and replaces before they expire.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_config::profile;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result as Provided, error::CredentialsError, future},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use secrecy::ExposeSecret;

use super::in_one_line;
use crate::{names::shown_path, whole_file};

/// How often to look at the file, as AWS's agent does.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// The profile `[default]` of one file. If the file is bad for a moment, the last credentials stay in use.
#[derive(Debug)]
pub(super) struct CredentialsFile {
    path: PathBuf,
    last: Mutex<Option<Credentials>>,
}

impl CredentialsFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            last: Mutex::default(),
        }
    }

    async fn load(&self) -> Provided {
        let read = self.read().await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut credentials = match (read, &*last) {
            (Ok(read), _) => read,
            (Err(reason), Some(last)) => {
                let path = shown_path(&self.path);
                tracing::warn!(
                    path,
                    reason,
                    "credentials_file_path cannot be read: its last credentials stay in use"
                );
                last.clone()
            }
            (Err(reason), None) => {
                let path = shown_path(&self.path);
                let reason =
                    format!("{path}: {reason}: correct the file, or credentials_file_path");
                return Err(CredentialsError::invalid_configuration(reason));
            }
        };
        *credentials.expiry_mut() = Some(SystemTime::now() + AGAIN);
        *last = Some(credentials.clone());
        Ok(credentials)
    }

    async fn read(&self) -> Result<Credentials, String> {
        let text = whole_file::text(&self.path).map_err(|error| error.to_string())?;
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Credentials, text.expose_secret())
            .build();
        // only this file: no variable names another one
        let (disk, no_variable) = (Fs::real(), Env::from_slice(&[]));
        let read = profile::load(&disk, &no_variable, &files, Some("default".into()));
        let read = read.await.map_err(|error| in_one_line(&error))?;
        let key = |name| {
            read.get(name)
                .map(str::to_owned)
                .ok_or_else(|| format!("[default] has no {name}"))
        };
        let (id, secret) = (key("aws_access_key_id")?, key("aws_secret_access_key")?);
        let token = key("aws_session_token").ok();
        Ok(Credentials::new(
            id,
            secret,
            token,
            None,
            "credentials_file_path",
        ))
    }
}

impl ProvideCredentials for CredentialsFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_and_one_that_is_bad_for_a_moment_leaves_the_last_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let file = CredentialsFile::new(&path);
        let absent = file.load().await.unwrap_err();
        assert!(
            in_one_line(&absent).contains("credentials_file_path"),
            "{absent:?}"
        );
        let write = |id: &str| {
            let text = format!(
                "[default]\naws_access_key_id = {id}\naws_secret_access_key = s\naws_session_token = t\n"
            );
            std::fs::write(&path, text).unwrap();
        };
        write("ONE");
        let loaded = file.load().await.unwrap();
        assert_eq!(
            (loaded.access_key_id(), loaded.session_token()),
            ("ONE", Some("t"))
        );
        // so that the SDK asks again after this time
        let again = loaded
            .expiry()
            .unwrap()
            .duration_since(SystemTime::now())
            .unwrap();
        assert!(again <= AGAIN, "{again:?}");
        for bad in [
            "",
            "[default]\naws_access_key_id = TWO\n",
            "aws_access_key_id",
        ] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(file.load().await.unwrap().access_key_id(), "ONE", "{bad}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.load().await.unwrap().access_key_id(), "ONE");
        write("TWO");
        assert_eq!(file.load().await.unwrap().access_key_id(), "TWO");
    }
}
