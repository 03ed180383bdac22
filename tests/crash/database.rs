//! A database in memory: roles, passwords, and the mistakes that an engine can make with them.

use std::{cell::RefCell, collections::BTreeMap, time::SystemTime};

use secrecy::{ExposeSecret, SecretString};
use secret_rotation::{
    document::{Document, ENGINES},
    engine::{
        Engine, EngineError, Known, Login, Promotion, Proven, Retiring, Stored, Succession, Whose,
    },
    kit::Case,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    Single,
    Alternating,
}

/// What an engine must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    AcceptsAnything,
    TakesAnErrorForARejection,
    TakesARejectionForAnError,
    ChangesOnce,
    MakesAPasswordOfItsOwn,
    ChangesTheCurrentUser,
}

/// A role of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) password: String,
    /// Its password must end.
    pub(crate) bounded: bool,
}

#[derive(Debug)]
pub(crate) struct Database {
    users: Users,
    fault: Fault,
    changes: RefCell<usize>,
    pub(crate) roles: RefCell<BTreeMap<String, Role>>,
}

/// A database with one role, and the secret about it.
pub(crate) fn case(users: Users, fault: Fault) -> Case<Database> {
    let document = |host: &str| {
        let mut document =
            serde_json::json!({"host": host, "username": "app", "password": "old password"});
        if users == Users::Alternating {
            document["masterarn"] = "administrator".into();
        }
        SecretString::from(document.to_string())
    };
    let app = Role {
        password: "old password".to_owned(),
        bounded: false,
    };
    Case {
        engine: Database {
            users,
            fault,
            changes: RefCell::default(),
            roles: RefCell::new([("app".to_owned(), app)].into()),
        },
        current: document("h"),
        administrator: Some(r#"{"username":"admin","password":"admin's"}"#.into()),
        overlaps: users == Users::Alternating,
        unreachable: document("nowhere"),
    }
}

fn error(what: &str) -> EngineError {
    EngineError::Unreachable {
        server: "h:5432".to_owned(),
        reason: what.to_owned(),
    }
}

impl Engine for Database {
    const ENGINES: &'static [&'static str] = ENGINES;
    type Session = ();

    async fn log_in(&self, document: &Document) -> Result<Login<()>, EngineError> {
        if document.host() == "nowhere" {
            return match self.fault {
                Fault::TakesAnErrorForARejection => Ok(Login::Rejected),
                _ => Err(error("nowhere")),
            };
        }
        let roles = self.roles.borrow();
        let role = roles.get(document.username());
        let good = role.is_some_and(|role| role.password == document.password().expose_secret());
        match self.fault {
            _ if good => Ok(Login::Accepted(())),
            Fault::AcceptsAnything => Ok(Login::Accepted(())),
            Fault::TakesARejectionForAnError => Err(error("wrong password")),
            _ => Ok(Login::Rejected),
        }
    }

    async fn successor<E: From<EngineError>>(
        &self,
        succession: Succession<'_>,
        _: impl AsyncFn() -> Result<Option<Known>, E>,
        store: impl AsyncFnOnce(&Document) -> Result<Stored, E>,
    ) -> Result<Stored, E> {
        let (current, password) = (succession.current, succession.password);
        let successor = match (self.users, self.fault) {
            (Users::Single, _) | (_, Fault::ChangesTheCurrentUser) => {
                current.with_password(password)
            }
            (Users::Alternating, _) => {
                current.with_user("app_clone".to_owned(), password, succession.overlap)
            }
        };
        store(&successor).await
    }

    async fn change<E: From<EngineError>>(
        &self,
        _: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<()>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        if proven().await?.is_none() {
            return Ok(None);
        }
        let Some(pending) = wanted().await? else {
            return Ok(None);
        };
        *self.changes.borrow_mut() += 1;
        if self.fault == Fault::ChangesOnce && *self.changes.borrow() > 1 {
            return Err(error("changed already").into());
        }
        let role = Role {
            password: match self.fault {
                Fault::MakesAPasswordOfItsOwn => "its own".to_owned(),
                _ => pending.password().expose_secret().to_owned(),
            },
            bounded: false,
        };
        let mut roles = self.roles.borrow_mut();
        roles.insert(pending.username().to_owned(), role);
        Ok(None)
    }

    async fn retire<E: From<EngineError>>(
        &self,
        retiring: &Retiring<'_>,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        if retiring.window.is_none() {
            return promote().await;
        }
        read(Whose::Administrator).await?;
        let promotion = promote().await?;
        let mut roles = self.roles.borrow_mut();
        if let Some(role) = roles.get_mut(retiring.replaced.username()) {
            role.bounded |= promotion != Promotion::Outdated;
        }
        Ok(promotion)
    }
}
