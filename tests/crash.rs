//! A rotation may be cut off anywhere, and nobody is locked out.
//!
//! The real steps run over a store and a database in memory. Each call to either is cut once, before and after
//! its effect, by a crash (the call never comes back) and by an error (it comes back without an answer), and
//! then the service does what it does: it begins again with createSecret and the same token. The same with
//! real processes, and a real PostgreSQL, is in tests/killed.rs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

use std::cell::{Cell, RefCell};

use local::secrets_manager::labels::{CURRENT, LabelError, PENDING, Versions as Labels};
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use secret_rotation::{
    document::Document,
    error::Error,
    event::{RotationEvent, Step},
    password::{Policy, Rules},
    rotation::{self, Outcome},
    store::{SecretStore, StoreError, Version, Versions, Which, Written},
    target::{Login, Target, TargetError},
};
use tokio::sync::Notify;

const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];
const TOKEN: &str = "new";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    BeforeItsEffect,
    AfterItsEffect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Crash,
    Error,
}

/// The call, counted from the start of the rotation, that is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    call: usize,
    when: When,
    how: How,
}

/// What outlives a crash: the stored versions and the role's password. And the script of what goes wrong.
struct World {
    labels: RefCell<Labels<String>>,
    password: RefCell<String>,
    calls: Cell<usize>,
    cut: Cell<Option<Cut>>,
    crashed: Notify,
    /// How often each call lets the other invocation go first, as a sequence of bits.
    schedule: Cell<u64>,
    writes: Cell<usize>,
}

/// The call was cut: its caller hears nothing.
struct Lost;

impl World {
    fn new() -> Self {
        let mut labels = Labels::default();
        labels.put("old", document("old password"), None).unwrap();
        labels.stage(TOKEN).unwrap();
        Self {
            labels: labels.into(),
            password: RefCell::new("old password".to_owned()),
            calls: Cell::default(),
            cut: Cell::default(),
            crashed: Notify::new(),
            schedule: Cell::default(),
            writes: Cell::default(),
        }
    }

    async fn call<R>(&self, effect: impl FnOnce() -> R) -> Result<R, Lost> {
        while self.schedule.get() & 1 == 1 {
            self.schedule.set(self.schedule.get() >> 1);
            tokio::task::yield_now().await;
        }
        self.schedule.set(self.schedule.get() >> 1);

        let call = self.calls.replace(self.calls.get() + 1);
        let cut = self.cut.get().filter(|cut| cut.call == call);
        if let Some(Cut {
            when: When::BeforeItsEffect,
            how,
            ..
        }) = cut
        {
            return self.lose(how).await;
        }
        let result = effect();
        if let Some(Cut {
            when: When::AfterItsEffect,
            how,
            ..
        }) = cut
        {
            return self.lose(how).await;
        }
        Ok(result)
    }

    async fn lose<R>(&self, how: How) -> Result<R, Lost> {
        if how == How::Crash {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
        Err(Lost)
    }

    /// One delivery of a step; `None` if the process crashed in it.
    async fn deliver(&self, step: Step) -> Option<Result<Outcome, Error>> {
        let event = RotationEvent {
            step,
            secret: "secret".to_owned(),
            token: TOKEN.to_owned(),
            rotation_token: None,
        };
        let policy = Policy::new(&Rules::default()).unwrap();
        let mut rng = SysRng;
        tokio::select! {
            biased;
            result = rotation::run(&self, &self, &policy, &mut rng, &event) => Some(result),
            () = self.crashed.notified() => None,
        }
    }

    /// The four steps, until one fails; whether all went right.
    async fn attempt(&self) -> bool {
        for step in STEPS {
            if !matches!(self.deliver(step).await, Some(Ok(_))) {
                return false;
            }
        }
        true
    }

    fn value(&self, version: Option<&str>, label: Option<&str>) -> Option<String> {
        self.labels
            .borrow()
            .read(version, label)
            .ok()
            .map(|(_, value)| value.clone())
    }

    fn logs_in(&self, stored: Option<String>) -> bool {
        stored.is_some_and(|stored| stored == document(&self.password.borrow()))
    }

    fn assert_nobody_is_locked_out(&self, case: &str) {
        let current = self.logs_in(self.value(None, Some(CURRENT)));
        let pending = self.logs_in(self.value(None, Some(PENDING)));
        assert!(
            current || pending,
            "{case}: neither AWSCURRENT nor AWSPENDING logs in"
        );
    }

    fn assert_finished(&self, case: &str) {
        let labels = self.labels.borrow();
        let (current, value) = labels.read(None, Some(CURRENT)).unwrap();
        assert_eq!(current, TOKEN, "{case}");
        assert!(
            self.logs_in(Some(value.clone())),
            "{case}: AWSCURRENT does not log in"
        );
        assert_eq!(
            labels.read(None, Some("AWSPREVIOUS")).unwrap().0,
            "old",
            "{case}"
        );
        assert_eq!(self.writes.get(), 1, "{case}: one password for one token");
    }
}

fn document(password: &str) -> String {
    serde_json::json!({"host": "h", "username": "app", "password": password}).to_string()
}

fn unreachable(_: Lost) -> StoreError {
    StoreError::Unreachable {
        operation: "any",
        reason: "cut".to_owned(),
    }
}

fn database_unreachable(_: Lost) -> TargetError {
    TargetError::Unreachable {
        server: "h:5432".to_owned(),
        reason: "cut".to_owned(),
    }
}

impl SecretStore for &World {
    async fn versions(&self, _: &str) -> Result<Versions, StoreError> {
        self.call(|| Versions {
            rotation_enabled: true,
            labels: self.labels.borrow().stages(),
        })
        .await
        .map_err(unreachable)
    }

    async fn read(&self, _: &str, which: Which<'_>) -> Result<Option<Version>, StoreError> {
        let id = if let Which::Pending(token) = which {
            Some(token)
        } else {
            None
        };
        let read = self
            .call(
                || match self.labels.borrow().read(id, Some(which.label())) {
                    Ok((id, value)) => Ok(Some((id.to_owned(), value.clone()))),
                    Err(LabelError::Mismatch) => Err(()),
                    Err(_) => Ok(None),
                },
            )
            .await
            .map_err(unreachable)?;
        let refused = |()| StoreError::Refused {
            operation: "GetSecretValue",
            code: "InvalidRequestException".to_owned(),
            message: "mismatch".to_owned(),
        };
        let found = read.map_err(refused)?;
        Ok(found.map(|(id, value)| Version {
            id,
            document: value.into(),
            created: None,
        }))
    }

    async fn write_pending(
        &self,
        _: &str,
        token: &str,
        _: Option<&SecretString>,
        document: &SecretString,
    ) -> Result<Written, StoreError> {
        let document = document.expose_secret().to_owned();
        self.call(|| {
            match self
                .labels
                .borrow_mut()
                .put(token, document, Some(&[PENDING]))
            {
                Ok(written) => {
                    self.writes.set(self.writes.get() + usize::from(written));
                    Written::Stored
                }
                Err(_) => Written::Conflict,
            }
        })
        .await
        .map_err(unreachable)
    }

    async fn promote(&self, _: &str, token: &str, from: &str) -> Result<(), StoreError> {
        self.call(|| {
            self.labels
                .borrow_mut()
                .move_label(CURRENT, Some(token), Some(from))
        })
        .await
        .map_err(unreachable)?
        .map_err(|error| StoreError::Refused {
            operation: "UpdateSecretVersionStage",
            code: "InvalidParameterException".to_owned(),
            message: error.to_string(),
        })
    }
}

impl Target for &World {
    type Session = ();

    fn propose(&self, current: &Document, password: SecretString) -> Document {
        current.with_password(password)
    }

    async fn log_in(&self, document: &Document) -> Result<Login<()>, TargetError> {
        self.call(
            || match document.password().expose_secret() == *self.password.borrow() {
                true => Login::Accepted(()),
                false => Login::Rejected,
            },
        )
        .await
        .map_err(database_unreachable)
    }

    async fn change(&self, (): (), pending: &Document) -> Result<(), TargetError> {
        let password = pending.password().expose_secret().to_owned();
        self.call(|| {
            *self.password.borrow_mut() = password;
        })
        .await
        .map_err(database_unreachable)
    }
}

/// How many calls a rotation makes in which nothing goes wrong.
async fn calls_of_a_rotation() -> usize {
    let world = World::new();
    assert!(world.attempt().await);
    world.assert_finished("undisturbed");
    world.calls.get()
}

fn cuts(calls: usize) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for call in 0..calls {
        for when in [When::BeforeItsEffect, When::AfterItsEffect] {
            for how in [How::Crash, How::Error] {
                cuts.push(Cut { call, when, how });
            }
        }
    }
    cuts
}

#[tokio::test]
async fn a_rotation_that_goes_right_makes_8_calls_and_2_logins() {
    // and one change: the other costs are measured at a real server in tests/rotation.rs
    assert_eq!(calls_of_a_rotation().await, 8 + 2 + 1);
}

#[tokio::test]
async fn after_any_cut_some_version_logs_in_and_the_retry_reaches_the_end() {
    for cut in cuts(calls_of_a_rotation().await) {
        let case = format!("{cut:?}");
        let world = World::new();
        world.cut.set(Some(cut));
        assert!(!world.attempt().await, "{case}: the cut was not reached");
        world.assert_nobody_is_locked_out(&case);
        world.cut.set(None);
        assert!(world.attempt().await, "{case}: the retry failed");
        world.assert_finished(&case);
    }
}

#[tokio::test]
async fn after_a_second_cut_in_the_retry_it_still_reaches_the_end() {
    let cuts = cuts(calls_of_a_rotation().await);
    let mut cut_twice = 0;
    for first in &cuts {
        for second in &cuts {
            let case = format!("{first:?}, then {second:?}");
            let world = World::new();
            for cut in [first, second] {
                world.calls.set(0);
                world.cut.set(Some(*cut));
                cut_twice += u32::from(!world.attempt().await);
                world.assert_nobody_is_locked_out(&case);
            }
            world.cut.set(None);
            assert!(world.attempt().await, "{case}: the last retry failed");
            world.assert_finished(&case);
        }
    }
    assert!(
        cut_twice as usize > cuts.len() * cuts.len(),
        "the second cuts were not reached: {cut_twice}"
    );
}

#[tokio::test]
async fn a_step_delivered_twice_changes_nothing_more() {
    let world = World::new();
    for step in STEPS {
        world.deliver(step).await.unwrap().unwrap();
        let (labels, password) = (
            world.labels.borrow().clone(),
            world.password.borrow().clone(),
        );
        world.deliver(step).await.unwrap().unwrap();
        assert_eq!(
            (&*world.labels.borrow(), &*world.password.borrow()),
            (&labels, &password),
            "{step}"
        );
    }
    world.assert_finished("twice");
}

#[tokio::test]
async fn all_steps_delivered_again_after_the_end_change_nothing_more() {
    let world = World::new();
    assert!(world.attempt().await);
    let (labels, password) = (
        world.labels.borrow().clone(),
        world.password.borrow().clone(),
    );
    assert!(world.attempt().await);
    assert_eq!(
        (&*world.labels.borrow(), &*world.password.borrow()),
        (&labels, &password)
    );
}

#[tokio::test]
async fn a_step_delivered_twice_at_once_ends_as_if_delivered_once_however_the_two_interleave() {
    for schedule in 0..4096 {
        let world = World::new();
        for step in STEPS {
            let case = format!("{step}, schedule {schedule:b}");
            world.schedule.set(schedule);
            let (one, other) = tokio::join!(world.deliver(step), world.deliver(step));
            for result in [one, other] {
                assert!(matches!(result, Some(Ok(_))), "{case}: {result:?}");
            }
            world.assert_nobody_is_locked_out(&case);
        }
        world.assert_finished(&format!("schedule {schedule:b}"));
    }
}
