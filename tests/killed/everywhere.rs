//! Killed before and after each message to the database and each call to Secrets Manager, in each step, under both
//! strategies: nobody is locked out, and the next try reaches the end. Each step runs in a process of its own.
//!
//! `make test` looks at every ninth place, `make verify` at each.

use local::{
    invocation::Invoked,
    postgres::Settings,
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    common::{
        STEPS, assert_rejected, current, document, execute, log_in, options, put, start, version,
    },
    proxy::{Proxy, Side},
};

const REVOKE: &str = "revokeSecret";

/// Between two places that are looked at.
const SHARE: usize = 9;

/// Where a secret is before it is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    SingleUser,
    /// The other user is there.
    TwoUsers,
    /// The other user is to be made.
    FirstRotation,
}

/// A world whose secrets lead to the database through a proxy, without TLS.
struct Scene {
    world: World,
    proxy: Proxy,
    case: Case,
}

impl Scene {
    async fn set(case: Case) -> Self {
        let settings = Settings {
            tls: false,
            ..Settings::default()
        };
        let world = start(options().own_postgres(settings)).await;
        let proxy = Proxy::before(world.postgres().port()).await;
        for secret in [
            world.admin(),
            world.single_user(),
            world.alternating_users(),
        ] {
            let mut document = current(&world, secret).await;
            document["ssl"] = false.into();
            if secret != world.admin() {
                document["port"] = proxy.port.into();
            }
            put(&world, secret, document).await;
        }
        Self { world, proxy, case }
    }

    fn secret(&self) -> &'static str {
        match self.case {
            Case::SingleUser => self.world.single_user(),
            Case::TwoUsers | Case::FirstRotation => self.world.alternating_users(),
        }
    }

    async fn run(&self, step: &str, token: &str) -> Invoked {
        let event = match step {
            REVOKE => json!({ "Step": step, "SecretId": self.secret() }),
            _ => json!({ "Step": step, "SecretId": self.secret(), "ClientRequestToken": token }),
        };
        self.world.function().invoke(event).await
    }

    /// Runs steps, each of which has to succeed.
    async fn succeed(&self, steps: &[&str], token: &str, case: &str) {
        for step in steps {
            let invoked = self.run(step, token).await;
            assert!(
                invoked.outcome.is_ok(),
                "{case}, then {step}: {:?}",
                invoked.outcome
            );
        }
    }

    fn staged(&self) -> String {
        let token = Uuid::new_v4().to_string();
        let service = self.world.secrets_manager();
        service.stage(self.secret(), &token).unwrap();
        token
    }

    /// Has the steps before this one done.
    async fn up_to(&self, step: &str) -> String {
        if self.case == Case::FirstRotation {
            self.without_the_clone().await;
        }
        let token = self.staged();
        let before = STEPS.iter().position(|of| *of == step);
        let before = &STEPS[..before.unwrap_or(STEPS.len())];
        self.succeed(before, &token, "undisturbed").await;
        token
    }

    /// Has the base role in force, and the clone gone.
    async fn without_the_clone(&self) {
        let (world, secret) = (&self.world, self.secret());
        let is_clone = |user: &serde_json::Value| user != world.alternating_role();
        if is_clone(&current(world, secret).await["username"]) {
            let token = self.staged();
            self.succeed(&STEPS, &token, "undisturbed").await;
        }
        let clone = format!("{}_clone", world.alternating_role());
        execute(world, &format!("DROP ROLE IF EXISTS {clone}")).await;
    }

    /// Kills the process that runs the step as soon as `stopped` is; false where the step ends before.
    async fn killed(
        &self,
        step: &str,
        token: &str,
        place: &str,
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
            (false, outcome) => assert!(outcome.is_ok(), "{place}: {outcome:?}"),
            (true, Ok(outcome)) => panic!("{place}: it was not killed: {outcome}"),
            (true, Err(error)) => assert_eq!(error.error_type, "Runtime.ExitError", "{place}"),
        }
        killed
    }

    /// After a step was killed.
    async fn assert_all_is_well(&self, step: &str, token: &str, place: &str) {
        let (world, secret) = (&self.world, self.secret());
        let mut gets_in = false;
        for label in ["AWSCURRENT", "AWSPENDING"] {
            if let Some(document) = document(world, secret, label).await {
                gets_in |= log_in(world, &document).await.is_ok();
            }
        }
        assert!(
            gets_in,
            "{place}: neither AWSCURRENT nor AWSPENDING logs in"
        );

        match step {
            REVOKE => {
                self.succeed(&[REVOKE], token, place).await;
                let previous = document(world, secret, "AWSPREVIOUS").await.unwrap();
                assert_rejected(log_in(world, &previous).await);
            }
            _ => self.succeed(&STEPS, token, place).await,
        }
        assert_eq!(version(world, secret, "AWSCURRENT").await, token, "{place}");
        let login = log_in(world, &current(world, secret).await).await;
        assert!(login.is_ok(), "{place}: AWSCURRENT does not log in");
    }

    /// Kills the step at each message, or at some; how many places there were.
    async fn at_each_message(&self, step: &str, share: usize) -> usize {
        let mut places = 0;
        for number in 0.. {
            for side in [Side::Before, Side::After] {
                if (2 * number + usize::from(side == Side::After)) % share != 0 {
                    continue;
                }
                let place = format!("{:?}, {step}, {side:?} message {number}", self.case);
                let token = self.up_to(step).await;
                self.proxy.stop_at(number, side);
                let killed = self
                    .killed(step, &token, &place, self.proxy.stopped())
                    .await;
                self.proxy.clear();
                self.assert_all_is_well(step, &token, &place).await;
                if !killed {
                    return places;
                }
                places += 1;
            }
        }
        places
    }

    /// The operations that the step calls.
    async fn calls(&self, step: &str) -> Vec<String> {
        let token = self.up_to(step).await;
        let before = self.world.secrets_manager().calls().len();
        self.succeed(&[step], &token, "undisturbed").await;
        let calls = self.world.secrets_manager().calls();
        let calls = calls[before..].iter().map(|call| call.operation.clone());
        let calls: Vec<String> = calls.collect();
        self.assert_all_is_well(step, &token, "undisturbed").await;
        calls
    }

    /// Kills the step in each call to Secrets Manager.
    async fn in_each_call(&self, step: &str) -> usize {
        let calls = self.calls(step).await;
        for (number, operation) in calls.iter().enumerate() {
            for when in [When::BeforeEffect, When::AfterEffect] {
                let place = format!(
                    "{:?}, {step}, {when:?} of {operation}, call {number}",
                    self.case
                );
                let token = self.up_to(step).await;
                let (service, hang) = (self.world.secrets_manager(), Hang::default());
                let earlier = calls[..number].iter().filter(|of| *of == operation);
                for _ in earlier {
                    service.inject(Fault::on(operation, Behavior::Delay(Default::default())));
                }
                service.inject(Fault::on(operation, Behavior::Hang(when, hang.clone())));
                assert!(
                    self.killed(step, &token, &place, hang.reached()).await,
                    "{place}: there is no such call"
                );
                hang.release();
                self.assert_all_is_well(step, &token, &place).await;
            }
        }
        2 * calls.len()
    }
}

/// Kills a rotation, and a revoke, of this kind of secret everywhere.
async fn everywhere(case: Case, share: usize) {
    let scene = Scene::set(case).await;
    let (mut messages, mut calls) = (0, 0);
    for step in STEPS.into_iter().chain([REVOKE]) {
        messages += scene.at_each_message(step, share).await;
        if share == 1 || case == Case::TwoUsers {
            calls += scene.in_each_call(step).await;
        }
    }
    assert!(messages * share > 50, "only {messages} messages were met");
    eprintln!("{case:?}: killed at {messages} sides of messages and {calls} of calls");
}

#[tokio::test]
async fn a_single_user_gets_in_wherever_the_function_is_killed() {
    everywhere(Case::SingleUser, SHARE).await;
}

#[tokio::test]
async fn two_users_get_in_wherever_the_function_is_killed() {
    everywhere(Case::TwoUsers, SHARE).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_single_user_gets_in_at_each_place() {
    everywhere(Case::SingleUser, 1).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn two_users_get_in_at_each_place() {
    everywhere(Case::TwoUsers, 1).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_user_gets_in_at_each_place_while_the_other_one_is_made() {
    everywhere(Case::FirstRotation, 1).await;
}
