//! AWS Secrets Manager with its real rotation semantics, behind its real wire format, on this machine.
//!
//! The AWS CLI and SDKs work with [`SecretsManager::router`], with any credentials. RotateSecret really rotates: it invokes the function
//! four times in the background, retries, and moves no label itself. If an earlier rotation is not complete, RotateSecret is refused
//! and the earlier rotation is tried again. Scheduled rotations begin by themselves, by a clock that [`SecretsManager::advance`] moves.
//!
//! One address serves all regions: a request's region is the one in its signature, or else the service's own. Each region has its own
//! secrets, and replicas of secrets from other regions.
//!
//! Not supported: encryption, other accounts and replicas in them, managed external secrets, request quotas. A request for one of them
//! gets an error that names it.
//!
//! A caller with a role's access key ([`Iam::restrict`]) may do what its policies or the secret's policy allow. For the secret's KMS
//! key only its own policies count. Any other caller may do everything that no secret's policy denies to everyone.
//! [`SecretsManager::call`] has no caller and is always allowed.
//!
//! [`labels`] has the rules on versions. [`Fault`] makes the service misbehave.

mod access;
mod constraints;
mod describe;
mod due;
mod error;
mod faults;
mod filter;
mod firing;
pub mod labels;
mod lifecycle;
mod list;
mod model;
mod random_password;
mod read;
mod regions;
mod replication;
mod resource_policy;
mod rotation;
mod schedule;
mod secret;
mod wire;
mod write;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::{Duration, Instant},
};

use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

pub(crate) use self::{
    constraints::check_request,
    faults::LAGGING,
    model::{Member, Shape, member, required},
};
pub use self::{
    due::{Due, Event},
    error::ServiceError,
    faults::{Behavior, Fault, Hang, When},
    firing::Fired,
    model::operations,
    rotation::{Attempt, Retry, Rotation, StepRun},
};
use self::{labels::Promotion, regions::Regions, rotation::Rotations, secret::View};
use crate::{
    clock::Clock,
    iam::{Iam, Role},
    invocation::{FunctionPolicies, Invoke},
};

/// The service. Clones share their secrets.
#[derive(Clone)]
pub struct SecretsManager {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
    /// Notified when a rotation has ended.
    ended: Notify,
    invoke: Invoke,
    iam: Iam,
    /// The region for requests without a signature.
    home: String,
    clock: Clock,
    /// Called when the first schedule is set.
    waiting: Once,
    /// Notified when a schedule may be due earlier than before.
    rescheduled: Arc<Notify>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.rescheduled.notify_one(); // ends the task that waits for schedules
    }
}

/// All mutable state, under one lock that is never held across an await.
struct Inner {
    regions: Regions,
    rotations: Rotations,
    retry: Retry,
    faults: Vec<Fault>,
    last_fault: u64,
    calls: Vec<Call>,
    /// The result of [`SecretsManager::secrets`].
    secrets: Vec<SecretString>,
    /// None: every function allows this service.
    function_policies: Option<FunctionPolicies>,
    /// When a secret's last window was used, also by a failed rotation. By ARN.
    fired: HashMap<String, DateTime<Utc>>,
}

/// One HTTP request, recorded at its effect or its refusal.
///
/// A request that hangs before its effect is recorded when it is released.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation, `PutSecretValue` for example.
    pub operation: String,
    /// The secret as the request named it; for CreateSecret, `Name`.
    pub secret: Option<String>,
    /// The `RotationToken`. It is a credential: Debug shows only whether there is one.
    pub rotation_token: Option<String>,
    /// The error's code, or `ConnectionDropped` if a fault cut the request before its effect.
    pub result: Result<(), String>,
    /// When it was recorded: quotas count calls a second.
    pub at: Instant,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            secret,
            rotation_token,
            result,
            at: _,
        } = self;
        let with_token = if rotation_token.is_some() {
            " with a RotationToken"
        } else {
            ""
        };
        write!(
            f,
            "{operation}({}){with_token}: {result:?}",
            secret.as_deref().unwrap_or_default()
        )
    }
}

impl SecretsManager {
    /// An empty service. Its rotations always call this function and ignore `RotationLambdaARN`, until a call of
    /// [`look_at_functions`](Self::look_at_functions).
    pub fn new(region: &str, invoke: Invoke) -> Self {
        let inner = Inner {
            regions: Regions::new(region),
            rotations: Rotations::new(),
            retry: Retry::default(),
            faults: Vec::new(),
            last_fault: 0,
            calls: Vec::new(),
            secrets: Vec::new(),
            function_policies: None,
            fired: HashMap::new(),
        };
        let clock = Clock::default();
        Self {
            shared: Arc::new(Shared {
                inner: Mutex::new(inner),
                ended: Notify::new(),
                invoke,
                iam: Iam::new(clock.clone()),
                home: region.to_owned(),
                clock,
                waiting: Once::new(),
                rescheduled: Arc::default(),
            }),
        }
    }

    /// Sets the delay of replicas in this region; the default is none. All regions have the same address: a request's region is the one in
    /// its signature.
    pub fn set_replica_lag(&self, region: &str, lag: Duration) {
        let lag = TimeDelta::from_std(lag).unwrap_or(TimeDelta::MAX);
        self.lock().regions.set_lag(region, lag);
    }

    /// Its clock, which [`SecretsManager::advance`] moves.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The next events that happen by themselves, earliest first.
    pub fn schedule(&self) -> Vec<Due> {
        due::schedule(&self.lock())
    }

    /// The roles of the callers.
    pub fn iam(&self) -> &Iam {
        &self.shared.iam
    }

    /// From now on RotateSecret checks the function as AWS does: it is refused if the function does not exist or its policy does not let
    /// this service invoke it.
    pub fn look_at_functions(&self, policies: FunctionPolicies) {
        self.lock().function_policies = Some(policies);
    }

    /// Sets the retries of failed rotations that begin from now on.
    pub fn set_retry(&self, retry: Retry) {
        self.lock().retry = retry;
    }

    /// Sets what happens to AWSPENDING when its version becomes current, for secrets that are created from now on.
    pub fn set_promotion(&self, promotion: Promotion) {
        self.lock().regions.set_promotion(promotion);
    }

    /// The HTTP interface: `POST /`.
    pub fn router(&self) -> Router {
        wire::router(self.clone())
    }

    /// Every secret value that the service ever received or made, for a test that searches for leaks: each value that a request stored
    /// or tried to store (a binary one as base64), each random password, each RotationToken.
    pub fn secrets(&self) -> Vec<SecretString> {
        self.lock().secrets.clone()
    }

    /// Calls an operation in process, with the same code as over HTTP, but without faults and without a record. Generates a missing
    /// `ClientRequestToken`, as SDKs do.
    ///
    /// # Errors
    ///
    /// The error that a client gets.
    pub async fn call(&self, operation: &str, mut input: Value) -> Result<Value, ServiceError> {
        if constraints::takes_a_token(operation) && input["ClientRequestToken"].is_null() {
            input["ClientRequestToken"] = Uuid::new_v4().to_string().into();
        }
        let home = self.shared.home.clone();
        self.perform(None, &home, operation, input, View::Now)
    }

    /// The full ARN of a secret, by name, ARN or partial ARN.
    pub fn arn(&self, secret: &str) -> Option<String> {
        self.lock()
            .regions
            .home()
            .find(secret)
            .ok()
            .map(|secret| secret.arn.clone())
    }

    /// Stages a token and turns rotation on as RotateSecret does, but invokes nothing: the caller invokes the steps.
    ///
    /// # Errors
    ///
    /// Those of RotateSecret, but the secret needs neither a function nor a value.
    pub fn stage(&self, secret: &str, token: &str) -> Result<(), ServiceError> {
        let token = write::token(Some(token.to_owned()))?;
        let now = self.clock().now();
        let mut inner = self.lock();
        let state = inner.regions.home();
        state.find_alive(secret)?;
        state.change(secret, now, |secret| {
            secret.rotation_enabled = Some(true);
            secret.stage(&token, now)
        })
    }

    /// Turns rotation on as RotateSecret does, every `days` days with this function, but invokes nothing.
    ///
    /// # Errors
    ///
    /// Those of RotateSecret.
    pub fn configure_rotation(
        &self,
        secret: &str,
        function: &str,
        days: u32,
    ) -> Result<(), ServiceError> {
        let now = self.clock().now();
        rotation::configure_only(&mut self.lock(), secret, function, days, now)?;
        self.reschedule();
        Ok(())
    }

    /// Makes a secret older by this many days: moves all its dates into the past, also its next due date. The secret then looks as if its
    /// rotations had failed: an overdue rotation does not begin by itself.
    ///
    /// # Errors
    ///
    /// There is no such secret.
    pub fn age(&self, secret: &str, days: u32) -> Result<(), ServiceError> {
        let by = TimeDelta::days(days.into());
        let now = self.clock().now();
        let mut inner = self.lock();
        let secret = inner.regions.home().find_mut(secret)?;
        secret.set_back(by);
        let arn = secret.arn.clone();
        due::use_window(&mut inner, &arn, now);
        Ok(())
    }

    /// Sets a fault for later HTTP requests. Returns its id.
    pub fn inject(&self, fault: Fault) -> u64 {
        let mut inner = self.lock();
        inner.faults.retain(Fault::is_live);
        inner.last_fault += 1;
        let id = inner.last_fault;
        inner.faults.push(Fault { id, ..fault });
        id
    }

    /// The faults that are still in use, oldest first.
    pub fn faults(&self) -> Vec<Fault> {
        let mut inner = self.lock();
        inner.faults.retain(Fault::is_live);
        inner.faults.clone()
    }

    /// Removes the fault with this id, or all faults. Requests that hang continue. Returns the number of removed faults.
    pub fn clear_faults(&self, id: Option<u64>) -> usize {
        let mut inner = self.lock();
        inner.faults.retain(Fault::is_live);
        let cleared = inner
            .faults
            .extract_if(.., |fault| id.is_none_or(|id| id == fault.id));
        cleared
            .inspect(|fault| {
                if let Behavior::Hang(_, hang) = &fault.behavior {
                    hang.release()
                }
            })
            .count()
    }

    /// All HTTP requests, in the order of their effects.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Waits until the rotation with this token has succeeded or failed, and returns its result.
    ///
    /// It waits forever if no RotateSecret has that token.
    pub async fn rotation(&self, secret: &str, token: &str) -> Rotation {
        let arn = self.arn(secret).unwrap_or_else(|| secret.to_owned());
        let key = (arn, token.to_owned());
        loop {
            let ended = self.shared.ended.notified(); // before the look, so that no end is missed
            if let Some(driven) = self
                .lock()
                .rotations
                .get(&key)
                .filter(|driven| !driven.running)
            {
                return driven.record.clone();
            }
            ended.await;
        }
    }

    /// Calls RotateSecret, and waits until the rotation has succeeded or failed.
    ///
    /// # Errors
    ///
    /// RotateSecret is refused.
    pub async fn rotate(&self, secret: &str) -> Result<Rotation, ServiceError> {
        let started = self
            .call("RotateSecret", json!({ "SecretId": secret }))
            .await?;
        Ok(self
            .rotation(secret, started["VersionId"].as_str().unwrap_or_default())
            .await)
    }

    fn perform(
        &self,
        caller: Option<&Role>,
        region: &str,
        operation: &str,
        input: Value,
        view: View,
    ) -> Result<Value, ServiceError> {
        constraints::check(operation, &input)?;
        let now = self.clock().now();
        let mut inner = self.lock();
        due::bury(&mut inner, now);
        inner.regions.settle(now);
        let state = inner.regions.at(region);
        if let Some(caller) = caller {
            access::authorize(caller, state, operation, &input)?;
        }
        replication::refuse_on_replicas(state, operation, &input)?;
        let values = ["SecretString", "SecretBinary"].map(|form| input[form].as_str());
        let values = values.into_iter().flatten();
        inner.secrets.extend(values.map(SecretString::from));
        let state = inner.regions.at(region);
        let answer = match operation {
            "CreateSecret" => write::create_secret(state, input, now),
            "PutSecretValue" => write::put_secret_value(state, input, now),
            "UpdateSecret" => write::update_secret(state, input, now),
            "UpdateSecretVersionStage" => write::update_secret_version_stage(state, input, now),
            "GetSecretValue" => read::get_secret_value(state, input, now, view),
            "BatchGetSecretValue" => read::batch_get_secret_value(state, input, now, caller),
            "DescribeSecret" => describe::describe_secret(state, input, view),
            "ListSecrets" => list::list_secrets(state, input, view),
            "ListSecretVersionIds" => list::list_secret_version_ids(state, input),
            "TagResource" => lifecycle::tag_resource(state, input, now),
            "UntagResource" => lifecycle::untag_resource(state, input, now),
            "DeleteSecret" => lifecycle::delete_secret(state, input, now),
            "RestoreSecret" => lifecycle::restore_secret(state, input, now),
            "GetRandomPassword" => {
                let password = random_password::generate(&wire::parse(input)?)?;
                inner.secrets.push(password.as_str().into());
                Ok(json!({ "RandomPassword": password }))
            }
            "PutResourcePolicy" => resource_policy::put_resource_policy(state, input, now),
            "GetResourcePolicy" => resource_policy::get_resource_policy(state, input),
            "DeleteResourcePolicy" => resource_policy::delete_resource_policy(state, input, now),
            "ValidateResourcePolicy" => {
                resource_policy::validate_resource_policy(state, input, caller)
            }
            "RotateSecret" => rotation::rotate_secret(self, &mut inner, region, input, now),
            "CancelRotateSecret" => rotation::cancel_rotate_secret(&mut inner, region, input, now),
            "ReplicateSecretToRegions" => {
                replication::replicate_secret_to_regions(state, input, now)
            }
            "RemoveRegionsFromReplication" => {
                replication::remove_regions_from_replication(state, input, now)
            }
            "StopReplicationToReplica" => {
                replication::stop_replication_to_replica(&mut inner.regions, region, input, now)
            }
            other => Err(ServiceError::unknown_operation(other)),
        };
        drop(inner);
        if matches!(operation, "RotateSecret" | "RestoreSecret") {
            self.reschedule();
        }
        answer
    }

    fn fault(&self, region: &str, operation: &str, secret: Option<&str>) -> Option<Behavior> {
        let Inner {
            faults, regions, ..
        } = &mut *self.lock();
        faults::take(faults, operation, secret, regions.at(region))
    }

    fn record(&self, call: Call) {
        self.lock().calls.push(call);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // a panic elsewhere, for example in a test's closure, leaves no partial change: changes are made on a copy
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
