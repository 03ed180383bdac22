//! The protocol: four steps, one file each.
//!
//! Every step reads the state that it finds, does what is missing, and says in its [`Outcome`] what it found.
//! So each may be repeated, may run twice at once, and may be cut off anywhere: the service then begins again
//! with `createSecret` and the same token.

mod create;
mod finish;
mod set;
mod test;
pub mod versions;

use std::time::SystemTime;

use rand::TryCryptoRng;

use crate::{
    document::Document,
    error::Error,
    event::{RotationEvent, Step},
    password::Policy,
    store::{SecretStore, StoreError, Version, Which},
    target::Target,
};

/// What a step found, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// createSecret: the new credential is stored as AWSPENDING.
    Created,
    /// createSecret: an earlier delivery had stored it; it was left as it is.
    AlreadyCreated,
    /// setSecret: the database now accepts the new password.
    Changed {
        /// When the version that this ends was stored, by the service's clock.
        replaced: Option<SystemTime>,
    },
    /// setSecret: the same, but AWSCURRENT did not log in and AWSPREVIOUS was the way in.
    ChangedByPrevious,
    /// setSecret: an earlier delivery had changed it.
    AlreadyChanged,
    /// testSecret: the new credential logs in.
    LoggedIn,
    /// finishSecret: the new version is AWSCURRENT.
    Promoted,
    /// Any step: the token is AWSCURRENT already, this rotation is over.
    AlreadyCurrent,
}

impl Outcome {
    /// The word for logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::AlreadyCreated => "already created",
            Self::Changed { .. } => "changed",
            Self::ChangedByPrevious => "changed by AWSPREVIOUS",
            Self::AlreadyChanged => "already changed",
            Self::LoggedIn => "logged in",
            Self::Promoted => "promoted",
            Self::AlreadyCurrent => "already current",
        }
    }
}

/// Runs the step that the event asks for.
///
/// `policy` and `rng` make the new password; only createSecret uses them.
///
/// # Errors
///
/// Whatever keeps the step from its end. In no case is a version lost, a label moved, or a password changed
/// that is not stored.
pub async fn run<S: SecretStore, T: Target>(
    store: &S,
    target: &T,
    policy: &Policy,
    rng: &mut impl TryCryptoRng,
    event: &RotationEvent,
) -> Result<Outcome, Error> {
    match event.step {
        Step::Create => create::run(store, target, policy, rng, event).await,
        Step::Set => set::run(store, target, event).await,
        Step::Test => test::run(store, target, event).await,
        Step::Finish => finish::run(store, event).await,
    }
}

/// What GetSecretValue by version id and AWSPENDING came to.
enum Pending {
    Staged(Document),
    /// The token has become AWSCURRENT, and lost AWSPENDING or will.
    AlreadyCurrent,
}

/// Makes of a read of AWSPENDING what the step needs, and asks for the labels only where it failed.
///
/// A read that names both a version and a stage is the same guard as DescribeSecret, for one call less.
async fn pending<S: SecretStore>(
    store: &S,
    event: &RotationEvent,
    read: Result<Option<Version>, StoreError>,
) -> Result<Pending, Error> {
    let which = Which::Pending(&event.token);
    match read {
        Ok(Some(version)) => document(&version, which).map(Pending::Staged),
        // the service refuses the read when the token does not have the label
        Ok(None) | Err(StoreError::Refused { .. }) => {
            let versions = store.versions(&event.secret).await?;
            match versions::standing(&versions, &event.token)? {
                versions::Standing::Current => Ok(Pending::AlreadyCurrent),
                versions::Standing::Pending { .. } => match read {
                    Err(refused) => Err(refused.into()),
                    Ok(_) => Err(Error::NoPendingValue),
                },
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn document(version: &Version, which: Which<'_>) -> Result<Document, Error> {
    Document::parse(&version.document).map_err(|source| Error::Document {
        label: which.label(),
        version: version.id.clone(),
        source,
    })
}

/// The guard against a confused deputy: `other` must name the server, role and database that `current` names.
fn same_server(current: &Document, other: &Document, which: Which<'_>) -> Result<(), Error> {
    match other.differs_from(current) {
        None => Ok(()),
        Some(field) => Err(Error::AnotherServer {
            label: which.label(),
            field,
        }),
    }
}
