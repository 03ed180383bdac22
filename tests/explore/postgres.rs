//! The statements of src/engine/postgres, and its reaction to the answers.
//!
//! It mirrors change.rs, single_user.rs, alternating_users.rs, announce.rs and kept.rs there. Questions with the same answer in every
//! state of the model are left out: is the server a standby, is it the same one, who is the session, memberships and settings.

use std::time::Duration;

use secret_rotation::{
    document::Document,
    engine::{Ended, EngineError, Login, Promotion, Retiring, Whose},
};

use crate::{
    calls::{Answer, Call, Credential, Write},
    line::{Line, Strategy, number},
};

/// Whose session it is; `None` if only a mistake treats it as a session.
#[derive(Debug)]
pub(crate) struct Session(pub(crate) Option<u8>);

pub(crate) fn lost() -> EngineError {
    EngineError::Unreachable {
        server: "h:5432".to_owned(),
        reason: "its answer was lost".to_owned(),
    }
}

impl Line<'_> {
    pub(crate) async fn done(&self, call: Call) -> Result<(), EngineError> {
        match self.ask(call).await {
            Answer::Lost => Err(lost()),
            Answer::TimedOut => Err(EngineError::TimedOut {
                server: "h:5432".to_owned(),
                seconds: 1.0,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) async fn login(
        &self,
        credential: Credential,
    ) -> Result<Login<Session>, EngineError> {
        match self.ask(Call::LogIn(credential)).await {
            Answer::Accepted => Ok(Login::Accepted(Session(Some(credential.user)))),
            Answer::Rejected => Ok(Login::Rejected),
            _ => Err(lost()),
        }
    }

    /// Single user. `write` is what is changed for the new credential.
    pub(crate) async fn replace<E: From<EngineError>>(
        &self,
        session: &Session,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
        write: impl Fn(Credential) -> Write,
    ) -> Result<(), E> {
        if session.0.is_none() {
            return Err(lost().into());
        }
        self.done(Call::Lock).await?;
        let Some(pending) = wanted().await? else {
            return Ok(self.done(Call::Rollback).await?);
        };
        let write = write(self.credential(&pending));
        Ok(self.done(Call::Last(write)).await?)
    }

    /// Alternating users: the user that is not `from` becomes like `from`.
    pub(crate) async fn open<E: From<EngineError>>(
        &self,
        from: u8,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
        last: impl Fn(Credential) -> Call,
    ) -> Result<(), E> {
        self.done(Call::LogInAdministrator).await?;
        self.done(Call::Lock).await?;
        let other = self.other_than(from);
        match self.ask(Call::Find(other)).await {
            Answer::Found(true) => {}
            Answer::Found(false) => self.done(Call::Alter(Write::Create(other))).await?,
            _ => return Err(lost().into()),
        }
        let Some(pending) = wanted().await? else {
            return Ok(self.done(Call::Rollback).await?);
        };
        self.done(last(self.credential(&pending))).await?;
        self.kept.administrator.set(Some(from));
        Ok(())
    }

    pub(crate) async fn bound<E: From<EngineError>>(
        &self,
        user: u8,
        retiring: &Retiring<'_>,
        window: Option<Duration>,
        read: &impl AsyncFn(Whose) -> Result<Document, E>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        read(Whose::Administrator).await?;
        if self.kept.administrator.take() == Some(user) {
            match self.done(Call::Lock).await {
                // closed meanwhile: nothing was asked yet
                Err(EngineError::Unreachable { .. }) => {}
                locked => {
                    locked?;
                    return self.bound_by(user, window, promote).await;
                }
            }
        }
        let version = Some(number(retiring.version));
        if self.kept.proven.take() != version {
            let successor = self.credential(&read(Whose::Successor).await?);
            let Login::Accepted(_) = self.login(successor).await? else {
                return Err(EngineError::SuccessorRejected {
                    server: "h:5432".to_owned(),
                    user: successor.user.to_string(),
                }
                .into());
            };
        }
        self.done(Call::LogInAdministrator).await?;
        self.kept.proven.set(version);
        self.done(Call::Lock).await?;
        self.bound_by(user, window, promote).await
    }

    async fn bound_by<E: From<EngineError>>(
        &self,
        user: u8,
        window: Option<Duration>,
        promote: impl AsyncFnOnce() -> Result<Promotion, E>,
    ) -> Result<Promotion, E> {
        let until = match window {
            None => None,
            Some(_) => match self.ask(Call::Bound(user)).await {
                Answer::Until(until) => until,
                _ => return Err(lost().into()),
            },
        };
        let promotion = promote().await?;
        match until {
            Some(until) if promotion != Promotion::Outdated => {
                // the server answers with the end of a whole window
                let until = if window == Some(Duration::ZERO) {
                    until - 1
                } else {
                    until
                };
                self.done(Call::Last(Write::Until(user, until))).await?;
            }
            _ => self.done(Call::Rollback).await?,
        }
        Ok(promotion)
    }

    /// By the session of the version, or a new one; it fails nothing.
    pub(crate) async fn announce<E: From<EngineError>>(
        &self,
        version: &str,
        read: impl AsyncFn(Whose) -> Result<Document, E>,
    ) {
        let kept = self.kept.proven.take() == Some(number(version));
        if kept && self.ask(Call::Notify).await == Answer::Done {
            return;
        }
        let Ok(successor) = read(Whose::Successor).await else {
            return;
        };
        if let Ok(Login::Accepted(_)) = self.login(self.credential(&successor)).await {
            let _ = self.done(Call::Notify).await;
        }
    }

    pub(crate) async fn end<E: From<EngineError>>(
        &self,
        user: u8,
        wanted: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Ended, E> {
        self.done(Call::LogInAdministrator).await?;
        self.done(Call::Lock).await?;
        wanted().await?;
        self.done(Call::Last(Write::End(user))).await?;
        self.done(Call::Terminate(user)).await?;
        Ok(Ended::default())
    }

    pub(crate) fn other_than(&self, user: u8) -> u8 {
        match self.strategy {
            Strategy::Alternating => 1 - user,
            _ => user,
        }
    }
}
