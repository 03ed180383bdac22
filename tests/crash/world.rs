//! The store and the database in memory, and the script of what goes wrong.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use local::secrets_manager::labels::{CURRENT, LabelError, PENDING, Versions as Labels};
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use secret_rotation::{
    document::{Document, Overlap},
    error::Error,
    event::{RotationEvent, Step},
    password::{Policy, Rules},
    rotation::{Memory, Outcome, Rotation},
    store::{SecretStore, StoreError, Version, Versions, Which, Written},
    target::{Announced, Login, Revoked, Target, TargetError},
};
use tokio::sync::Notify;

pub(crate) const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];
pub(crate) const TOKEN: &str = "new";
pub(crate) const ADMINISTRATOR: &str = "administrator";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    BeforeItsEffect,
    AfterItsEffect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Crash,
    Error,
}

/// The call, counted from the start of the rotation, that is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) call: usize,
    pub(crate) when: When,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    Single,
    Alternating,
}

/// A role of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    password: String,
    /// Its password is to end.
    bounded: bool,
}

/// What outlives a crash: the stored versions and the roles. And the script of what goes wrong.
pub(crate) struct World {
    users: Users,
    labels: RefCell<Labels<String>>,
    roles: RefCell<BTreeMap<String, Role>>,
    /// This one does not outlive it.
    memory: RefCell<Arc<Memory>>,
    pub(crate) calls: Cell<usize>,
    pub(crate) cut: Cell<Option<Cut>>,
    crashed: Notify,
    /// How often each call lets the other invocation go first, as a sequence of bits.
    pub(crate) schedule: Cell<u64>,
    writes: Cell<usize>,
}

/// The call was cut: its caller hears nothing.
pub(crate) struct Lost;

impl World {
    pub(crate) fn new(users: Users) -> Self {
        let mut labels = Labels::default();
        labels
            .put("old", document(users, "app", "old password"), None)
            .unwrap();
        labels.stage(TOKEN).unwrap();
        let app = Role {
            password: "old password".to_owned(),
            bounded: false,
        };
        Self {
            users,
            labels: labels.into(),
            roles: RefCell::new([("app".to_owned(), app)].into()),
            memory: RefCell::default(),
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
    pub(crate) async fn deliver(&self, step: Step) -> Option<Result<Outcome, Error>> {
        let event = RotationEvent {
            step,
            secret: "secret".to_owned(),
            token: TOKEN.to_owned(),
            rotation_token: None,
        };
        let policy = Policy::new(&Rules::default()).unwrap();
        let mut rng = SysRng;
        let memory = Arc::clone(&self.memory.borrow());
        let rotation = Rotation {
            store: &self,
            target: &self,
            policy: &policy,
            overlap: Overlap::Bounded(Duration::from_secs(60)),
            memory: &memory,
            now: std::time::SystemTime::now(),
        };
        tokio::select! {
            biased;
            result = rotation.run(&mut rng, &event) => Some(result),
            () = self.crashed.notified() => {
                self.memory.replace(Arc::default());
                None
            }
        }
    }

    /// The four steps, until one fails; whether all went right.
    pub(crate) async fn attempt(&self) -> bool {
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
        let stored = stored.map(|stored| Document::parse(&stored.into()).unwrap());
        stored.is_some_and(|stored| self.accepts(&stored))
    }

    fn accepts(&self, document: &Document) -> bool {
        let roles = self.roles.borrow();
        let role = roles.get(document.username());
        role.is_some_and(|role| role.password == document.password().expose_secret())
    }

    pub(crate) fn assert_nobody_is_locked_out(&self, case: &str) {
        let current = self.logs_in(self.value(None, Some(CURRENT)));
        let pending = self.logs_in(self.value(None, Some(PENDING)));
        match self.users {
            Users::Single => assert!(
                current || pending,
                "{case}: neither AWSCURRENT nor AWSPENDING logs in"
            ),
            Users::Alternating => assert!(current, "{case}: AWSCURRENT does not log in"),
        }
    }

    pub(crate) fn assert_finished(&self, case: &str) {
        let labels = self.labels.borrow();
        let (current, value) = labels.read(None, Some(CURRENT)).unwrap();
        assert_eq!(current, TOKEN, "{case}");
        assert!(
            self.logs_in(Some(value.clone())),
            "{case}: AWSCURRENT does not log in"
        );
        let (previous, value) = labels.read(None, Some("AWSPREVIOUS")).unwrap();
        assert_eq!(previous, "old", "{case}");
        assert_eq!(self.writes.get(), 1, "{case}: one password for one token");
        if self.users == Users::Alternating {
            assert!(
                self.logs_in(Some(value.clone())),
                "{case}: AWSPREVIOUS ended before its bound"
            );
            assert!(
                self.roles.borrow()["app"].bounded,
                "{case}: the old user is not bounded"
            );
            assert!(
                !self.roles.borrow()["app_clone"].bounded,
                "{case}: the new user is bounded"
            );
        }
    }

    /// Everything that a step delivered once more must leave as it is.
    pub(crate) fn state(&self) -> (Labels<String>, BTreeMap<String, Role>) {
        (self.labels.borrow().clone(), self.roles.borrow().clone())
    }
}

pub(crate) fn document(users: Users, username: &str, password: &str) -> String {
    let mut document = serde_json::json!({"host": "h", "username": username, "password": password});
    if users == Users::Alternating {
        document["masterarn"] = ADMINISTRATOR.into();
    }
    document.to_string()
}

pub(crate) fn unreachable(_: Lost) -> StoreError {
    StoreError::Unreachable {
        operation: "any",
        reason: "cut".to_owned(),
    }
}

pub(crate) fn database_unreachable(_: Lost) -> TargetError {
    TargetError::Unreachable {
        server: "h:5432".to_owned(),
        reason: "cut".to_owned(),
    }
}

impl SecretStore for &World {
    async fn versions(&self, _: &str) -> Result<Versions, StoreError> {
        self.call(|| Versions {
            rotation_enabled: true,
            rotated: None,
            labels: self.labels.borrow().stages(),
        })
        .await
        .map_err(unreachable)
    }

    async fn read(&self, secret: &str, which: Which<'_>) -> Result<Option<Version>, StoreError> {
        if secret == ADMINISTRATOR {
            let document = r#"{"username":"admin","password":"admin's"}"#.into();
            let version = Version {
                id: "any".to_owned(),
                document,
                created: None,
            };
            return self.call(|| Some(version)).await.map_err(unreachable);
        }
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
    const ENGINES: &'static [&'static str] = secret_rotation::document::ENGINES;
    type Session = ();

    fn propose(
        &self,
        current: &Document,
        password: SecretString,
        overlap: Overlap,
    ) -> Result<Document, TargetError> {
        Ok(match self.users {
            Users::Single => current.with_password(password),
            Users::Alternating => current.with_user("app_clone".to_owned(), password, overlap),
        })
    }

    async fn log_in(&self, document: &Document) -> Result<Login<()>, TargetError> {
        let answer = || {
            if self.accepts(document) {
                Login::Accepted(())
            } else {
                Login::Rejected
            }
        };
        self.call(answer).await.map_err(database_unreachable)
    }

    async fn prove(&self, (): (), _: &Document, _: &str) -> Result<(), TargetError> {
        self.call(|| ()).await.map_err(database_unreachable)
    }

    async fn change(
        &self,
        (): (),
        _: Option<&Document>,
        _: &Document,
        pending: &Document,
    ) -> Result<(), TargetError> {
        let password = pending.password().expose_secret().to_owned();
        self.call(|| {
            let role = Role {
                password,
                bounded: false,
            };
            self.roles
                .borrow_mut()
                .insert(pending.username().to_owned(), role);
        })
        .await
        .map_err(database_unreachable)
    }

    async fn retire(
        &self,
        _: &Document,
        retired: &Document,
        _: Duration,
    ) -> Result<(), TargetError> {
        self.call(|| {
            let labels = self.labels.borrow();
            assert_eq!(
                labels.current(),
                Some(TOKEN),
                "retired before the successor was promoted"
            );
            self.roles
                .borrow_mut()
                .get_mut(retired.username())
                .unwrap()
                .bounded = true;
        })
        .await
        .map_err(database_unreachable)
    }

    /// No call to be cut: it fails no rotation, and a crash in it is one after the call before it.
    async fn announce(
        &self,
        _: Option<&Document>,
        _: &str,
        version: &str,
    ) -> Result<Announced, TargetError> {
        let labels = self.labels.borrow();
        assert_eq!(
            labels.current(),
            Some(version),
            "announced before it was promoted"
        );
        Ok(Announced::Told)
    }

    async fn revoke(&self, (): (), _: Revoked<'_>) -> Result<u64, TargetError> {
        unreachable!("no rotation revokes")
    }
}
