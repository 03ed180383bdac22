//! What only rotatectl asks of a server (feature `doctor`): which rights are missing, and a password given back.
//!
//! A rotation finds out by trying, which is what counts. An operator who asks before a rotation gets all that is missing at
//! once, each with the statement that cures it.

use tokio_postgres::types::Type;

use super::{
    Postgres, Session,
    alternating_users::{self, Altering},
    change::Change,
    errors::READS,
    instance::same_instance,
    login_of, pin, roles,
};
use crate::{document::Document, engine::EngineError};

/// From this version on CREATEROLE alone does not let a role alter or grant others.
const ADMIN_OPTION_SINCE: i32 = 160_000;

/// A right that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What cannot be done without it, such as `alter app`.
    pub action: String,
    /// The SQL that a superuser runs to grant it.
    pub cure: String,
}

impl Postgres<'_> {
    /// What the administrator lacks to rotate and revoke the secret's two users; nothing if it is complete.
    ///
    /// `proven` is a session of one of the secret's own credentials: the administrator must be on the same cluster.
    ///
    /// # Errors
    ///
    /// The administrator does not log in, or is on another cluster, or the catalogs give no answer.
    pub async fn administrator_lacks(
        &self,
        proven: &Session,
        administrator: &Document,
        current: &Document,
    ) -> Result<Vec<Missing>, EngineError> {
        let session = alternating_users::log_in(self, administrator).await?;
        same_instance(proven, &session).await?;
        // as what it acts as when it changes something
        session.run(&pin::begin(&session), READS).await?;
        let user = current.username();
        if !current.takes_turns() {
            return missing(&session, &[user.to_owned()]).await;
        }
        let pair = alternating_users::pair(user)?;
        // what the current user is a member of, the other one becomes
        let present = roles::memberships(&session, pair.other_than(user)).await?;
        let mut granted = roles::memberships(&session, user).await?;
        granted.retain(|role| !present.contains(role));
        granted.extend([pair.base, pair.clone]);
        granted.extend(login_of(current)?.owner().map(str::to_owned));
        missing(&session, &granted).await
    }

    /// What the role itself lacks to change its own password, as it does under single user.
    ///
    /// # Errors
    ///
    /// The catalogs give no answer.
    pub async fn role_lacks(&self, session: &Session) -> Result<Vec<Missing>, EngineError> {
        Ok(may_set_passwords(session).await?.into_iter().collect())
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
        let limit = roles::connection_limit(&session, user).await?.unwrap_or(-1);
        let open = roles::open(user, limit, current.password(), self.settings.hashing);
        let altering = Altering::new(&session, "alter", user);
        change.commit(&open, altering.doing()).await
    }
}

async fn missing(session: &Session, granted: &[String]) -> Result<Vec<Missing>, EngineError> {
    let user = &session.user;
    let question = "SELECT rolsuper, rolcreaterole, pg_catalog.current_setting('server_version_num')::pg_catalog.int4, \
                        pg_catalog.pg_has_role('pg_signal_backend', 'USAGE') \
                    FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user";
    let rows = session.ask(question, &[], READS).await?;
    let Some(row) = rows.first() else {
        return Ok(Vec::new());
    };
    let (superuser, creates, version, signals): (bool, bool, i32, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if superuser {
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    if !creates {
        missing.push(Missing {
            action: "create and alter roles".to_owned(),
            cure: roles::create_roles(user),
        });
    }
    if version >= ADMIN_OPTION_SINCE {
        for role in without_admin_option(session, granted).await? {
            missing.push(Missing {
                action: format!("alter and grant {role}"),
                cure: roles::admin_option(user, &role),
            });
        }
    }
    if !signals {
        missing.push(Missing {
            action: "end sessions, as revokeSecret does".to_owned(),
            cure: roles::grant("pg_signal_backend", user),
        });
    }
    missing.extend(may_set_passwords(session).await?);
    Ok(missing)
}

/// Of these roles, those that exist and that the session may not grant. RDS's own administrators have more than the catalogs tell.
async fn without_admin_option(
    session: &Session,
    roles: &[String],
) -> Result<Vec<String>, EngineError> {
    let question = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) ANY ($1) \
                    AND NOT pg_catalog.pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') \
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles rds WHERE rds.rolname OPERATOR(pg_catalog.=) 'rds_superuser' \
                                    AND pg_catalog.pg_has_role(rds.oid, 'MEMBER')) ORDER BY rolname";
    let rows = session
        .ask(question, &[(&roles, Type::TEXT_ARRAY)], READS)
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Where RDS restricts who sets passwords, only members of `rds_password` may.
async fn may_set_passwords(session: &Session) -> Result<Option<Missing>, EngineError> {
    let question = "SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'rds_password' \
                    AND pg_catalog.current_setting('rds.restrict_password_commands', true) OPERATOR(pg_catalog.=) ANY ('{on,1}'::pg_catalog.text[]) \
                    AND NOT pg_catalog.pg_has_role(oid, 'MEMBER')";
    let forbidden = session.ask(question, &[], READS).await?;
    Ok(forbidden.first().map(|_| Missing {
        action: "set passwords".to_owned(),
        cure: roles::grant("rds_password", &session.user),
    }))
}
