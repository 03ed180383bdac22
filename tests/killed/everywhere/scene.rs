//! A world in which any message to the database, to Secrets Manager or to the API-key service can be stopped.

use std::time::Duration;

use local::{
    invocation::Invoked,
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use super::Place;
use crate::common::{
    STEPS, assert_nobody_is_locked_out, assert_rejected, current, document, execute, gets_in,
    log_in, options_with, proxy::Proxy, version,
};

pub(super) const REVOKE: &str = "revokeSecret";

/// The state of a secret before the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    SingleUser,
    /// The other user exists.
    TwoUsers,
    /// The other user does not exist yet.
    FirstRotation,
    ApiKey,
}

/// A world whose secrets lead to the database through a proxy, without TLS. The API-key service has TLS.
pub(super) struct Scene {
    world: World,
    pub(super) proxy: Proxy,
    pub(super) case: Case,
}

impl Scene {
    pub(super) async fn set(case: Case) -> Self {
        // only the next createSecret deletes the previous key
        let options = options_with(&[("OVERLAP_WINDOW", "unbounded")]);
        let (world, proxy) = Proxy::in_a_world(options.with_key_service()).await;
        let scene = Self { world, proxy, case };
        if case == Case::TwoUsers {
            // the first rotation makes the other user
            let token = scene.staged();
            scene.succeed(&STEPS, &token, "undisturbed").await;
        }
        scene
    }

    fn secret(&self) -> &'static str {
        match self.case {
            Case::SingleUser => self.world.single_user(),
            Case::TwoUsers | Case::FirstRotation => self.world.alternating_users(),
            Case::ApiKey => self.world.api_key(),
        }
    }

    async fn run(&self, step: &str, token: &str) -> Invoked {
        let event = match step {
            REVOKE => json!({ "Step": step, "SecretId": self.secret() }),
            _ => json!({ "Step": step, "SecretId": self.secret(), "ClientRequestToken": token }),
        };
        self.world.function().invoke(event).await
    }

    /// Runs steps, each of which must succeed.
    async fn succeed(&self, steps: &[&str], token: &str, case: &str) {
        for step in steps {
            let outcome = self.run(step, token).await.outcome;
            assert!(outcome.is_ok(), "{case}, then {step}: {outcome:?}");
        }
    }

    fn staged(&self) -> String {
        let token = Uuid::new_v4().to_string();
        let service = self.world.secrets_manager();
        service.stage(self.secret(), &token).unwrap();
        token
    }

    /// Runs the steps before this one.
    pub(super) async fn up_to(&self, step: &str) -> String {
        if self.case == Case::FirstRotation {
            self.without_the_clone().await;
        }
        let token = self.staged();
        let before = STEPS.iter().position(|of| *of == step);
        let before = &STEPS[..before.unwrap_or(STEPS.len())];
        self.succeed(before, &token, "undisturbed").await;
        token
    }

    /// The base role is current, and the clone does not exist.
    async fn without_the_clone(&self) {
        let (world, secret) = (&self.world, self.secret());
        let is_clone = |user: &Value| user != world.alternating_role();
        if is_clone(&current(world, secret).await["username"]) {
            let token = self.staged();
            self.succeed(&STEPS, &token, "undisturbed").await;
        }
        let clone = format!("{}_clone", world.alternating_role());
        execute(world, &format!("DROP ROLE IF EXISTS {clone}")).await;
    }

    /// Kills the step's process when `stopped` is ready; false if the step ends before.
    pub(super) async fn killed(
        &self,
        step: &str,
        token: &str,
        stopped: impl Future<Output = ()>,
    ) -> bool {
        let done = Notify::new();
        let (invoked, killed) = tokio::join!(
            async {
                let invoked = self.run(step, token).await;
                done.notify_one();
                invoked
            },
            async {
                tokio::select! {
                    () = stopped => self.world.function().kill().await,
                    () = done.notified() => return false,
                }
                true
            }
        );
        match (killed, invoked.outcome) {
            (false, outcome) => assert!(outcome.is_ok(), "{step}: {outcome:?}"),
            (true, Ok(outcome)) => panic!("{step}: it was not killed: {outcome}"),
            (true, Err(error)) => assert_eq!(error.error_type, "Runtime.ExitError", "{step}"),
        }
        killed
    }

    /// After a step was killed.
    pub(super) async fn assert_all_is_well(&self, step: &str, token: &str, place: &str) {
        let (world, secret) = (&self.world, self.secret());
        assert_nobody_is_locked_out(world, secret, place).await;
        match step {
            REVOKE => {
                self.succeed(&[REVOKE], token, place).await;
                let previous = document(world, secret, "AWSPREVIOUS").await.unwrap();
                match self.case {
                    Case::ApiKey => assert!(!gets_in(world, &previous).await, "{place}"),
                    _ => assert_rejected(log_in(world, &previous).await),
                }
            }
            _ => self.succeed(&STEPS, token, place).await,
        }
        assert_eq!(version(world, secret, "AWSCURRENT").await, token, "{place}");
        let current = current(world, secret).await;
        assert!(gets_in(world, &current).await, "{place}: AWSCURRENT");
        if let Some(service) = world.key_service() {
            let needed = if step == REVOKE { 1 } else { 2 };
            let keys = service.keys().len();
            assert!(keys <= needed, "{place}: {keys} keys");
        }
    }

    /// Each place of an undisturbed rotation, and of a revoke after it, with its step.
    pub(super) async fn places(&self) -> Vec<(&'static str, Place)> {
        let token = self.up_to(STEPS[0]).await;
        let mut places = Vec::new();
        for step in STEPS.into_iter().chain([REVOKE]) {
            let (passed, before) = (self.proxy.passed(), self.calls());
            self.succeed(&[step], &token, "undisturbed").await;
            let (messages, calls) = (self.proxy.passed() - passed, self.calls());
            let of =
                |all: usize, before: &[Vec<String>; 2]| calls[all][before[all].len()..].to_vec();
            let calls = [of(0, &before), of(1, &before)].concat();
            places.extend(
                Place::all(messages, &calls)
                    .into_iter()
                    .map(|place| (step, place)),
            );
        }
        places
    }

    /// The calls to Secrets Manager so far, and the requests to the service.
    fn calls(&self) -> [Vec<String>; 2] {
        let calls = self.world.secrets_manager().calls().into_iter();
        let requests = self.world.key_service().unwrap().requests();
        [calls.map(|call| call.operation).collect(), requests]
    }

    /// After so many such calls, the next one hangs.
    pub(super) fn hang(&self, call: &str, earlier: usize, when: When, hang: &Hang) {
        let passing = vec![Behavior::Delay(Duration::ZERO); earlier];
        for behavior in passing
            .into_iter()
            .chain([Behavior::Hang(when, hang.clone())])
        {
            if call.contains('/') {
                self.world.key_service().unwrap().inject(call, behavior);
            } else {
                let fault = Fault::on(call, behavior);
                self.world.secrets_manager().inject(fault);
            }
        }
    }
}
