//! Faults on demand: what a network and a busy service do to clients, at a time that a test chooses.
//!
//! Tests in other languages set them over HTTP, see [`control`](crate::control). Faults affect only HTTP requests, never
//! [`SecretsManager::call`](super::SecretsManager::call). Each request gets at most one fault: the oldest that matches and is not used
//! up.
//!
//! ```
//! use local::secrets_manager::{Behavior, Fault, Hang, SecretsManager, ServiceError, When};
//! # use std::{sync::Arc, time::Duration};
//! # use local::invocation::{Invoke, Invoked};
//! # let invoke: Invoke = Arc::new(|event| {
//! #     Box::pin(async { Invoked { outcome: Ok(event), log: Vec::new(), took: Duration::ZERO } })
//! # });
//! let service = SecretsManager::new("eu-central-1", invoke);
//!
//! // the next two reads of one secret are throttled
//! let throttled = ServiceError { status: 400, code: "ThrottlingException".into(), message: "Rate exceeded".into() };
//! service.inject(Fault::on("GetSecretValue", Behavior::Error(throttled)).secret("demo/orders").times(2));
//!
//! // the next value is stored, but the client gets no answer
//! service.inject(Fault::on("PutSecretValue", Behavior::Drop(When::AfterEffect)));
//!
//! // the next promotion stops before its effect: wait for `hang.reached().await`, then kill the client
//! let hang = Hang::default();
//! service.inject(Fault::on("UpdateSecretVersionStage", Behavior::Hang(When::BeforeEffect, hang.clone())));
//! ```

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{error::ServiceError, secret::State};

/// One fault: which requests it affects, how many, and what happens to them.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Given by [`SecretsManager::inject`](super::SecretsManager::inject).
    pub(super) id: u64,
    pub(crate) operation: String,
    pub(crate) secret: Option<String>,
    /// The number of requests that it still affects.
    pub(crate) times: usize,
    pub(crate) behavior: Behavior,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Behavior {
    /// It gets this error and has no effect: `ThrottlingException`, `AccessDeniedException`, a 500.
    Error(ServiceError),
    /// Its connection closes without an answer: the client sees a transport error.
    Drop(When),
    /// It waits until the [`Hang`] is released, or forever. It ends if the client disconnects.
    Hang(When, Hang),
    /// It has its effect at once. The answer comes this much later, by the machine's time.
    Delay(Duration),
    /// GetSecretValue, DescribeSecret and ListSecrets answer from before the secret's last change or creation. Other operations do not
    /// change. On AWS, ListSecrets lags up to five minutes (recorded).
    Lag,
}

/// The operations that [`Behavior::Lag`] affects.
pub(crate) const LAGGING: [&str; 3] = ["GetSecretValue", "DescribeSecret", "ListSecrets"];

/// Whether a fault comes before or after a request's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request has no effect.
    BeforeEffect,
    /// The request has its effect; only the answer is missing.
    AfterEffect,
}

/// The handle on a request that hangs.
#[derive(Clone, Debug, Default)]
pub struct Hang(Arc<watch::Sender<Hanging>>);

#[derive(Debug, Default)]
struct Hanging {
    reached: bool,
    released: bool,
}

impl Hang {
    /// Waits until a request hangs here. If it hangs after its effect, the effect is visible by then.
    pub async fn reached(&self) {
        // cannot fail: the sender is self.0
        let _ = self.0.subscribe().wait_for(|state| state.reached).await;
    }

    /// Lets this request and all later ones continue.
    pub fn release(&self) {
        self.0.send_modify(|state| state.released = true);
    }

    /// Whether a request hangs here now.
    pub(crate) fn holds(&self) -> bool {
        let state = self.0.borrow();
        state.reached && !state.released
    }

    pub(crate) async fn hold(&self) {
        self.0.send_modify(|state| state.reached = true);
        let _ = self.0.subscribe().wait_for(|state| state.released).await;
    }
}

impl Fault {
    /// A fault for the next request of this operation, `PutSecretValue` for example, on any secret.
    pub fn on(operation: &str, behavior: Behavior) -> Self {
        Self {
            id: 0,
            operation: operation.to_owned(),
            secret: None,
            times: 1,
            behavior,
        }
    }

    /// Affects only requests on this secret (name or ARN), however they name it.
    pub fn secret(self, secret: &str) -> Self {
        Self {
            secret: Some(secret.to_owned()),
            ..self
        }
    }

    /// Affects this many requests, one after another, instead of one.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// The id that removes it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it is still in use: it will affect more requests, or one hangs on it.
    pub(super) fn is_live(&self) -> bool {
        self.times > 0 || matches!(&self.behavior, Behavior::Hang(_, hang) if hang.holds())
    }

    fn meets(&self, operation: &str, secret: Option<&str>, state: &State) -> bool {
        let arn = |id: &str| {
            state
                .find(id)
                .map(|secret| secret.arn.clone())
                .unwrap_or_else(|_| id.to_owned())
        };
        self.times > 0
            && self.operation == operation
            && self
                .secret
                .as_deref()
                .is_none_or(|wanted| secret.is_some_and(|secret| arn(secret) == arn(wanted)))
    }
}

/// Returns the behavior for a request, if there is one, and uses it once.
pub(super) fn take(
    faults: &mut [Fault],
    operation: &str,
    secret: Option<&str>,
    state: &State,
) -> Option<Behavior> {
    let fault = faults
        .iter_mut()
        .find(|fault| fault.meets(operation, secret, state))?;
    fault.times -= 1;
    Some(fault.behavior.clone())
}
