//! The variables that come from secrets.

use std::{collections::BTreeMap, env};

use rotating_secret::Credential;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Error,
    arguments::{Exec, FromSecret},
    fields::{self, Refused},
    followed::Followed,
};

/// A variable of the child.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: SecretString,
}

/// Which secrets a child's variables come from.
pub(super) struct Environment {
    login: Option<String>,
    chosen: Vec<FromSecret>,
}

impl Environment {
    pub(super) fn of(exec: &Exec) -> Self {
        Self {
            login: exec.secret.clone(),
            chosen: exec.env.clone(),
        }
    }

    /// The ids of the secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let mut ids: Vec<&str> = self.chosen.iter().map(|chosen| &*chosen.secret).collect();
        ids.extend(self.login.as_deref());
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
    }

    /// Waits until all secrets are read.
    pub(super) async fn first(&self, followed: &Followed) -> Result<(), Error> {
        for id in self.secrets() {
            let Some(secret) = followed.get(id) else {
                continue;
            };
            if let Err(error) = secret.usable().await {
                let is_transient = matches!(&error, rotating_secret::Error::Provider { reason, .. } if reason.kind().is_transient());
                match is_transient {
                    // the client keeps asking
                    true => drop(secret.changed_from("").await?),
                    false => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The variables of the current versions.
    pub(super) async fn current(&self, followed: &Followed) -> Result<Vec<Variable>, Error> {
        let mut read = BTreeMap::new();
        for id in self.secrets() {
            if let Some(secret) = followed.get(id) {
                read.insert(id, secret.usable().await?);
            }
        }
        let of = |id: &str| read.get(id).map(|credential| &**credential);
        let mut variables = Vec::new();
        if let Some(credential) = self.login.as_deref().and_then(of) {
            variables.extend(login(credential)?);
        }
        for chosen in &self.chosen {
            if let Some(credential) = of(&chosen.secret) {
                let value = fields::value(credential, &chosen.key)?;
                variables.push(Variable {
                    name: chosen.name.clone(),
                    value,
                });
            }
        }
        for Variable { name, value } in &variables {
            if value.expose_secret().contains('\0') {
                return Err(Refused::new(name, "has a NUL, which no environment can hold").into());
            }
        }
        Ok(variables)
    }
}

/// User and password always come from the secret. A host in the environment stays: it may name a pooler.
fn login(credential: &Credential) -> Result<impl Iterator<Item = Variable>, Refused> {
    let named = fields::variables(credential)?.into_iter();
    let is_secrets =
        |name: &str| matches!(name, "PGUSER" | "PGPASSWORD") || env::var_os(name).is_none();
    let named = named.filter(move |(name, _)| is_secrets(name));
    Ok(named.map(|(name, value)| Variable {
        name: name.to_owned(),
        value,
    }))
}
