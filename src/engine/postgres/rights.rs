//! What only rotatectl asks of a server (feature `doctor`): what a rotation will find, and a password given back.

use super::{
    Postgres, Session,
    alternating_users::{self, Altering},
    change::Change,
    errors::READS,
    facts::{self, Facts},
    instance::same_instance,
    login_of, obstacles, pin, roles,
};
use crate::{
    document::Document,
    engine::{EngineError, Obstacle},
};

impl Postgres<'_> {
    /// What stands in the way of the next rotation, and what it will say; as setSecret finds it.
    ///
    /// `proven` is a session of one of the secret's own credentials: the administrator must be on the same running server.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, or is on another server, or the catalogs give no answer.
    pub async fn obstacles(
        &self,
        proven: &Session,
        administrator: Option<&Document>,
        current: &Document,
    ) -> Result<Vec<Obstacle>, EngineError> {
        let user = current.username();
        let md5 = proven.md5.then(|| obstacles::kept_as_md5(user));
        let mut found: Vec<_> = md5.into_iter().collect();
        let Some(administrator) = administrator else {
            found.extend(of_one(proven, user).await?);
            return Ok(found);
        };
        let session = alternating_users::log_in(self, administrator).await?;
        same_instance(proven, &session).await?;
        // as what it acts as when it changes something
        session.run(&pin::begin(&session), READS).await?;
        if !current.takes_turns() {
            found.extend(of_one(&session, user).await?);
            return Ok(found);
        }
        let pair = alternating_users::pair(user)?;
        let facts = facts::pair(&session, &pair, login_of(current)?.owner()).await?;
        found.extend(obstacles::of_a_pair(&facts, &pair, pair.other_than(user)));
        found.extend(ends_no_sessions(&facts));
        Ok(found)
    }

    /// Has the administrator give the current user the stored password again, for whoever changed it by hand.
    ///
    /// Nothing proves that the administrator's credential goes where it belongs, for none of the secret's own logs in:
    /// an operator decides that, not the function.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, or may not.
    pub async fn restore(
        &self,
        administrator: &Document,
        current: &Document,
    ) -> Result<(), EngineError> {
        let session = alternating_users::log_in(self, administrator).await?;
        let user = current.username();
        let change = Change::begin(&session, &alternating_users::pair(user)?.base).await?;
        let altering = Altering::new(&session, "alter", user);
        change
            .run(&roles::unlock(user, None), altering.doing())
            .await?;
        let hashing = self.settings.hashing;
        let sql = roles::change_password(user, current.password(), hashing, false);
        change.commit(&sql, altering.doing()).await
    }
}

async fn of_one(session: &Session, user: &str) -> Result<Vec<Obstacle>, EngineError> {
    let changer = facts::changer(session).await?;
    let role = facts::roles(session, &[user]).await?;
    Ok(role
        .first()
        .map_or_else(Vec::new, |role| obstacles::of_one(&changer, role)))
}

/// A rotation does not need it, a revocation does.
fn ends_no_sessions(facts: &Facts) -> Option<Obstacle> {
    let forbidden = !facts.changer.signals && !facts.changer.superuser;
    let user = &facts.changer.user;
    forbidden.then(|| {
        Obstacle::stops(
            "AdministratorForbidden",
            format!("the administrator {user} may not end sessions, as revokeSecret does"),
            "as a superuser, run",
            vec![roles::grant("pg_signal_backend", user)],
        )
    })
}
