//! Versions in memory, with Secrets Manager's rules on labels.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use secrecy::{ExposeSecret, SecretString};

use super::script::Script;
use crate::store::{Form, SecretStore, StoreError, Version, Versions, Which, Written};

/// The version that a rotation begins with.
pub(super) const OLD: &str = "old";

/// One secret, and its administrator's secret.
#[derive(Debug)]
pub(super) struct Store {
    script: Rc<Script>,
    secret: &'static str,
    administrator: Option<SecretString>,
    values: RefCell<BTreeMap<String, SecretString>>,
    /// Label to version.
    labels: RefCell<BTreeMap<&'static str, String>>,
    pub(super) writes: Cell<usize>,
}

impl Store {
    /// `current` is AWSCURRENT, and the token is staged without a value.
    pub(super) fn new(
        script: Rc<Script>,
        secret: &'static str,
        token: &str,
        current: SecretString,
        administrator: Option<SecretString>,
    ) -> Self {
        let staged = [
            (Which::Current.label(), OLD.to_owned()),
            (Which::Pending("").label(), token.to_owned()),
        ];
        Self {
            script,
            secret,
            administrator,
            values: RefCell::new([(OLD.to_owned(), current)].into()),
            labels: RefCell::new(staged.into()),
            writes: Cell::new(0),
        }
    }

    /// The version with this label, and its value.
    pub(super) fn labelled(&self, which: Which<'_>) -> Option<(String, SecretString)> {
        let version = match which {
            Which::Version(id) => id.to_owned(),
            _ => self.labels.borrow().get(which.label())?.clone(),
        };
        let value = self.values.borrow().get(&version)?.clone();
        Some((version, value))
    }
}

impl SecretStore for &Store {
    async fn versions(&self, _: &str) -> Result<Versions, StoreError> {
        let versions = async {
            let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (label, version) in &*self.labels.borrow() {
                let labels = labels.entry(version.clone()).or_default();
                labels.push((*label).to_owned());
            }
            Ok(Versions {
                rotation_enabled: true,
                rotated: None,
                labels,
            })
        };
        self.script.call(versions).await
    }

    async fn read(&self, secret: &str, which: Which<'_>) -> Result<Option<Version>, StoreError> {
        let read = async {
            let found = if secret == self.secret {
                self.labelled(which)
            } else {
                let administrator = self.administrator.clone();
                administrator.map(|document| (OLD.to_owned(), document))
            };
            if let (Which::Pending(token), Some(labelled)) =
                (which, self.labels.borrow().get(which.label()))
                && token != labelled
            {
                return Err(StoreError::Refused {
                    operation: "GetSecretValue",
                    code: "InvalidRequestException".to_owned(),
                    message: "the version has another label".to_owned(),
                });
            }
            Ok(found.map(|(id, document)| Version {
                secret: format!("arn:{secret}"),
                id,
                document,
                form: Form::Text,
                created: None,
            }))
        };
        self.script.call(read).await
    }

    async fn write_pending(
        &self,
        _: &str,
        token: &str,
        _: Option<&SecretString>,
        document: &SecretString,
        _: Form,
    ) -> Result<Written, StoreError> {
        let write = async {
            let mut values = self.values.borrow_mut();
            let stored = values.get(token).map(ExposeSecret::expose_secret);
            Ok(match stored {
                Some(stored) if stored != document.expose_secret() => Written::Conflict,
                Some(_) => Written::Stored,
                None => {
                    self.writes.set(self.writes.get() + 1);
                    values.insert(token.to_owned(), document.clone());
                    Written::Stored
                }
            })
        };
        self.script.call(write).await
    }

    async fn promote(&self, _: &str, token: &str, from: &str) -> Result<(), StoreError> {
        let promote = async {
            let mut labels = self.labels.borrow_mut();
            let current = Which::Current.label();
            is_on(&labels, current, from)?;
            labels.insert(Which::Previous.label(), from.to_owned());
            labels.insert(current, token.to_owned());
            Ok(())
        };
        self.script.call(promote).await
    }

    async fn unstage(&self, _: &str, token: &str) -> Result<(), StoreError> {
        let unstage = async {
            let mut labels = self.labels.borrow_mut();
            let pending = Which::Pending(token).label();
            is_on(&labels, pending, token)?;
            labels.remove(pending);
            Ok(())
        };
        self.script.call(unstage).await
    }
}

/// A label can only be taken from the version that has it.
fn is_on(
    labels: &BTreeMap<&'static str, String>,
    label: &str,
    version: &str,
) -> Result<(), StoreError> {
    match labels.get(label) {
        Some(labelled) if labelled == version => Ok(()),
        _ => Err(StoreError::Refused {
            operation: "UpdateSecretVersionStage",
            code: "InvalidParameterException".to_owned(),
            message: "the label is on another version".to_owned(),
        }),
    }
}
