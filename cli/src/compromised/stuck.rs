//! Sets a stuck rotation aside, so that another one can begin.
//!
//! RotateSecret and revokeSecret refuse while AWSPENDING is on another version than AWSCURRENT. The version that logs in stays. If the
//! pending version has no value, or if AWSCURRENT logs in, AWSPENDING is removed. If only the pending version logs in, it becomes
//! AWSCURRENT, as in finishSecret.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;

use super::{
    old::{Version, version},
    timeline::Timeline,
};
use crate::{
    aws::{self, explain},
    login::Logins,
    retry::persist,
    secrets::{CURRENT, PENDING},
};

const ACTION: &str = "secretsmanager:UpdateSecretVersionStage";

/// How often to check a decision again: a delayed step may change the password meanwhile.
const LOOKS: usize = 3;

/// The means to set a rotation aside.
pub(super) struct Stuck<'a> {
    pub(super) client: &'a Client,
    pub(super) logins: &'a Logins,
    pub(super) may_log_in: bool,
    pub(super) limit: Duration,
    pub(super) timeline: &'a Timeline,
}

/// Which of the two versions log in, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogsIn {
    Current,
    PendingAlone,
    Neither,
    Unknown,
}

impl Stuck<'_> {
    /// Whether the pending version has no value: then the database does not depend on it, and the label can be removed at once.
    pub(super) async fn has_no_value(&self, secret: &str) -> Result<bool, aws::Error> {
        let pending = version(self.client, secret, PENDING, self.limit).await?;
        Ok(pending.is_none())
    }

    /// Removes AWSPENDING from this version, or makes the version AWSCURRENT.
    ///
    /// # Errors
    ///
    /// Neither is safe, or the call failed.
    pub(super) async fn set_aside(&self, secret: &str, pending: &str) -> Result<(), String> {
        for _ in 0..LOOKS {
            let (current, staged) = self.read(secret).await.map_err(|error| error.to_string())?;
            let Some(current) = current else {
                return Err(
                    "there is no AWSCURRENT version: store one, then run the command again"
                        .to_owned(),
                );
            };
            if current.id == pending {
                return Ok(());
            }
            let logs_in = match &staged {
                None => LogsIn::Current,
                Some(staged) => self.ask(&current, staged).await,
            };
            match (logs_in, staged) {
                (LogsIn::Current, staged) => {
                    self.take_off(secret, pending).await?;
                    self.timeline
                        .add(format!("the rotation to version {pending} is set aside"));
                    // a step stores the value before it changes the password, so without a value no step has changed it
                    let Some(staged) = staged else { return Ok(()) };
                    if self.ask(&current, &staged).await != LogsIn::PendingAlone {
                        return Ok(());
                    }
                }
                (LogsIn::PendingAlone, _) => {
                    self.promote(secret, pending, &current.id).await?;
                    self.timeline.add(format!(
                        "only version {pending} logs in: it is AWSCURRENT now, as after finishSecret"
                    ));
                    return Ok(());
                }
                (LogsIn::Neither, _) => {
                    return Err("neither AWSCURRENT nor AWSPENDING logs in: run rotatectl doctor, and give the role its \
                                password again"
                        .to_owned());
                }
                (LogsIn::Unknown, _) => {
                    return Err("it is unknown whether AWSCURRENT logs in: run rotatectl doctor on a machine that can reach the database"
                        .to_owned());
                }
            }
        }
        Ok(())
    }

    async fn read(&self, secret: &str) -> Result<(Option<Version>, Option<Version>), aws::Error> {
        let current = version(self.client, secret, CURRENT, self.limit).await?;
        let pending = version(self.client, secret, PENDING, self.limit).await?;
        Ok((current, pending))
    }

    async fn ask(&self, current: &Version, pending: &Version) -> LogsIn {
        if !self.may_log_in {
            return LogsIn::Unknown;
        }
        let logs_in = async |version: &Version| {
            let document = version.document().ok()?;
            self.logins.accepts(&document).await.ok()
        };
        match logs_in(current).await {
            Some(true) => LogsIn::Current,
            Some(false) => match logs_in(pending).await {
                Some(true) => LogsIn::PendingAlone,
                Some(false) => LogsIn::Neither,
                None => LogsIn::Unknown,
            },
            None => LogsIn::Unknown,
        }
    }

    async fn take_off(&self, secret: &str, pending: &str) -> Result<(), String> {
        let taken = persist(self.limit, || async {
            let request = self.client.update_secret_version_stage();
            let request = request.secret_id(secret).version_stage(PENDING);
            let taken = request.remove_from_version_id(pending).send().await;
            taken.map(drop).map_err(|error| explain(ACTION, error))
        });
        taken.await.map_err(|error| error.to_string())
    }

    async fn promote(&self, secret: &str, pending: &str, current: &str) -> Result<(), String> {
        let promoted = persist(self.limit, || async {
            let request = self.client.update_secret_version_stage();
            let request = request.secret_id(secret).version_stage(CURRENT);
            let request = request.move_to_version_id(pending);
            let promoted = request.remove_from_version_id(current).send().await;
            promoted.map(drop).map_err(|error| explain(ACTION, error))
        });
        promoted.await.map_err(|error| error.to_string())
    }
}
