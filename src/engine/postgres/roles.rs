//! The SQL that changes a role, in one place because this is where text becomes code.
//!
//! Questions name the schema of every function, type and operator: they mean the same where a session is not pinned.

use std::time::{Duration, SystemTime};

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::{md5 as md5_hash, scram_sha_256},
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

/// A role's name, as a statement takes it.
pub(super) fn name(role: &str) -> String {
    escape_identifier(role)
}

/// Text, as a statement takes it.
pub(super) fn text(text: &str) -> String {
    escape_literal(text)
}

/// Replaces a role's password, which is kept as the server had it, md5 or not.
pub(super) fn change_password(
    role: &str,
    password: &SecretString,
    hashing: PasswordHashing,
    md5: bool,
) -> Zeroizing<String> {
    let md5 = md5 && hashing != PasswordHashing::Scram;
    let exposed = password.expose_secret();
    let (before, kept) = match (hashing, md5) {
        (PasswordHashing::Server, true) => (
            "SET LOCAL password_encryption = 'md5'; ",
            Zeroizing::new(exposed.to_owned()),
        ),
        (PasswordHashing::Server, false) => ("", Zeroizing::new(exposed.to_owned())),
        (_, true) => ("", Zeroizing::new(md5_hash(exposed.as_bytes(), role))),
        (_, false) => ("", Zeroizing::new(scram_sha_256(exposed.as_bytes()))),
    };
    let literal = Zeroizing::new(escape_literal(&kept));
    Zeroizing::new(format!(
        "{before}ALTER ROLE {} PASSWORD {}",
        escape_identifier(role),
        *literal,
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

/// Lets a role log in again, with no end, and with a number of connections if that is given.
pub(super) fn unlock(role: &str, connection_limit: Option<i32>) -> String {
    // no NOSUPERUSER and the like: RDS refuses them even where they change nothing
    let limit =
        connection_limit.map_or_else(String::new, |limit| format!(" CONNECTION LIMIT {limit}"));
    format!("{} LOGIN{limit}", no_end(role))
}

/// Lifts the end of a role's password.
pub(super) fn no_end(role: &str) -> String {
    format!(
        "ALTER ROLE {} VALID UNTIL 'infinity'",
        escape_identifier(role)
    )
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

/// Makes `member` a member of `role` that may act as it: from PostgreSQL 16 on a plain GRANT leaves a membership as it is.
pub(super) fn grant_acting(role: &str, member: &str, with_options: bool) -> String {
    match with_options {
        true => format!("{} WITH SET TRUE", grant(role, member)),
        false => grant(role, member),
    }
}

/// Makes the clone a member of the base, so that it has all that the base has and may act as it.
pub(super) fn grant_whole(base: &str, clone: &str, with_options: bool) -> String {
    match with_options {
        true => format!("{} WITH INHERIT TRUE, SET TRUE", grant(base, clone)),
        false => grant(base, clone),
    }
}

/// Takes a role away from a member.
pub(super) fn revoke(role: &str, member: &str) -> String {
    format!(
        "REVOKE {} FROM {}",
        escape_identifier(role),
        escape_identifier(member)
    )
}

/// The same as `grantor` granted it, from PostgreSQL 16 on.
pub(super) fn revoke_granted_by(role: &str, member: &str, grantor: Option<&str>) -> String {
    let by = grantor.map(|grantor| format!(" GRANTED BY {}", escape_identifier(grantor)));
    revoke(role, member) + &by.unwrap_or_default()
}

/// Gives all objects of a role in this database to another one.
pub(super) fn reassign(from: &str, to: &str) -> String {
    format!(
        "REASSIGN OWNED BY {} TO {}",
        escape_identifier(from),
        escape_identifier(to)
    )
}

/// Takes a role's grants in this database away, and drops what it owns.
pub(super) fn drop_owned(role: &str) -> String {
    format!("DROP OWNED BY {}", escape_identifier(role))
}

/// Lets an administrator set a parameter for others, from PostgreSQL 15 on.
pub(super) fn set_parameter(administrator: &str, parameter: &str) -> String {
    format!(
        "GRANT SET ON PARAMETER {} TO {}",
        escape_identifier(parameter),
        escape_identifier(administrator)
    )
}

/// Has a role's sessions act as itself, where it was set otherwise.
pub(super) fn acts_as_itself(role: &str, acts: &Setting) -> String {
    format!("{} RESET role", alter(role, acts))
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

/// Who a session is.
pub(super) struct Identity {
    pub(super) session_user: String,
    pub(super) current_user: String,
    /// Whom its own settings have it act as, if they name somebody.
    pub(super) acts_as: Option<String>,
    pub(super) expired: bool,
    /// Whether it may act as that role.
    pub(super) may_act_so: bool,
}

/// Asks a session who it is.
pub(super) async fn identity(session: &Session) -> Answer<Option<Identity>> {
    let question = "SELECT session_user::pg_catalog.text, current_user::pg_catalog.text, acts.role, \
                    coalesce(r.rolvaliduntil OPERATOR(pg_catalog.<=) pg_catalog.now(), false), \
                    coalesce(pg_catalog.pg_has_role(r.oid, acts.oid, CASE WHEN \
                        pg_catalog.current_setting('server_version_num')::pg_catalog.int4 OPERATOR(pg_catalog.<) 160000 \
                        THEN 'MEMBER' ELSE 'SET' END), false) \
                    FROM pg_catalog.pg_roles r LEFT JOIN LATERAL (\
                        SELECT set.role, named.oid FROM (\
                            SELECT pg_catalog.substr(c.setting, 6, 64) AS role, s.setdatabase \
                            FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c (setting) \
                            WHERE s.setrole OPERATOR(pg_catalog.=) r.oid AND c.setting OPERATOR(pg_catalog.~~) 'role=%' \
                            AND (s.setdatabase OPERATOR(pg_catalog.=) 0 OR s.setdatabase OPERATOR(pg_catalog.=) (\
                                SELECT d.oid FROM pg_catalog.pg_database d \
                                WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))) AS set \
                        LEFT JOIN pg_catalog.pg_roles named ON named.rolname OPERATOR(pg_catalog.=) set.role \
                        ORDER BY set.setdatabase DESC LIMIT 1) AS acts ON true \
                    WHERE r.rolname OPERATOR(pg_catalog.=) session_user";
    let rows = session.ask(question, &[], READS).await?;
    Ok(rows.first().map(|row| Identity {
        session_user: row.get(0),
        current_user: row.get(1),
        acts_as: row
            .get::<_, Option<String>>(2)
            .filter(|role| role != "none"),
        expired: row.get(3),
        may_act_so: row.get(4),
    }))
}

/// Which role a session acts as by what is set for its database, if that is set.
pub(super) async fn databases_that_act(session: &Session) -> Answer<Vec<Setting>> {
    let question = "SELECT d.datname::pg_catalog.text, pg_catalog.substr(c.setting, 6, 64) FROM pg_catalog.pg_db_role_setting s \
                    JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase, \
                    pg_catalog.unnest(s.setconfig) AS c (setting) \
                    WHERE s.setrole OPERATOR(pg_catalog.=) 0 AND c.setting OPERATOR(pg_catalog.~~) 'role=%'";
    let rows = session.ask(question, &[], READS).await?;
    let setting = |row: &tokio_postgres::Row| Setting {
        database: row.get(0),
        name: "role".to_owned(),
        value: row.get(1),
    };
    Ok(rows.iter().map(setting).collect())
}

/// What `base` has of its own, in any database, that `owner` lacks; nothing if it acts as that one already. CONNECT is not among
/// it, for who logs in needs it, and that stays.
pub(super) async fn lacks(session: &Session, base: &str, owner: &str) -> Answer<Vec<String>> {
    let question = "SELECT DISTINCT kind FROM (\
            SELECT CASE WHEN d.deptype OPERATOR(pg_catalog.=) 'a' THEN 'grants' WHEN d.deptype OPERATOR(pg_catalog.=) 'r' THEN 'policies' \
                        WHEN d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_user_mapping'::pg_catalog.regclass THEN 'user mappings' \
                        WHEN d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_default_acl'::pg_catalog.regclass THEN 'default privileges' \
                        ELSE 'objects' END AS kind, b.oid AS base, o.oid AS owner \
            FROM pg_catalog.pg_roles b JOIN pg_catalog.pg_shdepend d ON d.refobjid OPERATOR(pg_catalog.=) b.oid \
                AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass, pg_catalog.pg_roles o \
            WHERE b.rolname OPERATOR(pg_catalog.=) $1 AND o.rolname OPERATOR(pg_catalog.=) $2 \
            AND d.classid OPERATOR(pg_catalog.<>) ALL (ARRAY['pg_catalog.pg_database'::pg_catalog.regclass, \
                'pg_catalog.pg_auth_members'::pg_catalog.regclass]::pg_catalog.oid[]) \
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_shdepend s WHERE s.refobjid OPERATOR(pg_catalog.=) o.oid \
                AND s.refclassid OPERATOR(pg_catalog.=) d.refclassid AND s.dbid OPERATOR(pg_catalog.=) d.dbid \
                AND s.classid OPERATOR(pg_catalog.=) d.classid AND s.objid OPERATOR(pg_catalog.=) d.objid) \
            UNION ALL SELECT 'a schema of its name', b.oid, o.oid FROM pg_catalog.pg_namespace n, pg_catalog.pg_roles b, pg_catalog.pg_roles o \
            WHERE n.nspname OPERATOR(pg_catalog.=) b.rolname AND b.rolname OPERATOR(pg_catalog.=) $1 \
            AND o.rolname OPERATOR(pg_catalog.=) $2) AS own \
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c (setting) \
            WHERE s.setrole OPERATOR(pg_catalog.=) base AND s.setdatabase OPERATOR(pg_catalog.=) 0 \
            AND c.setting OPERATOR(pg_catalog.=) ('role=' OPERATOR(pg_catalog.||) $2)) ORDER BY 1";
    let values: Values<'_, 2> = [(&base, Type::TEXT), (&owner, Type::TEXT)];
    let rows = session.ask(question, &values, READS).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
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

/// Ends a role's password now. NOLOGIN is for a login that had begun: its password was looked at already.
pub(super) fn end(role: &str) -> String {
    format!(
        "ALTER ROLE {} NOLOGIN VALID UNTIL '-infinity'",
        escape_identifier(role)
    )
}

/// Ends a role's open sessions, but for the one that asks, and tells their processes; only those begun before `begun` if that is
/// given.
pub(super) async fn end_sessions(
    session: &Session,
    role: &str,
    begun: Option<SystemTime>,
    doing: Doing<'_>,
) -> Answer<Vec<i32>> {
    // materialized, for a server may ask a function before it looks whom it is asked about
    let statement = "WITH open AS MATERIALIZED (\
                         SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename OPERATOR(pg_catalog.=) $1 \
                         AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() \
                         AND ($2 IS NULL OR backend_start OPERATOR(pg_catalog.<) $2)) \
                     SELECT pid FROM open WHERE pg_catalog.pg_terminate_backend(pid)";
    let values: Values<'_, 2> = [(&role, Type::TEXT), (&begun, Type::TIMESTAMPTZ)];
    let rows = session.ask(statement, &values, doing).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// How many seconds after `since` a login that had begun by then may yet end well, from now on; none if that is over.
pub(super) async fn late(
    session: &Session,
    since: SystemTime,
    doing: Doing<'_>,
) -> Answer<Option<Duration>> {
    let question = "SELECT pg_catalog.date_part('epoch', $1 OPERATOR(pg_catalog.+) \
                        pg_catalog.current_setting('authentication_timeout')::pg_catalog.interval OPERATOR(pg_catalog.-) pg_catalog.now())";
    let rows = session
        .ask(question, &[(&since, Type::TIMESTAMPTZ)], doing)
        .await?;
    let seconds: f64 = rows.first().map_or(0.0, |row| row.get(0));
    Ok(Some(seconds)
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| Duration::from_secs(seconds.ceil() as u64)))
}

/// A run-time parameter that a role starts its sessions with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) database: Option<String>,
    pub(super) name: String,
    pub(super) value: String,
}

impl Setting {
    /// A role may set for itself what fills the function's memory: more than this is not read.
    const LONGEST: usize = 16_384;

    /// Whether it was not read to its end.
    pub(super) fn is_cut(&self) -> bool {
        self.value.len() > Self::LONGEST
    }
}

/// All of a role's settings, in every database and in each.
pub(super) async fn settings(session: &Session, role: &str) -> Answer<Vec<Setting>> {
    let question = format!(
        "SELECT d.datname::pg_catalog.text, pg_catalog.left(c.setting, {}) FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole \
         LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase, \
         pg_catalog.unnest(s.setconfig) AS c (setting) WHERE r.rolname OPERATOR(pg_catalog.=) $1",
        2 * Setting::LONGEST
    );
    let rows = session
        .ask(&question, &[(&role, Type::TEXT)], READS)
        .await?;
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

/// A statement that sets or resets a parameter of a role.
pub(super) struct Alteration<'a> {
    pub(super) parameter: &'a str,
    pub(super) sql: String,
    pub(super) resets: bool,
}

/// The statements that give `role` the settings `wanted`, where it has `present`.
pub(super) fn reconcile_settings<'a>(
    role: &str,
    wanted: &'a [Setting],
    present: &'a [Setting],
) -> Vec<Alteration<'a>> {
    let same_place = |a: &Setting, b: &Setting| a.name == b.name && a.database == b.database;
    let gone = present
        .iter()
        .filter(|setting| !wanted.iter().any(|wanted| same_place(wanted, setting)));
    let new = wanted.iter().filter(|setting| !present.contains(setting));
    let reset = gone.map(|setting| {
        let name = escape_identifier(&setting.name);
        Alteration {
            parameter: &setting.name,
            sql: format!("{} RESET {name}", alter(role, setting)),
            resets: true,
        }
    });
    let set = new.map(|setting| {
        let name = escape_identifier(&setting.name);
        let value = match LISTS.contains(&setting.name.as_str()) {
            true => list(&setting.value),
            false => escape_literal(&setting.value),
        };
        Alteration {
            parameter: &setting.name,
            sql: format!("{} SET {name} TO {value}", alter(role, setting)),
            resets: false,
        }
    });
    reset.chain(set).collect()
}

fn alter(role: &str, setting: &Setting) -> String {
    let role = escape_identifier(role);
    match &setting.database {
        None => format!("ALTER ROLE {role}"),
        Some(database) => format!(
            "ALTER ROLE {role} IN DATABASE {}",
            escape_identifier(database)
        ),
    }
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
