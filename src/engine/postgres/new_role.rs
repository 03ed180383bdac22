//! The role of a new secret, made by an administrator (feature `doctor`, for `rotatectl init`).
//!
//! Nothing proves the server first: none of the secret's own credentials can log in yet. So the caller must send the
//! administrator only to the host that the administrator's secret names.

use tokio_postgres::{error::SqlState, types::Type};

use super::{
    Postgres, Session,
    administrator::{self, Altering},
    alternating_users::pair_of,
    change::Change,
    errors::{Doing, READS},
    facts, login_of, obstacles, roles,
    session::{Purpose, Value},
};
use crate::{
    document::{Document, Pair},
    engine::{EngineError, Login},
    settings::PasswordHashing,
};

/// What an administrator finds out about the role of a new secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewRole {
    /// The role exists.
    IsThere,
    /// The role does not exist, and can be made; with a grant, if its database admits only roles with one.
    Missing {
        /// Whether CONNECT is granted to it.
        by_grant: bool,
        /// Whether a pooler is in between.
        pooled: bool,
    },
    /// The role could not log in to its database.
    ShutOut {
        /// What blocks it.
        why: String,
        /// The statement with which a superuser removes the block.
        sql: String,
    },
}

impl Postgres<'_> {
    /// Whether the role of a new secret must still be made. If so, the administrator tries to make it, without a password, and
    /// rolls back: obstacles show before anything is stored.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, lacks a right, or the server refuses the name.
    pub async fn find_role(
        &self,
        administrator: &Document,
        new: &Document,
    ) -> Result<NewRole, EngineError> {
        let session = administrator::log_in(self, administrator).await?;
        let change = Change::begin(&session, new.username()).await?;
        let found = make(&session, &change, new).await?;
        change.roll_back().await?;
        Ok(found)
    }

    /// Makes the role, which may log in with the document's password. Changes nothing if the role was not missing.
    ///
    /// # Errors
    ///
    /// As [`find_role`](Self::find_role).
    pub async fn make_role(
        &self,
        administrator: &Document,
        new: &Document,
    ) -> Result<NewRole, EngineError> {
        let session = administrator::log_in(self, administrator).await?;
        let user = new.username();
        // a rotation of a role with this name waits for the same lock
        let change = Change::begin(&session, user).await?;
        let found = make(&session, &change, new).await?;
        if !matches!(found, NewRole::Missing { .. }) {
            change.roll_back().await?;
            return Ok(found);
        }
        // the server gets a verifier, regardless of the function's setting
        let sql = roles::change_password(user, new.password(), PasswordHashing::Scram, false);
        let altering = Altering::new(&session, "set the password of", user);
        change.commit(&sql, altering.doing()).await?;
        Ok(found)
    }

    /// Whether a stored credential logs in, with a role that a rotation may keep.
    ///
    /// # Errors
    ///
    /// The server does not say, is a standby, or the role is a superuser.
    pub async fn accepts_stored(&self, stored: &Document) -> Result<bool, EngineError> {
        let Login::Accepted(session) = self.connect(stored, Purpose::Owner).await? else {
            return Ok(false);
        };
        session.takes_changes()?;
        let changer = facts::changer(&session).await?;
        let (user, pair) = (stored.username(), Pair::of(stored.username()));
        let names: &[&str] = match stored.takes_turns() {
            true => &[&pair.base, &pair.clone],
            false => &[user],
        };
        let known = facts::roles(&session, names).await?;
        let found = known.iter();
        let mut found = found.filter_map(|role| obstacles::superuser(&changer, role));
        match found.next() {
            None => Ok(true),
            // a rotation only warns about it; a new secret does not begin with it
            Some(superuser) => Err(EngineError::Obstacle {
                server: session.server.clone(),
                first: Box::new(superuser),
                others: Vec::new(),
            }),
        }
    }
}

/// Makes the role without a password, in a transaction that stays open, unless the role exists.
async fn make(
    session: &Session,
    change: &Change<'_>,
    new: &Document,
) -> Result<NewRole, EngineError> {
    let user = new.username();
    let clone = match new.takes_turns() {
        true => Some(pair_of(user)?.clone),
        false => None,
    };
    let changer = facts::changer(session).await?;
    let names: Vec<&str> = [Some(user), clone.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    let known = facts::roles(session, &names).await?;
    if known.iter().any(|role| role.name == user) {
        return Ok(NewRole::IsThere);
    }
    let mut found = obstacles::of_new_role(&changer);
    found.extend(
        known
            .first()
            .map(|clone| obstacles::clone_exists(user, &clone.name)),
    );
    obstacles::refuse_or_warn(&session.server, found)?;
    let making = Doing {
        action: &format!("make the role {user}"),
        cure: &roles::create_roles(&session.user),
    };
    match change.run(&roles::create_with_login(user), making).await {
        Ok(()) => connect(session, change, new).await,
        // a session that does not take that lock made it
        Err(EngineError::Refused { code, .. }) if was_made_meanwhile(&code) => Ok(NewRole::IsThere),
        Err(error) => Err(error),
    }
}

/// Makes sure that the new role may connect to its database.
async fn connect(
    session: &Session,
    change: &Change<'_>,
    new: &Document,
) -> Result<NewRole, EngineError> {
    let (user, dbname) = (new.username(), login_of(new)?.dbname());
    let pooled = session.pooled;
    let question = "SELECT datallowconn, pg_catalog.has_database_privilege($2, oid, 'CONNECT'), \
                        pg_catalog.has_database_privilege(oid, 'CONNECT WITH GRANT OPTION') \
                    FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) $1";
    let names: [Value<'_>; 2] = [(&dbname, Type::NAME), (&user, Type::NAME)];
    let known = session.ask(question, &names, READS, |row| {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    });
    let shut_out = |why, sql| Ok(NewRole::ShutOut { why, sql });
    match known.await?.pop() {
        None => shut_out(
            format!("there is no database {dbname}"),
            roles::create_database(dbname),
        ),
        Some((false, _, _)) => shut_out(
            format!("the database {dbname} allows no connections"),
            roles::open_database(dbname),
        ),
        Some((true, true, _)) => Ok(NewRole::Missing {
            by_grant: false,
            pooled,
        }),
        Some((true, false, true)) => {
            let doing = Doing::new("let the role connect");
            change
                .run(&roles::grant_connect(dbname, user), doing)
                .await?;
            Ok(NewRole::Missing {
                by_grant: true,
                pooled,
            })
        }
        Some((true, false, false)) => {
            let administrator = &session.user;
            shut_out(
                format!(
                    "{user} may not connect to the database {dbname}, and {administrator} may not let it"
                ),
                format!(
                    "{} WITH GRANT OPTION",
                    roles::grant_connect(dbname, administrator)
                ),
            )
        }
    }
}

/// The server found the role, or waited for the transaction that made it.
fn was_made_meanwhile(code: &str) -> bool {
    [SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION]
        .iter()
        .any(|state| state.code() == code)
}
