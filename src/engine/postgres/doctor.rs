//! What only rotatectl asks of a server (feature `doctor`): what a rotation will find, what else knows the password or depends
//! on the user, and a password that is set again.

use tokio_postgres::error::SqlState;

use super::{
    Postgres, Session,
    administrator::{self, Altering},
    alternating_users, at_host,
    change::Change,
    copies,
    errors::READS,
    facts::{self, Role},
    instance::same_instance,
    login_of, obstacles, pair, pin, proof, roles,
    session::Purpose,
};
use crate::{
    document::Document,
    engine::{EngineError, Login, Obstacle},
};

impl Postgres<'_> {
    /// The obstacles of the next rotation, its warnings, and what it cannot see, as setSecret finds them.
    ///
    /// `proven` is a session of one of the secret's own credentials: the administrator must be on the same running server.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, or is on another server, the catalogs give no answer, or AWSCURRENT's session is not
    /// what testSecret would accept.
    pub async fn obstacles(
        &self,
        proven: &Session,
        administrator: Option<&Document>,
        current: &Document,
    ) -> Result<Vec<Obstacle>, EngineError> {
        let mut found = self.of_the_application(proven, current).await?;
        let user = current.username();
        let Some(administrator) = administrator else {
            at_host::may_change(self, current, proven).await?;
            found.extend(of_one(proven, user).await?);
            return Ok(found);
        };
        let session = administrator::log_in(self, administrator).await?;
        same_instance(proven, &session).await?;
        // as the role that it acts as when it changes something
        session.run(&pin::begin(&session), READS).await?;
        if !current.takes_turns() {
            at_host::may_change(self, current, proven).await?;
            found.extend(of_one(&session, user).await?);
            return Ok(found);
        }
        let pair = alternating_users::pair_of(user)?;
        let facts = pair::of(&session, &pair, login_of(current)?.owner()).await?;
        found.extend(obstacles::of_a_pair(&facts, &pair, pair.other_than(user)));
        found.extend(ends_no_sessions(&session).await?);
        found.extend(facts.role(user).and_then(ends));
        found.extend(copies::of(&session, &[&pair.base, &pair.clone]).await?);
        found.extend(copies::by_session_user(&session, user).await?);
        found.extend(proven.pooled.then(|| idle_server_sessions(user)));
        // the administrator and the application find some of the same obstacles
        let mut once = Vec::new();
        for obstacle in found {
            if !once.contains(&obstacle) {
                once.push(obstacle);
            }
        }
        Ok(once)
    }

    /// What testSecret would check, on AWSCURRENT's own session.
    async fn of_the_application(
        &self,
        proven: &Session,
        current: &Document,
    ) -> Result<Vec<Obstacle>, EngineError> {
        let user = current.username();
        let mut found = Vec::new();
        found.extend(self.keeps_md5(proven).then(|| obstacles::kept_as_md5(user)));
        let session = match self.connect(current, Purpose::Application).await {
            Ok(Login::Accepted(session)) => session,
            Ok(Login::Rejected) => return Ok(found),
            // `proven` already uses a connection: the role has no more
            Err(EngineError::Refused { code, .. })
                if code == SqlState::TOO_MANY_CONNECTIONS.code() =>
            {
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        proof::prove(&session, current, self.settings.verify_sql.as_deref()).await?;
        found.extend(copies::of(&session, &[user]).await?);
        Ok(found)
    }

    /// Why the server rejects a user, if the catalogs show it: `proven` is a session of another credential of the secret.
    ///
    /// # Errors
    ///
    /// The catalogs give no answer.
    pub async fn why_rejected(
        &self,
        proven: &Session,
        user: &str,
    ) -> Result<Option<&'static str>, EngineError> {
        facts::why_rejected(proven, user).await
    }

    /// Sets the current user's password to the stored one, as the administrator, after someone changed it by hand.
    ///
    /// Nothing proves that the administrator's credential goes to the right server, because none of the secret's own
    /// credentials logs in: an operator decides that, not the function.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, or lacks the right.
    pub async fn restore(
        &self,
        administrator: &Document,
        current: &Document,
    ) -> Result<(), EngineError> {
        let session = administrator::log_in(self, administrator).await?;
        let user = current.username();
        let change = Change::begin(&session, &alternating_users::pair_of(user)?.base).await?;
        let altering = Altering::new(&session, "alter", user);
        let unlock = roles::unlock(user, None);
        change.run(&unlock, altering.doing()).await?;
        let hashing = self.settings.hashing;
        let sql = roles::change_password(user, current.password(), hashing, false);
        change.commit(&sql, altering.doing()).await
    }
}

impl Session {
    /// How the server stores a password that is set by hand (`password_encryption`).
    ///
    /// # Errors
    ///
    /// The server gives no answer, or one of another form.
    pub async fn hashing(&self) -> Result<String, EngineError> {
        let question = "SELECT pg_catalog.current_setting('password_encryption')";
        let hashing = self.ask(question, &[], READS, |row| row.try_get(0));
        let what = "read the setting password_encryption";
        hashing.await?.pop().ok_or(EngineError::Unable { what })
    }
}

async fn of_one(session: &Session, user: &str) -> Result<Vec<Obstacle>, EngineError> {
    let changer = facts::changer(session).await?;
    let role = facts::roles(session, &[user]).await?;
    let of_one = role.first().map(|role| obstacles::of_one(&changer, role));
    Ok(of_one.unwrap_or_default())
}

/// Only a revocation needs it, a rotation does not.
async fn ends_no_sessions(session: &Session) -> Result<Option<Obstacle>, EngineError> {
    let question = "SELECT pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')";
    let may = session.ask(question, &[], READS, |row| row.try_get(0));
    let forbidden = !may.await?.contains(&true);
    let user = &session.user;
    Ok(forbidden.then(|| {
        Obstacle::stops(
            "AdministratorForbidden",
            format!("the administrator {user} may not end sessions, as revokeSecret does"),
            "as a superuser, run",
            vec![roles::grant("pg_signal_backend", user)],
        )
    }))
}

/// An end that AWS's function, or a person, has set for the current user's password.
fn ends(role: &Role) -> Option<Obstacle> {
    let until = role.ends.as_ref().filter(|_| role.promised.is_some())?;
    Some(Obstacle::warns(
        "PasswordEnds",
        format!(
            "{} is the current user, and is locked out from {until} on (VALID UNTIL)",
            role.name
        ),
        "rotate before then; or, as a superuser, run",
        vec![roles::no_end(&role.name)],
    ))
}

/// A pooler that asks the server for passwords ignores VALID UNTIL, and keeps sessions open.
fn idle_server_sessions(user: &str) -> Obstacle {
    Obstacle::warns(
        "PoolerBetween",
        format!(
            "a pooler is in between, and may still accept {user} after its end, through a session that it keeps open"
        ),
        "let its auth_query check VALID UNTIL, and end its idle sessions (server_idle_timeout) before the overlap is over",
        Vec::new(),
    )
}
