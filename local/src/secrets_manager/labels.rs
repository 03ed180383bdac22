//! The rules about versions and staging labels. They have their own module, because the whole rotation protocol depends on them.
//!
//! It has no IO and no clock: a test of the rotation function can build a store on [`Versions`] alone. Each rule names its source:
//! "docs" is the API reference of AWS Secrets Manager, "recorded" is a published answer of the real service.
//!
//! ```
//! use local::secrets_manager::labels::{Versions, PENDING};
//!
//! let mut versions = Versions::default();
//! versions.put("first", "old password", None)?;
//! versions.stage("second")?;
//! assert!(versions.read(Some("second"), Some(PENDING)).is_err(), "staged, but without a value");
//!
//! versions.put("second", "new password", Some(&[PENDING]))?;
//! versions.move_label("AWSCURRENT", Some("second"), Some("first"))?;
//! assert_eq!(versions.read(None, None)?, ("second", &"new password"));
//! # Ok::<(), local::secrets_manager::labels::LabelError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;

/// The label of the version that applications read.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version that was current before it.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of the version that a rotation is making.
pub const PENDING: &str = "AWSPENDING";

/// What happens to AWSPENDING when its version becomes AWSCURRENT.
///
/// Docs: "might be attached to the same version as the AWSCURRENT version, or it might not be attached to any version". Recorded: it
/// stays, so that is the default. A maintainer of AWS's functions says that the service drops it after finishSecret: then the label is
/// first kept and later dropped, which are two of these states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Promotion {
    /// AWSPENDING stays on its version, also when AWSCURRENT moves later.
    #[default]
    KeepsPending,
    /// AWSPENDING moves with AWSCURRENT.
    MovesPending,
    /// AWSPENDING is removed.
    DropsPending,
}

impl Promotion {
    /// All states are legal, so code that depends on labels is tested with each.
    pub const ALL: [Self; 3] = [Self::KeepsPending, Self::MovesPending, Self::DropsPending];
}

/// Why a rule refuses a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// There is no version with this id, or it is staged and has no value yet.
    #[error("no value for the version {0}")]
    NoValueForVersion(String),
    /// The label is attached to no version, or to one without a value yet.
    #[error("no value for the staging label {0}")]
    NoValueForLabel(String),
    /// A read named a version and a label, but the label is not attached to that version.
    #[error("the label is not attached to the version")]
    Mismatch,
    /// The token is the id of a version with another value.
    #[error("the token {0} is in use for another value")]
    TokenInUse(String),
    /// AWSPENDING is on a version other than the current one.
    #[error("a rotation is in progress, to version {0}")]
    RotationInProgress(String),
    /// A request moves a label without naming the version that has it.
    #[error("the label {label} is attached to {attached_to}, which must be named")]
    RemoveFromMissing {
        /// The label to move.
        label: String,
        /// The version that has it.
        attached_to: String,
    },
    /// The version in the request does not have the label: another client was faster.
    #[error("the label {label} is not attached to {claimed}")]
    RemoveFromMismatch {
        /// The label to move.
        label: String,
        /// The version in the request.
        claimed: String,
    },
    /// A request removes AWSCURRENT without naming a successor.
    #[error("AWSCURRENT can be moved, not removed")]
    CurrentCannotBeRemoved,
    /// The request names neither a version to move to nor one to remove from.
    #[error("neither MoveToVersionId nor RemoveFromVersionId")]
    NothingToDo,
}

/// One version: its labels, and its value once it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version<V> {
    id: String,
    value: Option<V>,
    labels: BTreeSet<String>,
}

/// All versions of one secret, in the order of their creation.
///
/// `V` is the type of a value. Equal values make a repeated request, different ones a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions<V> {
    versions: Vec<Version<V>>,
    promotion: Promotion,
}

impl<V> Default for Versions<V> {
    fn default() -> Self {
        Self {
            versions: Vec::new(),
            promotion: Promotion::default(),
        }
    }
}

impl<V: PartialEq> Versions<V> {
    /// Sets which of the legal end states a promotion has.
    pub fn set_promotion(&mut self, promotion: Promotion) {
        self.promotion = promotion;
    }

    /// PutSecretValue: gives the version `token` its value and labels. Without `labels` it becomes current (docs).
    ///
    /// The same token with the same value changes nothing, not even labels; then this returns false (docs). A version that becomes current
    /// in this way removes AWSPENDING from any other version: a value that is stored by hand abandons the rotation (docs; recorded for a
    /// promoted version that still had the label).
    ///
    /// # Errors
    ///
    /// [`LabelError::TokenInUse`] if the version has another value.
    pub fn put(
        &mut self,
        token: &str,
        value: V,
        labels: Option<&[&str]>,
    ) -> Result<bool, LabelError> {
        match self.find(token).map(|version| &version.value) {
            Some(Some(present)) if *present == value => return Ok(false),
            Some(Some(_)) => return Err(LabelError::TokenInUse(token.to_owned())),
            Some(None) | None => {}
        }
        let makes_current = match (self.current(), labels) {
            (None, _) | (_, None) => true, // the first value of a secret always becomes current (docs)
            (Some(_), Some(labels)) => labels.contains(&CURRENT),
        };
        self.entry(token).value = Some(value);
        for label in labels
            .unwrap_or_default()
            .iter()
            .filter(|label| **label != CURRENT)
        {
            self.attach(label, token);
        }
        if makes_current {
            if self
                .labelled(PENDING)
                .is_some_and(|pending| pending != token)
            {
                self.detach(PENDING);
            }
            self.promote(token);
        }
        self.drop_empty();
        Ok(true)
    }

    /// What RotateSecret does before createSecret: it attaches AWSPENDING to a version without a value (docs).
    ///
    /// Staging the pending version again changes nothing.
    ///
    /// # Errors
    ///
    /// [`LabelError::RotationInProgress`] if AWSPENDING is on a version that is neither this nor the current one (docs);
    /// [`LabelError::TokenInUse`] if the token is the id of an old version.
    pub fn stage(&mut self, token: &str) -> Result<(), LabelError> {
        match self.in_progress() {
            Some(pending) if pending == token => return Ok(()),
            Some(pending) => return Err(LabelError::RotationInProgress(pending.to_owned())),
            None if self.find(token).is_some() => {
                return Err(LabelError::TokenInUse(token.to_owned()));
            }
            None => {}
        }
        self.entry(token);
        self.attach(PENDING, token);
        Ok(())
    }

    /// UpdateSecretVersionStage: a compare-and-swap of one label. Only a move of AWSCURRENT may move another label: see [`Promotion`].
    ///
    /// If the label is attached to another version, `remove_from` must name that version (docs). Moving AWSCURRENT also moves AWSPREVIOUS
    /// to the version that was current (docs). A version without a value cannot get AWSCURRENT (undocumented; we chose the stricter
    /// reading).
    ///
    /// # Errors
    ///
    /// The last five of [`LabelError`], and [`LabelError::NoValueForVersion`] if `move_to` does not exist.
    pub fn move_label(
        &mut self,
        label: &str,
        move_to: Option<&str>,
        remove_from: Option<&str>,
    ) -> Result<(), LabelError> {
        let holder = self.labelled(label).map(str::to_owned);
        if let Some(claimed) = remove_from
            && holder.as_deref() != Some(claimed)
        {
            return Err(LabelError::RemoveFromMismatch {
                label: label.to_owned(),
                claimed: claimed.to_owned(),
            });
        }
        match move_to {
            None if remove_from.is_none() => return Err(LabelError::NothingToDo),
            None if label == CURRENT => return Err(LabelError::CurrentCannotBeRemoved),
            None => self.detach(label),
            Some(target) => {
                let has_value = self.find(target).map(|version| version.value.is_some());
                if has_value.is_none() || (label == CURRENT && has_value == Some(false)) {
                    return Err(LabelError::NoValueForVersion(target.to_owned()));
                }
                if let (Some(attached_to), None) = (&holder, remove_from)
                    && attached_to != target
                {
                    return Err(LabelError::RemoveFromMissing {
                        label: label.to_owned(),
                        attached_to: attached_to.clone(),
                    });
                }
                if label == CURRENT {
                    self.promote(target);
                } else {
                    self.attach(label, target);
                }
            }
        }
        self.drop_empty();
        Ok(())
    }

    /// GetSecretValue: by version, by label, by both if they agree, or the current version (docs).
    ///
    /// # Errors
    ///
    /// The first three of [`LabelError`].
    pub fn read(&self, id: Option<&str>, label: Option<&str>) -> Result<(&str, &V), LabelError> {
        let label = if id.is_none() {
            Some(label.unwrap_or(CURRENT))
        } else {
            label
        };
        let (version, missing) = match (id, label) {
            (Some(id), _) => (self.find(id), LabelError::NoValueForVersion(id.to_owned())),
            (None, label) => {
                let label = label.unwrap_or(CURRENT);
                let version = self.labelled(label).and_then(|id| self.find(id));
                (version, LabelError::NoValueForLabel(label.to_owned()))
            }
        };
        let Some(Version {
            id,
            value: Some(value),
            labels,
        }) = version
        else {
            return Err(missing);
        };
        if label.is_some_and(|label| !labels.contains(label)) {
            return Err(LabelError::Mismatch);
        }
        Ok((id, value))
    }

    /// Removes a version with its value and labels, after a rotation that only tested its configuration.
    pub fn remove(&mut self, token: &str) {
        self.versions.retain(|version| version.id != token);
    }

    /// Removes the oldest versions without a label until `limit` versions are left. `may_go` must allow each.
    ///
    /// Docs: about 100 versions are kept, and all that are younger than 24 hours. The caller knows the ages.
    pub fn purge(&mut self, limit: usize, may_go: impl Fn(&str) -> bool) {
        while self.versions.len() > limit {
            let oldest = self
                .versions
                .iter()
                .position(|version| version.labels.is_empty() && may_go(&version.id));
            let Some(oldest) = oldest else { return };
            self.versions.remove(oldest);
        }
    }

    /// The version with AWSCURRENT.
    pub fn current(&self) -> Option<&str> {
        self.labelled(CURRENT)
    }

    /// The version that a rotation is making: it has AWSPENDING, and is not current.
    pub fn in_progress(&self) -> Option<&str> {
        self.labelled(PENDING)
            .filter(|pending| self.current() != Some(pending))
    }

    /// The version with this label.
    pub fn labelled(&self, label: &str) -> Option<&str> {
        self.versions
            .iter()
            .find(|version| version.labels.contains(label))
            .map(|version| version.id.as_str())
    }

    /// Whether the version exists, with a value or without.
    pub fn contains(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// The labels of a version, in alphabetical order as in the service's answers (recorded).
    pub fn labels(&self, id: &str) -> Vec<String> {
        self.find(id)
            .map(|version| version.labels.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The ids of all versions, oldest first, also without a label.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.versions.iter().map(|version| version.id.as_str())
    }

    /// `VersionIdsToStages` of DescribeSecret: the versions with a label, also staged ones without a value (docs).
    pub fn stages(&self) -> BTreeMap<String, Vec<String>> {
        let labelled = self
            .versions
            .iter()
            .filter(|version| !version.labels.is_empty());
        labelled
            .map(|version| (version.id.clone(), version.labels.iter().cloned().collect()))
            .collect()
    }

    fn promote(&mut self, target: &str) {
        match self.current().map(str::to_owned) {
            Some(left) if left == target => {}
            Some(left) => {
                self.attach(CURRENT, target);
                self.attach(PREVIOUS, &left);
                if self.promotion == Promotion::MovesPending
                    && self.labelled(PENDING) == Some(&left)
                {
                    self.attach(PENDING, target);
                }
            }
            None => self.attach(CURRENT, target),
        }
        if self.promotion == Promotion::DropsPending && self.labelled(PENDING) == Some(target) {
            self.detach(PENDING);
        }
    }

    fn attach(&mut self, label: &str, id: &str) {
        self.detach(label);
        self.entry(id).labels.insert(label.to_owned());
    }

    fn detach(&mut self, label: &str) {
        for version in &mut self.versions {
            version.labels.remove(label);
        }
    }

    /// Removes a staged version that lost its label before it got a value: no answer shows it.
    fn drop_empty(&mut self) {
        self.versions
            .retain(|version| version.value.is_some() || !version.labels.is_empty());
    }

    fn find(&self, id: &str) -> Option<&Version<V>> {
        self.versions.iter().find(|version| version.id == id)
    }

    fn entry(&mut self, id: &str) -> &mut Version<V> {
        let position = self
            .versions
            .iter()
            .position(|version| version.id == id)
            .unwrap_or_else(|| {
                self.versions.push(Version {
                    id: id.to_owned(),
                    value: None,
                    labels: BTreeSet::new(),
                });
                self.versions.len() - 1
            });
        &mut self.versions[position]
    }
}

#[cfg(test)]
mod tests;
