//! RotateSecret and CancelRotateSecret. A driver invokes the function step by step, until the rotation succeeds or is given up.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Inner, SecretsManager,
    access::authorize_invocation,
    due::use_window,
    error::ServiceError,
    labels::PENDING,
    schedule::RotationRules,
    secret::Secret,
    wire::{answer, parse},
    write::{Named, token},
};
use crate::invocation::{FunctionError, Invoked};

/// The four steps, as the service's events name them.
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// The result of one rotation, with all its attempts.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The `ClientRequestToken`: the id of the new version.
    pub token: String,
    /// Each attempt begins with createSecret.
    pub attempts: Vec<Attempt>,
    /// Whether no step of the last attempt returned an error, and AWSCURRENT is on the new version.
    pub succeeded: bool,
}

/// One run through the steps, up to the first failed one.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// The steps in the order of their invocation.
    pub steps: Vec<StepRun>,
}

/// One invocation of the function.
#[derive(Clone, Debug)]
pub struct StepRun {
    /// The step, `setSecret` for example.
    pub step: String,
    /// The time of the invocation.
    pub began: DateTime<Utc>,
    /// The result.
    pub invoked: Invoked,
    /// `VersionIdsToStages` after the step.
    pub labels: BTreeMap<String, Vec<String>>,
}

/// How a failed rotation is retried.
///
/// The default is quick. The real service's numbers are undocumented: users saw five attempts, about 100 s apart.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How often a rotation is attempted before it is given up, the first attempt included.
    pub attempts: u32,
    /// The time between two attempts, by the service's clock.
    pub interval: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            interval: Duration::from_millis(200),
        }
    }
}

/// Past and current rotations, by the secret's ARN and the token.
pub(super) type Rotations = HashMap<(String, String), Driven>;

#[derive(Clone, Debug)]
pub(super) struct Driven {
    pub(super) record: Rotation,
    pub(super) running: bool,
    canceled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RotateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<RotationRules>,
    rotate_immediately: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CancelRotateSecret {
    secret_id: String,
}

/// Checks, configures, stages the token, and answers at once. The steps run in the background.
pub(super) fn rotate_secret(
    service: &SecretsManager,
    inner: &mut Inner,
    region: &str,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let mut request: RotateSecret = parse(input)?;
    // recorded: the text of the other operations, but another type
    let token = token(request.client_request_token.take())
        .map_err(|refused| ServiceError::parameter(refused.message))?;
    request.rotation_rules = match request.rotation_rules.take() {
        Some(rules) => Some(rules.accepted()?),
        None => None,
    };
    let for_real = request.rotate_immediately.unwrap_or(true);
    let policies = inner.function_policies.as_ref();
    let state = inner.regions.at(region);
    let arn = state.find_alive(&request.secret_id)?.arn.clone();
    let staged = state.change(&arn, now, |secret| {
        // a client may repeat the request after the rotation has ended: that begins no second rotation
        let done_before = secret.versions.current() == Some(&token);
        configure(secret, request, now)?;
        if let (Some(policies), Some(function)) = (policies, &secret.rotation_function) {
            authorize_invocation(policies, function, &secret.arn)?;
        }
        if !done_before {
            stage(secret, &token, for_real, now)?;
        }
        Ok((
            answer(Named::new(secret, Some(token.clone())))?,
            done_before,
        ))
    });
    if staged.as_ref().err() == Some(&ServiceError::rotation_in_progress()) {
        use_window(inner, &arn, now);
        reattempt(service, inner, arn.clone());
    }
    let (answer, done_before) = staged?;
    if for_real {
        use_window(inner, &arn, now);
    }

    let driver = Driver {
        service: service.clone(),
        arn,
        token,
        for_real,
        waits_first: false,
        retry: inner.retry,
    };
    let driven = driver.record(inner);
    driven.canceled = false; // requested again: an earlier cancellation no longer counts
    if done_before {
        driven.record.succeeded |= driven.record.attempts.is_empty();
    } else {
        driver.start(inner);
    }
    Ok(answer)
}

/// Whether the function is running for this secret.
pub(super) fn is_running(inner: &Inner, arn: &str) -> bool {
    let mut rotations = inner.rotations.iter();
    rotations.any(|((rotated, _), driven)| rotated == arn && driven.running)
}

/// Keeps the promise of a refused RotateSecret: "That rotation will be reattempted". The time is undocumented: here after the interval.
///
/// Does nothing while rotation is off, or without a function.
fn reattempt(service: &SecretsManager, inner: &mut Inner, arn: String) {
    let Ok(secret) = inner.regions.of(&arn).find_alive(&arn) else {
        return;
    };
    let is_set_up = secret.rotation_enabled == Some(true) && secret.rotation_function.is_some();
    if let (true, Some(pending)) = (is_set_up, secret.versions.in_progress()) {
        let driver = Driver {
            service: service.clone(),
            arn,
            token: pending.to_owned(),
            for_real: true,
            waits_first: true,
            retry: inner.retry,
        };
        driver.start(inner);
    }
}

fn configure(
    secret: &mut Secret,
    request: RotateSecret,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    secret.rotation_function = request
        .rotation_lambda_arn
        .or(secret.rotation_function.take());
    if secret.rotation_function.is_none() {
        return Err(ServiceError::request(
            "No Lambda rotation function ARN is associated with this secret.",
        ));
    }
    if let Some(rules) = request.rotation_rules {
        secret.rotation_rules = Some(rules);
        secret.schedule_base = now;
    }
    secret.rotation_enabled = Some(true);
    Ok(())
}

/// The part of RotateSecret that configures rotation, without a rotation.
pub(super) fn configure_only(
    inner: &mut Inner,
    secret: &str,
    function: &str,
    days: u32,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let request: RotateSecret = parse(json!({
        "SecretId": secret,
        "RotationLambdaARN": function,
        "RotationRules": { "AutomaticallyAfterDays": days },
    }))?;
    let state = inner.regions.home();
    state.find_alive(secret)?;
    state.change(secret, now, |secret| configure(secret, request, now))
}

/// The new version of a rotation has no value yet. For a mere test, it is a copy of the current one (undocumented, but likely).
fn stage(
    secret: &mut Secret,
    token: &str,
    for_real: bool,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let Ok((_, current)) = secret.versions.read(None, None) else {
        // our own text: the service's is unknown
        return Err(ServiceError::request(
            "You can't rotate a secret that has no value for staging label AWSCURRENT.",
        ));
    };
    let current = current.clone();
    secret.stage(token, now)?;
    if !for_real {
        secret.put(token, current, Some(&[PENDING]), now)?;
    }
    Ok(())
}

/// Turns rotation off, and stops a running rotation before its next step. The labels stay (docs).
pub(super) fn cancel_rotate_secret(
    inner: &mut Inner,
    region: &str,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: CancelRotateSecret = parse(input)?;
    let state = inner.regions.at(region);
    let arn = state.find_alive(&request.secret_id)?.arn.clone();
    let answer = state.change(&arn, now, |secret| {
        if secret.rotation_enabled.is_none() {
            return Err(ServiceError::request(
                "Rotation was never turned on for this secret.",
            )); // our own text
        }
        secret.rotation_enabled = Some(false);
        answer(Named::new(
            secret,
            secret.versions.in_progress().map(str::to_owned),
        ))
    })?;
    for ((rotated, _), driven) in &mut inner.rotations {
        driven.canceled |= *rotated == arn && driven.running;
    }
    Ok(answer)
}

/// A running rotation.
struct Driver {
    service: SecretsManager,
    arn: String,
    token: String,
    /// False for RotateImmediately = false: only testSecret runs, once.
    for_real: bool,
    /// Whether to wait for the interval before the first attempt, too.
    waits_first: bool,
    retry: Retry,
}

impl Driver {
    fn record<'a>(&self, inner: &'a mut Inner) -> &'a mut Driven {
        let key = (self.arn.clone(), self.token.clone());
        inner.rotations.entry(key).or_insert_with(|| Driven {
            record: Rotation {
                token: self.token.clone(),
                attempts: Vec::new(),
                succeeded: false,
            },
            running: false,
            canceled: false,
        })
    }

    /// Runs it in the background, unless this rotation is running already.
    fn start(self, inner: &mut Inner) {
        let driven = self.record(inner);
        if !driven.running {
            driven.running = true;
            tokio::spawn(self.run());
        }
    }

    async fn run(self) {
        let (steps, attempts) = if self.for_real {
            (&STEPS[..], self.retry.attempts)
        } else {
            (&STEPS[2..3], 1)
        };
        let rotation_token = Uuid::new_v4().to_string();
        let kept = rotation_token.as_str().into();
        self.service.lock().secrets.push(kept);
        let mut succeeded = false;
        for attempt in 0..attempts {
            if attempt > 0 || self.waits_first {
                self.service.clock().sleep(self.retry.interval).await;
            }
            if !self.is_wanted() {
                break;
            }
            self.with(|driven| driven.record.attempts.push(Attempt::default()));
            succeeded = self.attempt(steps, &rotation_token).await;
            if succeeded {
                break;
            }
        }
        self.end(succeeded);
    }

    async fn attempt(&self, steps: &[&str], rotation_token: &str) -> bool {
        for step in steps {
            if self.is_canceled() {
                return false;
            }
            let began = self.service.clock().now();
            let invoked = self.invoke(json!({
                "Step": step,
                "SecretId": self.arn,
                "ClientRequestToken": self.token,
                "RotationToken": rotation_token,
            }));
            let invoked = invoked.await;
            let failed = invoked.outcome.is_err();
            let labels = self
                .secret(|secret| secret.versions.stages())
                .unwrap_or_default();
            let run = StepRun {
                step: (*step).to_owned(),
                began,
                invoked,
                labels,
            };
            self.with(|driven| {
                driven
                    .record
                    .attempts
                    .last_mut()
                    .map(|attempt| attempt.steps.push(run))
            });
            if failed {
                return false;
            }
        }
        !self.for_real
            || self.secret(|secret| secret.versions.current() == Some(&self.token)) == Some(true)
    }

    /// A task of its own: a panic in a test's function ends only the step, not the record of the rotation.
    async fn invoke(&self, event: Value) -> Invoked {
        let invoke = self.service.shared.invoke.clone();
        match tokio::spawn(async move { invoke(event).await }).await {
            Ok(invoked) => invoked,
            Err(error) => Invoked {
                outcome: Err(FunctionError {
                    error_type: "Runtime.ExitError".to_owned(),
                    error_message: error.to_string(),
                }),
                log: Vec::new(),
                took: Duration::ZERO,
            },
        }
    }

    /// False if the rotation was canceled or abandoned: the secret was deleted, or a value was stored by hand.
    fn is_wanted(&self) -> bool {
        let labelled = self.secret(|secret| !secret.versions.labels(&self.token).is_empty());
        labelled == Some(true) && !self.is_canceled()
    }

    fn is_canceled(&self) -> bool {
        self.with(|driven| driven.canceled).unwrap_or(true)
    }

    fn end(&self, succeeded: bool) {
        let now = self.service.clock().now();
        let mut inner = self.service.lock();
        let state = inner.regions.of(&self.arn);
        let ended = state.change(&self.arn, now, |secret| {
            if !self.for_real {
                secret.versions.remove(&self.token);
                secret.dates.remove(&self.token);
            } else if succeeded {
                secret.rotated = Some(now);
                secret.schedule_base = now;
            }
            Ok(())
        });
        drop(ended); // an error means that the secret was deleted, so there is no date to set
        if let Some(driven) = inner
            .rotations
            .get_mut(&(self.arn.clone(), self.token.clone()))
        {
            driven.running = false;
            driven.record.succeeded = succeeded;
        }
        drop(inner);
        self.service.shared.ended.notify_waiters();
        self.service.reschedule();
    }

    fn with<T>(&self, read: impl FnOnce(&mut Driven) -> T) -> Option<T> {
        self.service
            .lock()
            .rotations
            .get_mut(&(self.arn.clone(), self.token.clone()))
            .map(read)
    }

    fn secret<T>(&self, read: impl FnOnce(&Secret) -> T) -> Option<T> {
        let mut inner = self.service.lock();
        let state = inner.regions.of(&self.arn);
        state.find_alive(&self.arn).ok().map(read)
    }
}
