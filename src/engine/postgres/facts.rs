//! What the catalogs say about a role and about the role that changes it, read before anything is changed.
//!
//! Every role can read this: nothing here needs a right.

use std::time::SystemTime;

use tokio_postgres::types::Type;

use super::{Session, errors::READS, session::Value};
use crate::engine::EngineError;

/// From this version on CREATEROLE alone does not let a role alter or grant others, and a membership has options.
const ADMIN_OPTION_SINCE: i32 = 160_000;

/// From this version on a right to set a parameter can be granted.
pub(super) const PARAMETER_PRIVILEGE_SINCE: i32 = 150_000;

/// Who changes roles: an administrator, or the role itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Changer {
    /// The user that it logged in as.
    pub(super) user: String,
    /// `server_version_num`.
    pub(super) version: i32,
    pub(super) superuser: bool,
    pub(super) creates_roles: bool,
    /// A member of RDS's own administrators, who have more rights than the catalogs show.
    pub(super) of_rds: bool,
    /// RDS restricts who sets passwords, and this role may not.
    pub(super) sets_no_passwords: bool,
}

impl Changer {
    /// Whether a membership has options on this server: ADMIN, INHERIT and SET.
    pub(super) fn grants_with_options(&self) -> bool {
        self.version >= ADMIN_OPTION_SINCE
    }

    /// The option that lets a member act as the role, by its name in `pg_has_role`.
    pub(super) fn acting(&self) -> &'static str {
        match self.grants_with_options() {
            true => "SET",
            false => "MEMBER",
        }
    }
}

/// A role, as every other role sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) superuser: bool,
    pub(super) replicates: bool,
    /// BYPASSRLS.
    pub(super) bypasses_policies: bool,
    pub(super) logs_in: bool,
    /// -1: any number.
    pub(super) connection_limit: i32,
    /// How many connections it has open.
    pub(super) connections: i64,
    /// Its password has ended forever (`-infinity`), as revokeSecret sets it.
    pub(super) ended: bool,
    /// When its password ends, or has ended, as the server writes it.
    pub(super) ends: Option<String>,
    /// The same, if that time is still to come.
    pub(super) promised: Option<SystemTime>,
    /// The asking role may alter and grant it, as far as ADMIN OPTION goes.
    pub(super) administered: bool,
}

/// Reads the role that changes other roles.
pub(super) async fn changer(session: &Session) -> Result<Changer, EngineError> {
    let question = "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, rolsuper, rolcreaterole, \
                        EXISTS (SELECT FROM pg_catalog.pg_roles rds WHERE rds.rolname OPERATOR(pg_catalog.=) 'rds_superuser' \
                                AND pg_catalog.pg_has_role(rds.oid, 'MEMBER')), \
                        EXISTS (SELECT FROM pg_catalog.pg_roles rds WHERE rds.rolname OPERATOR(pg_catalog.=) 'rds_password' \
                                AND pg_catalog.current_setting('rds.restrict_password_commands', true) \
                                    OPERATOR(pg_catalog.=) ANY ('{on,1}'::pg_catalog.text[]) \
                                AND NOT pg_catalog.pg_has_role(rds.oid, 'MEMBER')) \
                    FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user";
    let changer = session.ask(question, &[], READS, |row| {
        Ok(Changer {
            user: String::new(),
            version: row.try_get(0)?,
            superuser: row.try_get(1)?,
            creates_roles: row.try_get(2)?,
            of_rds: row.try_get(3)?,
            sets_no_passwords: row.try_get(4)?,
        })
    });
    let what = "find the session's own role in the catalogs";
    let changer = changer.await?.pop().ok_or(EngineError::Unable { what })?;
    let user = session.user.clone();
    Ok(Changer { user, ..changer })
}

/// Reads roles; those that do not exist are left out.
pub(super) async fn roles(session: &Session, names: &[&str]) -> Result<Vec<Role>, EngineError> {
    let question = "SELECT rolname::pg_catalog.text, rolsuper, rolreplication, rolbypassrls, rolcanlogin, rolconnlimit, \
                        (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_activity(NULL) WHERE usesysid OPERATOR(pg_catalog.=) r.oid), \
                        CASE WHEN pg_catalog.isfinite(rolvaliduntil) THEN rolvaliduntil::pg_catalog.text END, \
                        CASE WHEN pg_catalog.isfinite(rolvaliduntil) AND rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now() \
                             THEN rolvaliduntil END, \
                        pg_catalog.pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'), \
                        coalesce(rolvaliduntil OPERATOR(pg_catalog.=) '-infinity', false) \
                    FROM pg_catalog.pg_roles r WHERE rolname OPERATOR(pg_catalog.=) ANY ($1)";
    let values: [Value<'_>; 1] = [(&names, Type::TEXT_ARRAY)];
    let roles = session.ask(question, &values, READS, |row| {
        Ok(Role {
            name: row.try_get(0)?,
            superuser: row.try_get(1)?,
            replicates: row.try_get(2)?,
            bypasses_policies: row.try_get(3)?,
            logs_in: row.try_get(4)?,
            connection_limit: row.try_get(5)?,
            connections: row.try_get(6)?,
            ends: row.try_get(7)?,
            // a time that this clock cannot show is no promise
            promised: row.try_get(8).ok().flatten(),
            administered: row.try_get(9)?,
            ended: row.try_get(10)?,
        })
    });
    roles.await
}

/// Why the server rejects a user, if that can be read: it gives one answer, 28P01, for a wrong password and for these reasons.
pub(super) async fn why_rejected(
    session: &Session,
    user: &str,
) -> Result<Option<&'static str>, EngineError> {
    let known = roles(session, &[user]).await?;
    Ok(match known.first() {
        None => Some("there is no such role"),
        Some(role) if role.ended || role.ends.is_some() && role.promised.is_none() => {
            Some("it has ended (VALID UNTIL)")
        }
        Some(_) => None,
    })
}
