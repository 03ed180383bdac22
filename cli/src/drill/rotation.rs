//! RotateSecret, and what is seen of the rotation from outside: which version has which label, and since when.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use local::{
    application::{Access, Application},
    rehearsal::{Rotated, Step},
};

use super::{Error, progress::Progress};
use crate::aws::explain;

/// How often DescribeSecret is asked.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// A rotation under way.
pub(super) struct Rotation<'a> {
    access: &'a Access,
    progress: &'a Progress<'a>,
    version: String,
    begun: Instant,
    steps: Vec<Step>,
}

/// The secret's name, if it rotates.
pub(super) async fn name(access: &Access) -> Result<String, Error> {
    let described = describe(access).await?;
    if described.rotation_enabled() != Some(true) {
        return Err(Error::NotEnabled {
            secret: access.secret.clone(),
        });
    }
    Ok(described.name().unwrap_or(&access.secret).to_owned())
}

impl<'a> Rotation<'a> {
    pub(super) async fn begin(
        access: &'a Access,
        progress: &'a Progress<'a>,
    ) -> Result<Self, Error> {
        let begun = Instant::now();
        let mut rotation = Self {
            access,
            progress,
            version: String::new(),
            begun,
            steps: Vec::new(),
        };
        rotation.mark("RotateSecret");
        let answer = access
            .service
            .rotate_secret()
            .secret_id(&access.secret)
            .send()
            .await;
        let answer = answer.map_err(|error| explain("secretsmanager:RotateSecret", error))?;
        rotation.version = answer.version_id().unwrap_or_default().to_owned();
        Ok(rotation)
    }

    /// Waits until AWSCURRENT has moved to the new version.
    pub(super) async fn end(
        mut self,
        timeout: Duration,
        application: &Application,
    ) -> Result<Rotated, Error> {
        let mut staged = false;
        // when the label was last seen elsewhere: it has not moved before that
        let mut finishing = SystemTime::now();
        loop {
            let asked = SystemTime::now();
            let described = describe(self.access).await?;
            let labels = labels(&described, &self.version);
            if labels.iter().any(|label| label == "AWSCURRENT") {
                self.mark("AWSCURRENT");
                return Ok(Rotated {
                    version: self.version,
                    finishing,
                    steps: self.steps,
                });
            }
            finishing = asked;
            let pending = labels.iter().any(|label| label == "AWSPENDING");
            if pending && !staged {
                self.mark("AWSPENDING");
            }
            if staged && !pending {
                return Err(Error::Abandoned {
                    secret: self.access.secret.clone(),
                    version: self.version,
                });
            }
            staged |= pending;
            if self.begun.elapsed() > timeout {
                return Err(Error::NotEnded {
                    secret: self.access.secret.clone(),
                    timeout,
                    said: if staged {
                        "AWSPENDING is staged"
                    } else {
                        "AWSPENDING was never staged"
                    },
                    requests: application.requests(),
                    failures: application.failures(),
                });
            }
            self.progress.show();
            tokio::time::sleep(POLL).await;
        }
    }

    fn mark(&mut self, name: &str) {
        self.progress.say(name);
        self.steps.push(Step {
            name: name.to_owned(),
            began: SystemTime::now(),
            took: Duration::ZERO,
        });
    }
}

async fn describe(access: &Access) -> Result<DescribeSecretOutput, Error> {
    let described = access
        .service
        .describe_secret()
        .secret_id(&access.secret)
        .send()
        .await;
    Ok(described.map_err(|error| explain("secretsmanager:DescribeSecret", error))?)
}

fn labels<'a>(described: &'a DescribeSecretOutput, version: &str) -> &'a [String] {
    let versions = described.version_ids_to_stages();
    versions
        .and_then(|versions| versions.get(version))
        .map_or(&[], Vec::as_slice)
}
