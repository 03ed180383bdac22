//! The protocol: four steps, one file each, and two more for operators.
//!
//! Every step reads the current state, does what is missing, and reports in its [`Outcome`] what it found. So a step may be
//! repeated, may run twice at once, and may be cut off anywhere: the service then begins again with `createSecret` and the same
//! token.

mod create;
mod finish;
mod held;
mod memory;
pub mod reversal;
mod revoke;
mod rollback;
mod set;
mod test;
pub mod versions;

use std::time::SystemTime;

pub use memory::Memory;

use rand::TryCryptoRng;

use crate::{
    document::{Document, Overlap},
    engine::{Ended, Engine, EngineError},
    error::Error,
    event::{RotationEvent, Step},
    password::Policy,
    settings::Administrators,
    store::{SecretStore, StoreError, Version, Versions, Which},
};

/// How often a step begins when its reads lag.
const READS: usize = 3;

/// Runs a step again when Secrets Manager's answers contradict each other. Nothing has been done by then.
async fn while_reads_lag(
    mut once: impl AsyncFnMut() -> Result<Outcome, Error>,
) -> Result<Outcome, Error> {
    for _ in 1..READS {
        match once().await {
            Err(Error::Refused(versions::Refusal::Lagging)) => {}
            done => return done,
        }
    }
    once().await
}

/// What a step found, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// createSecret: the new credential is stored as AWSPENDING.
    Created,
    /// createSecret: an earlier delivery had stored it; it was left as it is.
    AlreadyCreated,
    /// setSecret: the database now accepts the new password.
    Changed {
        /// Under single user: when the version that this ends was stored, by the service's clock.
        replaced: Option<SystemTime>,
    },
    /// setSecret: the same, but the old password of that user was promised for longer.
    ChangedEarly {
        /// Until when, by the database server's clock.
        promised: SystemTime,
    },
    /// setSecret: the same, but AWSCURRENT did not log in, and AWSPREVIOUS did.
    ChangedByPrevious,
    /// setSecret: an earlier delivery had changed it.
    AlreadyChanged,
    /// testSecret: the new credential logs in.
    LoggedIn,
    /// finishSecret: the new version is AWSCURRENT.
    Promoted {
        /// Under alternating users: when the version that is no longer current was stored, by the service's clock.
        replaced: Option<SystemTime>,
    },
    /// revokeSecret: what came before AWSCURRENT no longer logs in, and its sessions are ended.
    Revoked {
        /// How many sessions, and how long a login that had begun may still succeed.
        ended: Ended,
    },
    /// revokeSecret: no credential before AWSCURRENT could be ended.
    NothingToRevoke,
    /// rollbackSecret: AWSPREVIOUS is AWSCURRENT again, and its password has no end.
    RolledBack,
    /// Any step: the token is already AWSCURRENT; this rotation is over.
    AlreadyCurrent,
}

impl Outcome {
    /// The word for logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::AlreadyCreated => "already created",
            Self::Changed { .. } => "changed",
            Self::ChangedEarly { .. } => "changed within an overlap",
            Self::ChangedByPrevious => "changed by AWSPREVIOUS",
            Self::AlreadyChanged => "already changed",
            Self::LoggedIn => "logged in",
            Self::Promoted { .. } => "promoted",
            Self::Revoked { .. } => "revoked",
            Self::NothingToRevoke => "nothing to revoke",
            Self::RolledBack => "rolled back",
            Self::AlreadyCurrent => "already current",
        }
    }
}

/// What the steps work with.
#[derive(Debug)]
pub struct Rotation<'a, S, T> {
    /// Where the versions are.
    pub store: &'a S,
    /// The system where they log in.
    pub engine: &'a T,
    /// The rules for a new password.
    pub policy: &'a Policy,
    /// Which secrets `masterarn` may name.
    pub administrators: &'a Administrators,
    /// How long the old one of two users, or of two keys, stays valid if its document does not say so.
    pub overlap: Overlap,
    /// When the step began.
    pub now: SystemTime,
    /// What this environment has seen.
    pub memory: &'a Memory,
}

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    /// Runs the step that the event asks for. Only createSecret uses `rng`.
    ///
    /// # Errors
    ///
    /// Any error that stops the step. No error loses a version, moves a label, or changes a password that is not stored.
    pub async fn run(
        &self,
        rng: &mut impl TryCryptoRng,
        event: &RotationEvent,
    ) -> Result<Outcome, Error> {
        // boxed: a step's future is large, and a thread's stack may be small
        match event.step {
            Step::Create => Box::pin(self.create(rng, event)).await,
            Step::Set => Box::pin(self.set(event)).await,
            Step::Test => Box::pin(self.test(event)).await,
            Step::Finish => Box::pin(self.finish(event)).await,
            Step::Revoke => Box::pin(self.revoke(event)).await,
            Step::Rollback => Box::pin(self.rollback(event)).await,
        }
    }

    /// The administrator's credential, which has its own secret.
    async fn administrator(&self, secret: &str, rotated: &Document) -> Result<Document, Error> {
        let version = self.store.read(secret, Which::Current).await?;
        let version = version.ok_or_else(|| Error::NoAdministrator {
            secret: secret.to_owned(),
        })?;
        if !self.administrators.admit(&version.secret, rotated) {
            return Err(Error::AdministratorNotListed {
                secret: version.secret,
            });
        }
        Document::parse_administrator(&version.document, rotated, T::ENGINES).map_err(|source| {
            Error::Administrator {
                secret: secret.to_owned(),
                source,
            }
        })
    }

    /// Turns a read of AWSPENDING into what the step needs. It reads the labels only if that read failed.
    ///
    /// A read that names both a version and a stage is the same guard as DescribeSecret, and saves a call.
    async fn pending(
        &self,
        event: &RotationEvent,
        read: Result<Option<Version>, StoreError>,
    ) -> Result<Pending, Error> {
        match read {
            Ok(Some(version)) => document::<T>(&version, Which::Pending(&event.token))
                .map(Box::new)
                .map(Pending::Staged),
            // the service refuses the read when the token does not have the label
            Ok(None) | Err(StoreError::Refused { .. }) => {
                let versions = self.store.versions(&event.secret).await?;
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

    /// The document of the token's version, if it fits AWSCURRENT's; `None` if the token is now AWSCURRENT.
    async fn staged(
        &self,
        event: &RotationEvent,
        current: &Document,
    ) -> Result<Option<Document>, Error> {
        let which = Which::Pending(&event.token);
        let read = self.store.read(&event.secret, which).await;
        match self.pending(event, read).await? {
            Pending::AlreadyCurrent => Ok(None),
            Pending::Staged(staged) => fits(current, *staged, which).map(Some),
        }
    }

    /// The state that an operator's step begins with.
    async fn resting(&self, event: &RotationEvent) -> Result<Resting, Error> {
        let (versions, version, previous) = tokio::join!(
            self.store.versions(&event.secret),
            self.store.read(&event.secret, Which::Current),
            self.store.read(&event.secret, Which::Previous),
        );
        let versions = versions?;
        versions::at_rest(&versions)?;
        let version = version?.ok_or(versions::Refusal::NoCurrentVersion)?;
        versions::up_to_date(&versions, Which::Current, &version.id)?;
        let current = document::<T>(&version, Which::Current)?;
        Ok(Resting {
            versions,
            version,
            current,
            previous,
        })
    }

    /// The labels, if no rotation is pending and these two versions still have AWSCURRENT and AWSPREVIOUS: an operator's step
    /// that was delayed must not act on what has changed since.
    async fn still(
        &self,
        event: &RotationEvent,
        current: &str,
        previous: &str,
    ) -> Result<Versions, Error> {
        let versions = self.store.versions(&event.secret).await?;
        versions::at_rest(&versions)?;
        versions::up_to_date(&versions, Which::Current, current)?;
        versions::up_to_date(&versions, Which::Previous, previous)?;
        Ok(versions)
    }

    /// The document of the other user of the pair, without its password.
    fn of_the_other(&self, document: &Document) -> Document {
        document.with_user(document.next_user(), "".into(), self.overlap(document))
    }

    fn overlap(&self, document: &Document) -> Overlap {
        document.overlap().unwrap_or(self.overlap)
    }
}

/// A secret that is not being rotated.
struct Resting {
    versions: Versions,
    /// AWSCURRENT, and what it holds.
    version: Version,
    current: Document,
    /// The result of reading AWSPREVIOUS: not every step needs it.
    previous: Result<Option<Version>, StoreError>,
}

/// The result of GetSecretValue by version id and AWSPENDING.
enum Pending {
    Staged(Box<Document>),
    /// The token has become AWSCURRENT, and has lost AWSPENDING or will lose it.
    AlreadyCurrent,
}

fn document<T: Engine>(version: &Version, which: Which<'_>) -> Result<Document, Error> {
    Document::parse_for(&version.document, T::ENGINES).map_err(|source| Error::Document {
        label: which.label(),
        version: version.id.clone(),
        source,
    })
}

/// The guard against a confused deputy: a version must name the server that AWSCURRENT names, and its user or the next one.
fn fits(current: &Document, other: Document, which: Which<'_>) -> Result<Document, Error> {
    let other = same_server(current, other, which)?;
    let (user, expected) = (other.username(), current.next_user());
    if current.api().is_some() || [current.username(), &expected].contains(&user) {
        return Ok(other);
    }
    Err(EngineError::AnotherUser {
        label: which.label(),
        user: user.to_owned(),
        expected,
    }
    .into())
}

/// `other` must name the server, role and database that `current` names. Only `current` decides whether to use TLS.
fn same_server(current: &Document, other: Document, which: Which<'_>) -> Result<Document, Error> {
    match other.differs_from(current) {
        None => Ok(other.with_tls_of(current)),
        Some(field) => Err(Error::AnotherServer {
            label: which.label(),
            field,
        }),
    }
}
