//! The administrator: its session, and what it does to a role.

use super::{Postgres, Session, errors::Doing, roles, session::Purpose};
use crate::{
    document::Document,
    engine::{EngineError, Login},
};

pub(super) async fn log_in(
    postgres: &Postgres<'_>,
    administrator: &Document,
) -> Result<Session, EngineError> {
    match postgres
        .connect(administrator, Purpose::Administrator)
        .await?
    {
        Login::Accepted(session) => session.takes_changes().map(|()| session),
        Login::Rejected => Err(EngineError::AdministratorRejected {
            server: administrator.server(),
            user: administrator.username().to_owned(),
        }),
    }
}

/// What is done to a role, for the error that names the right that an administrator lacks.
pub(super) struct Altering<'a> {
    session: &'a Session,
    action: String,
    cure: String,
}

impl<'a> Altering<'a> {
    pub(super) fn new(session: &'a Session, action: &str, role: &str) -> Self {
        Self {
            session,
            action: format!("{action} {role}"),
            cure: roles::allow(&session.user, role),
        }
    }

    pub(super) fn doing(&self) -> Doing<'_> {
        Doing {
            action: &self.action,
            cure: &self.cure,
        }
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), EngineError> {
        self.session.run(sql, self.doing()).await
    }
}
