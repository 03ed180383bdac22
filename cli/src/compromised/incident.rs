//! The containment of a leak, step by step.
//!
//! A failure does not stop it: it is recorded as a problem, and the next steps follow.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use tokio::time::timeout;

use super::{
    CompromisedArguments,
    old::{self, Old, Version},
    stuck::Stuck,
    timeline::Timeline,
};
use crate::{
    aws,
    follow::{self, Rotation, Rotations},
    login::Logins,
    operator::{self, Operator},
    retry::persist,
    secrets::{CURRENT, Strategy},
    terminal::{span, took},
};

/// How long the rotation waits for the first logins with old credentials. A login takes milliseconds. A server that cannot be reached
/// from here must not delay the containment.
const HEAD_START: Duration = Duration::from_secs(3);

/// How often to begin one rotation: the first may have to be set aside, and another one may come between.
const ATTEMPTS: usize = 4;

/// A leak, and the means to contain it.
pub(super) struct Incident<'a> {
    pub(super) arguments: &'a CompromisedArguments,
    pub(super) secret: &'a str,
    pub(super) function: &'a str,
    /// None (unknown) if no value could be read.
    pub(super) strategy: Option<Strategy>,
    pub(super) rotations: &'a Rotations,
    pub(super) secrets: &'a Client,
    pub(super) operator: &'a Operator,
    pub(super) logins: &'a Logins,
    pub(super) timeline: &'a Timeline,
}

impl Incident<'_> {
    /// Rotates, revokes and proves it; for alternating users twice.
    pub(super) async fn contain(&self, versions: &[Version]) {
        let timeline = self.timeline;
        let may_log_in = !self.arguments.no_login;
        let mut old = Old::new(versions, self.logins, may_log_in, timeline);
        {
            let mut before = std::pin::pin!(old.before());
            match timeout(HEAD_START, &mut before).await {
                Ok(()) => self.first_round().await,
                // slower answers may come during the rotation
                Err(_) => drop(tokio::join!(before, self.first_round())),
            }
        }
        old.look().await;
        self.revoke().await;
        old.look().await;
        // both rounds for an unknown strategy: a second rotation does no harm to a single user
        if !matches!(self.strategy, Some(Strategy::SingleUser | Strategy::ApiKey)) {
            self.rotate().await;
            self.revoke().await;
            old.look().await;
        }

        let users = old.working();
        if !users.is_empty() {
            timeline.problem(format!(
                "the credential of {} that was stored before still works: if the rotations above succeeded, they changed another \
                 credential; end this one with ALTER ROLE … PASSWORD NULL, or delete the key at its service",
                users.join(" and of ")
            ));
        }
        if may_log_in {
            self.prove_current().await;
        }
        if timeline.problems().is_empty() {
            timeline.conclude();
        }
    }

    async fn first_round(&self) {
        // the service may have no room for another key while the key before AWSCURRENT exists; and that key has leaked too
        if self.strategy == Some(Strategy::ApiKey) && self.at_rest().await {
            self.revoke().await;
        }
        self.rotate().await;
    }

    /// Whether no rotation is in progress, as far as this can be known.
    async fn at_rest(&self) -> bool {
        match self.pending().await {
            Ok(pending) => pending.is_none(),
            Err(_) => true, // the function will check again
        }
    }

    async fn pending(&self) -> Result<Option<String>, aws::Error> {
        let described = persist(self.arguments.give_up_after, || {
            self.rotations.describe(self.secret)
        });
        let described = described.await?;
        Ok(follow::pending(&described).map(str::to_owned))
    }

    /// Begins a rotation and follows it to its end. A rotation in progress is completed first, or set aside.
    async fn rotate(&self) {
        for attempt in 1..=ATTEMPTS {
            match self.one_rotation().await {
                Ok(Came::New) => return,
                Ok(Came::UnderWay) => {
                    // its version was made before, so it may have leaked too
                    if self.strategy == Some(Strategy::ApiKey) {
                        self.revoke().await;
                    }
                }
                Ok(Came::SetAside) => self.revoke().await,
                Err(problem) if attempt == ATTEMPTS || !problem.passes => {
                    return self.timeline.problem(problem.text);
                }
                Err(problem) => self.timeline.add(problem.text),
            }
        }
        let all = format!(
            "{ATTEMPTS} rotations were in progress or set aside, one after the other: run the command again"
        );
        self.timeline.problem(all);
    }

    async fn one_rotation(&self) -> Result<Came, Problem> {
        let stuck = Stuck {
            client: self.secrets,
            logins: self.logins,
            may_log_in: !self.arguments.no_login,
            limit: self.arguments.give_up_after,
            timeline: self.timeline,
        };
        if let Some(pending) = self.pending().await?
            && stuck.has_no_value(self.secret).await?
        {
            self.timeline.add(format!(
                "a rotation to version {pending} is in progress, and its version has no value"
            ));
            let aside = stuck.set_aside(self.secret, &pending).await;
            return aside.map(|()| Came::SetAside).map_err(Problem::stays);
        }
        let rotation = self.begin().await?;
        match self.follow(&rotation).await {
            Ok(()) if rotation.resumed => Ok(Came::UnderWay),
            Ok(()) => Ok(Came::New),
            Err(error) => {
                self.timeline.add(format!(
                    "the rotation to version {} did not end: {error}",
                    rotation.version
                ));
                match self.pending().await? {
                    Some(pending) if pending == rotation.version => {
                        let aside = stuck.set_aside(self.secret, &pending).await;
                        aside.map(|()| Came::SetAside).map_err(|reason| {
                            Problem::stays(format!(
                                "not rotated: {error}; it cannot be set aside: {reason}"
                            ))
                        })
                    }
                    _ => Err(Problem::passes(format!("not rotated: {error}"))),
                }
            }
        }
    }

    async fn begin(&self) -> Result<Rotation, Problem> {
        let refused = |error: follow::Error| Problem {
            passes: !error.is_known(),
            text: format!("not rotated: {error}"),
        };
        let rotation = self.rotations.begin(self.secret).await.map_err(refused)?;
        let version = &rotation.version;
        self.timeline.add(if rotation.resumed {
            format!("a rotation to version {version} is in progress: it is completed first")
        } else {
            format!("the rotation to version {version} begins")
        });
        Ok(rotation)
    }

    async fn follow(&self, rotation: &Rotation) -> Result<(), follow::Error> {
        let rotated = self.rotations.follow(rotation, |_| {}).await?;
        self.timeline.add(format!(
            "version {} is AWSCURRENT, after {}",
            rotation.version,
            took(rotated.took)
        ));
        Ok(())
    }

    /// Invokes the function to revoke the credential before AWSCURRENT.
    async fn revoke(&self) {
        if !self.arguments.grace.is_zero() {
            let grace = span(self.arguments.grace);
            self.timeline
                .add(format!("applications have {grace} to change over"));
            tokio::time::sleep(self.arguments.grace).await;
        }
        let revoked = persist(self.arguments.give_up_after, || async {
            match self.operator.revoke(self.secret, self.function).await {
                Ok(revoked) => Ok(Ok(revoked)),
                Err(operator::Error::Aws(error)) => Err(error),
                Err(failed) => Ok(Err(failed)),
            }
        });
        match revoked.await {
            Ok(Ok(revoked)) => {
                self.timeline.sessions_ended(revoked.sessions_ended);
                let what = format!("the credential before AWSCURRENT: {revoked}");
                self.timeline.add(what);
            }
            Ok(Err(failed)) => self.timeline.problem(failed.to_string()),
            Err(error) => self.timeline.problem(format!(
                "the credential before AWSCURRENT is not revoked, or it is unknown whether it is: {error}"
            )),
        }
    }

    async fn prove_current(&self) {
        let limit = self.arguments.give_up_after;
        let current = match old::version(self.secrets, self.secret, CURRENT, limit).await {
            Ok(Some(current)) => current,
            Ok(None) => return self.timeline.problem("no version is AWSCURRENT"),
            Err(error) => return self.timeline.problem(error.to_string()),
        };
        let Ok(document) = current.document() else {
            return; // the function reads it by the same rules, and has reported the error
        };
        match self.logins.accepts(&document).await {
            Ok(true) => self.timeline.add(format!(
                "{} logs in with version {}, AWSCURRENT",
                document.username(),
                current.id
            )),
            Ok(false) => self.timeline.problem(
                "AWSCURRENT does not log in: someone has changed the password in the meantime; run rotatectl doctor",
            ),
            // the function has already logged in with it, in testSecret and before the revocation
            Err(_) => {}
        }
    }
}

/// How a rotation ended.
enum Came {
    /// It began with this command.
    New,
    /// It had begun before this command.
    UnderWay,
    /// It did not end; it was set aside.
    SetAside,
}

/// Why the rotation failed, and whether the next attempt may succeed.
struct Problem {
    text: String,
    passes: bool,
}

impl Problem {
    fn stays(text: String) -> Self {
        Self {
            text,
            passes: false,
        }
    }

    fn passes(text: String) -> Self {
        Self { text, passes: true }
    }
}

impl From<aws::Error> for Problem {
    fn from(error: aws::Error) -> Self {
        Self::stays(format!("not rotated: {error}"))
    }
}
