//! What src/engine/postgres sends to the server, statement by statement, and what it makes of the answers.
//!
//! It mirrors single_user.rs, alternating_users.rs, announce.rs and kept.rs there. What has the same answer in every state
//! of the model is left out: is the server a standby, which cluster is it, who is the session, memberships and settings.

use std::time::Duration;

use secret_rotation::engine::{EngineError, Login, Revoked};

use crate::{
    calls::{Answer, Call, Credential, View, Write},
    line::{Line, Strategy},
};

/// Whose session it is; nobody's where only a mistake takes it for one.
#[derive(Debug)]
pub(crate) struct Session(pub(crate) Option<u8>);

pub(crate) fn lost() -> EngineError {
    EngineError::Unreachable {
        server: "h:5432".to_owned(),
        reason: "its answer was lost".to_owned(),
    }
}

/// What the fence says.
pub(crate) fn not_wanted() -> EngineError {
    EngineError::Unable {
        what: "change what is not wanted any more",
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

    /// The cure: the labels are asked while the lock is held. Without it, everything is wanted.
    async fn wanted(&self, holds: impl Fn(&View) -> bool) -> Result<bool, EngineError> {
        if !self.fence {
            return Ok(true);
        }
        match self.ask(Call::Describe).await {
            Answer::Labels(view) => Ok(holds(&view)),
            _ => Err(lost()),
        }
    }

    /// The token is what is rotated to, from the version that was read.
    fn is_pending(&self, view: &View) -> bool {
        view.pending == Some(self.token)
            && view.current != self.token
            && Some(view.current) == self.seen.get()
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

    pub(crate) async fn replace(
        &self,
        session: &Session,
        new: Credential,
    ) -> Result<(), EngineError> {
        let change = Write::Password(new);
        if session.0.is_none() {
            return Err(lost());
        }
        if !self.fence {
            return self.done(Call::Message(change)).await;
        }
        self.done(Call::Lock).await?;
        if !self.wanted(|view| self.is_pending(view)).await? {
            return Err(not_wanted());
        }
        self.done(Call::Alter(change)).await?;
        self.done(Call::Commit).await
    }

    pub(crate) async fn open(&self, from: u8, new: Credential) -> Result<(), EngineError> {
        self.open_with(from, new, Write::Open(new), Call::Commit)
            .await
    }

    pub(crate) async fn open_with(
        &self,
        from: u8,
        new: Credential,
        change: Write,
        end: Call,
    ) -> Result<(), EngineError> {
        self.done(Call::LogInAdministrator).await?;
        self.done(Call::Lock).await?;
        if !self.wanted(|view| self.is_pending(view)).await? {
            return Err(not_wanted());
        }
        match self.ask(Call::Find(new.user)).await {
            Answer::Found(true) => {}
            Answer::Found(false) => self.done(Call::Alter(Write::Create(new.user))).await?,
            _ => return Err(lost()),
        }
        self.done(Call::Alter(change)).await?;
        self.done(end).await?;
        self.kept.administrator.set(Some(from));
        Ok(())
    }

    /// `windows` is how long the user may go on.
    pub(crate) async fn bound(&self, user: u8, window: Duration) -> Result<(), EngineError> {
        if self.kept.administrator.take() == Some(user) {
            match self.bound_by(user, window).await {
                // closed meanwhile: it is repeated with a new session
                Err(EngineError::Unreachable { .. }) => {}
                done => return done,
            }
        }
        self.done(Call::LogInAdministrator).await?;
        self.bound_by(user, window).await
    }

    async fn bound_by(&self, user: u8, window: Duration) -> Result<(), EngineError> {
        self.done(Call::Lock).await?;
        let token = self.token;
        if !self
            .wanted(|view| view.at_rest() && view.current == token)
            .await?
        {
            return Ok(());
        }
        let until = match self.ask(Call::Bound(user)).await {
            Answer::Until(until) => until,
            _ => return Err(lost()),
        };
        if let Some(until) = until {
            // what the server answers is the end of a whole window
            let until = if window.is_zero() { until - 1 } else { until };
            self.done(Call::Alter(Write::Until(user, until))).await?;
        }
        self.done(Call::Commit).await
    }

    pub(crate) async fn end(&self, what: Revoked<'_>) -> Result<u64, EngineError> {
        let user = match what {
            Revoked::SessionsBegunBefore(_) => {
                self.done(Call::Terminate(0)).await?;
                return Ok(0);
            }
            Revoked::Previous { previous, .. } => self.credential(previous).user,
        };
        self.end_user(user).await
    }

    pub(crate) async fn end_user(&self, user: u8) -> Result<u64, EngineError> {
        self.done(Call::LogInAdministrator).await?;
        if self.fence {
            self.done(Call::Lock).await?;
            let seen = self.seen.get();
            if !self
                .wanted(|view| view.at_rest() && Some(view.current) == seen)
                .await?
            {
                return Err(not_wanted());
            }
            self.done(Call::Alter(Write::End(user))).await?;
            self.done(Call::Commit).await?;
        } else {
            self.done(Call::Message(Write::End(user))).await?;
        }
        self.done(Call::Terminate(user)).await?;
        Ok(0)
    }

    pub(crate) fn other_than(&self, user: u8) -> u8 {
        match self.strategy {
            Strategy::Alternating => 1 - user,
            _ => user,
        }
    }
}
