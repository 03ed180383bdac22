//! The SQL that changes a role, in one place because this is where text becomes code.
//!
//! Questions name the schema of every function, type and operator: they mean the same where a session is not pinned.

use std::time::{Duration, SystemTime};

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::scram_sha_256,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::types::{ToSql, Type};
use zeroize::Zeroizing;

use super::{
    Session,
    errors::{Doing, READS},
};
use crate::{engine::EngineError, settings::PasswordHashing};

type Answer<T> = Result<T, EngineError>;
type Values<'a, const N: usize> = [(&'a (dyn ToSql + Sync), Type); N];

/// Replaces a role's password.
pub(super) fn change_password(
    role: &str,
    password: &SecretString,
    hashing: PasswordHashing,
) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "ALTER ROLE {role} PASSWORD {password}",
        role = escape_identifier(role),
        password = *password_literal(password, hashing),
    ))
}

/// Has the server end this session when it is not used for a minute. PostgreSQL 13 cannot. Not through a pooler: it would
/// stay on the pooler's connection.
pub(super) const END_WHEN_IDLE: &str = "SELECT pg_catalog.set_config(name, '1min', false) FROM pg_catalog.pg_settings \
                                        WHERE name OPERATOR(pg_catalog.=) 'idle_session_timeout'";

/// A role that cannot log in yet.
pub(super) fn create(role: &str) -> String {
    format!("CREATE ROLE {}", escape_identifier(role))
}

/// Lets a role log in again, with a new password and no end.
pub(super) fn open(
    role: &str,
    connection_limit: i32,
    password: &SecretString,
    hashing: PasswordHashing,
) -> Zeroizing<String> {
    // no NOSUPERUSER and the like: RDS refuses them even where they change nothing
    Zeroizing::new(format!(
        "ALTER ROLE {role} LOGIN CONNECTION LIMIT {connection_limit} VALID UNTIL 'infinity' PASSWORD {password}",
        role = escape_identifier(role),
        password = *password_literal(password, hashing),
    ))
}

/// Ends a role's password at a time that the server has written.
pub(super) fn valid_until(role: &str, until: &str) -> String {
    format!(
        "ALTER ROLE {} VALID UNTIL {}",
        escape_identifier(role),
        escape_literal(until)
    )
}

/// Makes `member` a member of `role`.
pub(super) fn grant(role: &str, member: &str) -> String {
    format!(
        "GRANT {} TO {}",
        escape_identifier(role),
        escape_identifier(member)
    )
}

/// What a superuser types so that an administrator may alter and grant a role: from PostgreSQL 16 on CREATEROLE
/// alone does not do.
pub(super) fn allow(administrator: &str, role: &str) -> String {
    let (create, admin) = (
        create_roles(administrator),
        admin_option(administrator, role),
    );
    format!("{create}; {admin}")
}

/// Lets a role create others.
pub(super) fn create_roles(administrator: &str) -> String {
    format!("ALTER ROLE {} CREATEROLE", escape_identifier(administrator))
}

/// Lets a role grant another one, and from PostgreSQL 16 on alter it.
pub(super) fn admin_option(administrator: &str, role: &str) -> String {
    format!("{} WITH ADMIN OPTION", grant(role, administrator))
}

/// Has a role's sessions act as `owner`: what they create belongs to it.
pub(super) fn act_as(role: &str, owner: &str) -> String {
    format!(
        "ALTER ROLE {} SET role TO {}",
        escape_identifier(role),
        escape_literal(owner)
    )
}

fn password_literal(password: &SecretString, hashing: PasswordHashing) -> Zeroizing<String> {
    let password = match hashing {
        PasswordHashing::Scram => {
            Zeroizing::new(scram_sha_256(password.expose_secret().as_bytes()))
        }
        PasswordHashing::Server => Zeroizing::new(password.expose_secret().to_owned()),
    };
    Zeroizing::new(escape_literal(&password))
}

/// How many connections a role may have (-1: any number), or `None` if there is no such role.
pub(super) async fn connection_limit(session: &Session, role: &str) -> Answer<Option<i32>> {
    let question =
        "SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) $1";
    let rows = session.ask(question, &[(&role, Type::TEXT)], READS).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Who a session is.
pub(super) struct Identity {
    pub(super) session_user: String,
    pub(super) current_user: String,
    /// Whom its own settings have it act as, if they name somebody.
    pub(super) acts_as: Option<String>,
    pub(super) expired: bool,
}

/// Asks a session who it is.
pub(super) async fn identity(session: &Session) -> Answer<Option<Identity>> {
    let question = "SELECT session_user::pg_catalog.text, current_user::pg_catalog.text, (\
                        SELECT pg_catalog.substr(c.setting, 6) FROM pg_catalog.pg_db_role_setting s, \
                        pg_catalog.unnest(s.setconfig) AS c (setting) \
                        WHERE s.setrole OPERATOR(pg_catalog.=) r.oid AND c.setting OPERATOR(pg_catalog.~~) 'role=%' \
                        AND (s.setdatabase OPERATOR(pg_catalog.=) 0 OR s.setdatabase OPERATOR(pg_catalog.=) d.oid) \
                        ORDER BY s.setdatabase DESC LIMIT 1), \
                    coalesce(r.rolvaliduntil OPERATOR(pg_catalog.<=) pg_catalog.now(), false) \
                    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d \
                    WHERE r.rolname OPERATOR(pg_catalog.=) session_user \
                    AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()";
    let rows = session.ask(question, &[], READS).await?;
    Ok(rows.first().map(|row| Identity {
        session_user: row.get(0),
        current_user: row.get(1),
        acts_as: row
            .get::<_, Option<String>>(2)
            .filter(|role| role != "none"),
        expired: row.get(3),
    }))
}

/// The roles that a role is directly a member of.
pub(super) async fn memberships(session: &Session, member: &str) -> Answer<Vec<String>> {
    let question = "SELECT DISTINCT g.rolname::pg_catalog.text FROM pg_catalog.pg_auth_members m \
                    JOIN pg_catalog.pg_roles g ON g.oid OPERATOR(pg_catalog.=) m.roleid \
                    JOIN pg_catalog.pg_roles u ON u.oid OPERATOR(pg_catalog.=) m.member \
                    WHERE u.rolname OPERATOR(pg_catalog.=) $1";
    let rows = session
        .ask(question, &[(&member, Type::TEXT)], READS)
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whether a role owns anything, in any database.
pub(super) async fn owns_objects(session: &Session, role: &str) -> Answer<bool> {
    let question = "SELECT FROM pg_catalog.pg_shdepend d \
                    JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) d.refobjid \
                    WHERE d.deptype OPERATOR(pg_catalog.=) 'o' AND d.refclassid OPERATOR(pg_catalog.=) \
                    'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname OPERATOR(pg_catalog.=) $1 LIMIT 1";
    let rows = session.ask(question, &[(&role, Type::TEXT)], READS).await?;
    Ok(!rows.is_empty())
}

/// When a password that is to end after `window` ends, as the server writes it; `None` if it ends earlier anyway.
pub(super) async fn bound(
    session: &Session,
    role: &str,
    window: Duration,
    doing: Doing<'_>,
) -> Answer<Option<String>> {
    let question = "SELECT until::pg_catalog.text FROM (SELECT pg_catalog.now() OPERATOR(pg_catalog.+) \
                        ($2 OPERATOR(pg_catalog.*) '1 second'::pg_catalog.interval) AS until) bound, pg_catalog.pg_roles \
                    WHERE rolname OPERATOR(pg_catalog.=) $1 \
                    AND (rolvaliduntil IS NULL OR rolvaliduntil OPERATOR(pg_catalog.>) until)";
    let seconds = window.as_secs_f64();
    let values: Values<'_, 2> = [(&role, Type::TEXT), (&seconds, Type::FLOAT8)];
    let rows = session.ask(question, &values, doing).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Ends a role's password now.
pub(super) fn end(role: &str) -> String {
    format!(
        "ALTER ROLE {} VALID UNTIL '-infinity'",
        escape_identifier(role)
    )
}

/// Ends a role's open sessions, but for the one that asks, and counts them; only those begun before `begun` if that is given.
pub(super) async fn end_sessions(
    session: &Session,
    role: &str,
    begun: Option<SystemTime>,
    doing: Doing<'_>,
) -> Answer<u64> {
    let statement = "SELECT pg_catalog.count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(pid)) \
                     FROM pg_catalog.pg_stat_activity WHERE usename OPERATOR(pg_catalog.=) $1 \
                     AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() \
                     AND ($2 IS NULL OR backend_start OPERATOR(pg_catalog.<) $2)";
    let values: Values<'_, 2> = [(&role, Type::TEXT), (&begun, Type::TIMESTAMPTZ)];
    let rows = session.ask(statement, &values, doing).await?;
    let ended: i64 = rows.first().map_or(0, |row| row.get(0));
    Ok(ended.unsigned_abs())
}

/// A run-time parameter that a role starts its sessions with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) database: Option<String>,
    pub(super) name: String,
    pub(super) value: String,
}

/// All of a role's settings, in every database and in each.
pub(super) async fn settings(session: &Session, role: &str) -> Answer<Vec<Setting>> {
    let question = "SELECT d.datname::pg_catalog.text, c.setting FROM pg_catalog.pg_db_role_setting s \
                    JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole \
                    LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase, \
                    pg_catalog.unnest(s.setconfig) AS c (setting) WHERE r.rolname OPERATOR(pg_catalog.=) $1";
    let rows = session.ask(question, &[(&role, Type::TEXT)], READS).await?;
    let settings = rows.iter().filter_map(|row| {
        let (name, value) = row.get::<_, &str>(1).split_once('=')?;
        Some(Setting {
            database: row.get(0),
            name: name.to_owned(),
            value: value.to_owned(),
        })
    });
    Ok(settings.collect())
}

/// The statements that give `role` the settings `wanted`, where it has `present`. `role` itself is not a matter
/// of these: each of the two users acts as somebody else.
pub(super) fn reconcile_settings(
    role: &str,
    wanted: &[Setting],
    present: &[Setting],
) -> Vec<(String, String)> {
    let matters = |setting: &&Setting| setting.name != "role";
    let same_place = |a: &Setting, b: &Setting| a.name == b.name && a.database == b.database;
    let alter = |setting: &Setting| {
        let role = escape_identifier(role);
        match &setting.database {
            None => format!("ALTER ROLE {role}"),
            Some(database) => format!(
                "ALTER ROLE {role} IN DATABASE {}",
                escape_identifier(database)
            ),
        }
    };
    let reset = present
        .iter()
        .filter(matters)
        .filter(|setting| !wanted.iter().any(|wanted| same_place(wanted, setting)))
        .map(|setting| {
            let name = escape_identifier(&setting.name);
            (
                setting.name.clone(),
                format!("{} RESET {name}", alter(setting)),
            )
        });
    let set = wanted
        .iter()
        .filter(matters)
        .filter(|setting| !present.contains(setting))
        .map(|setting| {
            let name = escape_identifier(&setting.name);
            let value = match LISTS.contains(&setting.name.as_str()) {
                true => list(&setting.value),
                false => escape_literal(&setting.value),
            };
            let set = format!("{} SET {name} TO {value}", alter(setting));
            (setting.name.clone(), set)
        });
    reset.chain(set).collect()
}

/// Whether only a superuser, or who was granted it, may set this parameter: then no application has.
pub(super) async fn is_a_superusers(session: &Session, name: &str) -> Answer<bool> {
    let question = "SELECT FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) pg_catalog.lower($1) \
                    AND context OPERATOR(pg_catalog.~~) 'superuser%'";
    let rows = session.ask(question, &[(&name, Type::TEXT)], READS).await?;
    Ok(!rows.is_empty())
}

/// Parameters whose value is a list of identifiers (GUC_LIST_QUOTE in PostgreSQL's source).
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
];

/// A list of identifiers, as the catalogs keep it, as a list of literals, which is how a statement takes it.
fn list(kept: &str) -> String {
    let mut items = vec![String::new()];
    let (mut quoted, mut rest) = (false, kept.chars().peekable());
    while let Some(c) = rest.next() {
        let last = items.len() - 1;
        match c {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => items[last].push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            ' ' if !quoted => {}
            c => items[last].push(c),
        }
    }
    let literals: Vec<_> = items.iter().map(|item| escape_literal(item)).collect();
    literals.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_identifiers_is_written_as_literals() {
        for (kept, written) in [
            ("\"$user\", public", "'$user', 'public'"),
            ("\"a, b\", \"c\"\"d\", \"it's\"", "'a, b', 'c\"d', 'it''s'"),
            ("\"\"", "''"),
            ("", "''"),
        ] {
            assert_eq!(list(kept), written, "{kept}");
        }
    }
}
