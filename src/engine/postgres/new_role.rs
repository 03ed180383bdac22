//! The role of a new secret, made by an administrator (feature `doctor`, for `rotatectl init`).
//!
//! Nothing proves the server before: none of the secret's own credentials can log in yet. So whoever calls this sends the
//! administrator only to the host that its own secret names.

use tokio_postgres::error::SqlState;

use super::{
    Postgres, Session,
    administrator::{self, Altering},
    alternating_users::pair_of,
    change::Change,
    errors::Doing,
    facts, obstacles, roles,
};
use crate::{document::Document, engine::EngineError, settings::PasswordHashing};

impl Postgres<'_> {
    /// Whether the role of a new secret is still to be made. If it is, the administrator tries to make it, without a password, and
    /// takes that back: what stands in the way is an error before anything is stored.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, lacks a right, or the server refuses the name.
    pub async fn lacks_role(
        &self,
        administrator: &Document,
        new: &Document,
    ) -> Result<bool, EngineError> {
        let session = administrator::log_in(self, administrator).await?;
        match begin(&session, new).await? {
            None => Ok(false),
            Some(change) => change.roll_back().await.map(|()| true),
        }
    }

    /// Makes the role, which may log in with the document's password. False: the role was there, and nothing was changed.
    ///
    /// # Errors
    ///
    /// As [`lacks_role`](Self::lacks_role).
    pub async fn make_role(
        &self,
        administrator: &Document,
        new: &Document,
    ) -> Result<bool, EngineError> {
        let session = administrator::log_in(self, administrator).await?;
        let Some(change) = begin(&session, new).await? else {
            return Ok(false);
        };
        let user = new.username();
        // the server gets a verifier, whatever a function is set to
        let sql = roles::change_password(user, new.password(), PasswordHashing::Scram, false);
        let altering = Altering::new(&session, "set the password of", user);
        change.commit(&sql, altering.doing()).await?;
        Ok(true)
    }
}

/// Makes the role without a password, in a transaction that is still open. None, and no transaction, if it is there already.
async fn begin<'a>(
    session: &'a Session,
    new: &Document,
) -> Result<Option<Change<'a>>, EngineError> {
    let user = new.username();
    let clone = match new.takes_turns() {
        true => Some(pair_of(user)?.clone),
        false => None,
    };
    // a rotation of a role of this name waits for the same lock
    let change = Change::begin(session, user).await?;
    let changer = facts::changer(session).await?;
    let names: Vec<&str> = [Some(user), clone.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    let known = facts::roles(session, &names).await?;
    if known.iter().any(|role| role.name == user) {
        change.roll_back().await?;
        return Ok(None);
    }
    let mut found = obstacles::of_new_role(&changer);
    found.extend(
        known
            .first()
            .map(|clone| obstacles::clone_is_there(user, &clone.name)),
    );
    obstacles::heed(&session.server, found)?;
    let making = Doing {
        action: &format!("make the role {user}"),
        cure: &roles::create_roles(&session.user),
    };
    match change.run(&roles::create_with_login(user), making).await {
        Ok(()) => Ok(Some(change)),
        // by somebody who does not take that lock
        Err(EngineError::Refused { code, .. }) if was_made_meanwhile(&code) => {
            change.roll_back().await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The server found the role, or waited for the transaction that made it.
fn was_made_meanwhile(code: &str) -> bool {
    [SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION]
        .iter()
        .any(|state| state.code() == code)
}
