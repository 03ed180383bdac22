//! One rotation: calls RotateSecret, then follows the rotation to its end.
//!
//! The service reports no progress. DescribeSecret shows that a rotation has succeeded, and the function's log shows the steps. Nothing
//! shows that the service has given up: the log stays silent.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client, operation::describe_secret::DescribeSecretOutput as Description,
};

use crate::{
    aws::{self, explain},
    log::{Line, Log, Tail},
    secrets::{self, CURRENT, PENDING, in_flight},
    terminal::span,
};

/// The four steps in order.
pub const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// How long to wait for the last log lines after a success: a line needs several seconds to reach the log.
const LAST_LINES: Duration = Duration::from_secs(10);
/// How far back to look for the log lines of a rotation that another client began.
const BEGUN_EARLIER: Duration = Duration::from_secs(24 * 3600);

/// Begins rotations and follows them.
#[derive(Debug)]
pub struct Rotations {
    configuration: SdkConfig,
    client: Client,
    give_up_after: Duration,
    /// The logs of the functions, by ARN.
    tails: Mutex<HashMap<String, Arc<Tail>>>,
}

/// Whether a rotation began.
#[derive(Debug)]
pub enum Begun<Reason> {
    /// It is in progress.
    Under(Rotation),
    /// No rotation began, for this reason.
    Left(Reason),
}

/// A rotation that is in progress.
#[derive(Debug)]
pub struct Rotation {
    /// The secret's ARN.
    pub arn: String,
    /// The id of the rotation's version.
    pub version: String,
    /// Whether it was in progress already.
    pub resumed: bool,
    /// When the rotation began, or when it was found.
    pub began: SystemTime,
    log: Arc<Tail>,
}

/// A rotation that has succeeded.
#[derive(Debug)]
pub struct Rotated {
    /// From its start, or from when it was found, until AWSCURRENT was on its version.
    pub took: Duration,
    /// The last line of each step that the log has.
    pub steps: HashMap<String, Line>,
    /// Why the log could not be read.
    pub log_error: Option<Arc<aws::Error>>,
}

/// Why there is no new version.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The rotation has begun, but its state cannot be read.
    #[error("the rotation has begun, and its state is unknown: {0}")]
    Unseen(aws::Error),
    /// The secret is not set up for rotation.
    #[error(
        "rotation was never turned on: turn it on with aws secretsmanager rotate-secret --rotation-lambda-arn"
    )]
    NotSetUp,
    /// The function reported an error.
    #[error("{step} failed, {attempts} times in this rotation: {message}")]
    StepFailed {
        step: String,
        attempts: usize,
        message: String,
    },
    /// The version has lost AWSPENDING.
    #[error(
        "the rotation was abandoned: its version has lost AWSPENDING, as happens when someone stores a value by hand; rotate again"
    )]
    Abandoned,
    /// Rotation was turned off.
    #[error(
        "someone turned rotation off during the rotation: turn it on again with aws secretsmanager rotate-secret"
    )]
    Canceled,
    /// There was neither success nor a log line.
    #[error(
        "no sign of life from the rotation for {}{}: check that Secrets Manager invokes the function (its policy must allow \
         secretsmanager.amazonaws.com), or run rotatectl doctor", span(*.silence), because(.log_error)
    )]
    Silent {
        silence: Duration,
        log_error: Option<Arc<aws::Error>>,
    },
}

impl Error {
    /// Whether it is certain that the secret was not rotated. After a failed call it is unknown.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Aws(error) => !error.is_transient(),
            Self::Unseen(_) | Self::Silent { .. } => false,
            Self::NotSetUp | Self::StepFailed { .. } | Self::Abandoned | Self::Canceled => true,
        }
    }
}

fn because(log_error: &Option<Arc<aws::Error>>) -> String {
    log_error
        .as_ref()
        .map(|error| format!(" ({error})"))
        .unwrap_or_default()
}

impl Rotations {
    /// `give_up_after` limits the wait for the next sign of life.
    pub fn new(configuration: &SdkConfig, give_up_after: Duration) -> Self {
        Self {
            configuration: configuration.clone(),
            client: Client::new(configuration),
            give_up_after,
            tails: Mutex::default(),
        }
    }

    /// The log that all rotations of a function share.
    fn tail(&self, function: &str) -> Arc<Tail> {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = tails.entry(function.to_owned()).or_insert_with(|| {
            let log = Log::of_function(&self.configuration, function);
            Arc::new(Tail::new(log))
        });
        tail.clone()
    }

    /// Begins a rotation without a check, or continues the one in progress.
    ///
    /// # Errors
    ///
    /// The secret cannot be rotated, or a service does not answer.
    pub async fn begin(&self, secret: &str) -> Result<Rotation, Error> {
        match self
            .begin_unless(secret, async |_| None::<Infallible>)
            .await?
        {
            Begun::Under(rotation) => Ok(rotation),
            Begun::Left(reason) => match reason {},
        }
    }

    /// The same, unless `unless` returns a reason not to begin.
    ///
    /// # Errors
    ///
    /// The same as for [`begin`](Self::begin).
    pub async fn begin_unless<Reason>(
        &self,
        secret: &str,
        unless: impl AsyncFnOnce(&Description) -> Option<Reason>,
    ) -> Result<Begun<Reason>, Error> {
        let described = self.describe(secret).await?;
        let function = described.rotation_lambda_arn().ok_or(Error::NotSetUp)?;
        let began = SystemTime::now();
        let rotation = |version: String, resumed| Rotation {
            arn: described.arn().unwrap_or(secret).to_owned(),
            version,
            resumed,
            began,
            log: self.tail(function),
        };
        let under = |version, resumed| Begun::Under(rotation(version, resumed));
        if let Some(pending) = pending(&described) {
            // a repeated request restarts a rotation that the service has given up, and does not change any other
            return match self.rotate_secret(secret, Some(pending)).await {
                Ok(_) | Err(aws::Error::Refused { .. }) => Ok(under(pending.to_owned(), true)),
                Err(error) => Err(error.into()),
            };
        }
        if let Some(reason) = unless(&described).await {
            return Ok(Begun::Left(reason));
        }
        match self.rotate_secret(secret, None).await {
            Ok(version) => Ok(under(version, false)),
            Err(error) => match pending(&self.describe(secret).await?) {
                // the schedule or another operator was faster
                Some(version) => Ok(under(version.to_owned(), true)),
                None => Err(error.into()),
            },
        }
    }

    async fn rotate_secret(
        &self,
        secret: &str,
        version: Option<&str>,
    ) -> Result<String, aws::Error> {
        let answer = self
            .client
            .rotate_secret()
            .secret_id(secret)
            .set_client_request_token(version.map(str::to_owned))
            .send()
            .await
            .map_err(|error| explain("secretsmanager:RotateSecret", error))?;
        Ok(answer.version_id.unwrap_or_default())
    }

    /// Describes the secret.
    ///
    /// # Errors
    ///
    /// The call failed.
    pub async fn describe(&self, secret: &str) -> Result<Description, aws::Error> {
        secrets::describe(&self.client, secret).await
    }

    /// Waits for the end of a rotation, and passes each of its log lines to `heard`.
    ///
    /// # Errors
    ///
    /// The rotation failed, or its end is unknown.
    pub async fn follow(
        &self,
        rotation: &Rotation,
        mut heard: impl FnMut(&Line),
    ) -> Result<Rotated, Error> {
        let since = if rotation.resumed {
            BEGUN_EARLIER
        } else {
            self.give_up_after // the clocks may differ; lines of other rotations have another version
        };
        let since = rotation.began.checked_sub(since);
        let since = since.unwrap_or(SystemTime::UNIX_EPOCH);
        let began = Instant::now();
        let mut sign_of_life = began;
        let mut lines: Vec<Line> = Vec::new();
        let mut succeeded = None;
        let mut seen = 0;
        loop {
            let told;
            (seen, told) = rotation.log.rotation(&rotation.version, since, seen).await;
            let (known, log_error) = match told {
                Ok(known) => (known, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            // a failed call does not stop the rotation
            let described = match self.describe(&rotation.arn).await {
                Err(error)
                    if error.is_transient() && sign_of_life.elapsed() < self.give_up_after =>
                {
                    continue;
                }
                described => described.map_err(Error::Unseen)?,
            };
            // an earlier failure may be over: the service tries again
            let known = known.into_iter();
            let known: Vec<Line> = known
                .filter(|line| !rotation.resumed || !line.failed() || line.time >= rotation.began)
                .collect();
            for line in known.iter().skip(lines.len()) {
                sign_of_life = Instant::now();
                heard(line);
            }
            if known.len() > lines.len() {
                lines = known;
            }

            let labels = described.version_ids_to_stages();
            let has = |label: &str| {
                let own = labels.and_then(|labels| labels.get(&rotation.version));
                own.is_some_and(|own| own.iter().any(|own| own == label))
            };
            if has(CURRENT) {
                let took = *succeeded.get_or_insert_with(|| began.elapsed());
                let told = lines
                    .iter()
                    .any(|line| line.step == STEPS[3] && !line.failed());
                if told || log_error.is_some() || began.elapsed() > took + LAST_LINES {
                    let lines = lines.into_iter();
                    return Ok(Rotated {
                        took,
                        steps: lines.map(|line| (line.step.clone(), line)).collect(),
                        log_error,
                    });
                }
                continue;
            }
            if !has(PENDING) {
                return Err(Error::Abandoned);
            }
            if described.rotation_enabled() == Some(false) {
                return Err(Error::Canceled);
            }
            if sign_of_life.elapsed() >= self.give_up_after {
                return Err(given_up(lines, sign_of_life.elapsed(), log_error));
            }
        }
    }
}

/// The version that a rotation in progress makes.
pub(crate) fn pending(described: &Description) -> Option<&str> {
    described.version_ids_to_stages().and_then(in_flight)
}

fn given_up(lines: Vec<Line>, silence: Duration, log_error: Option<Arc<aws::Error>>) -> Error {
    let attempts = lines.iter().filter(|line| line.failed()).count();
    match lines.into_iter().rfind(Line::failed) {
        Some(line) => Error::StepFailed {
            attempts,
            message: line.message().to_owned(),
            step: line.step,
        },
        None => Error::Silent { silence, log_error },
    }
}
