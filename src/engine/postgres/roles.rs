//! The SQL that changes a role, in one place because this is where text becomes code.

use std::time::{Duration, SystemTime};

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::scram_sha_256,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{Client, Error};
use zeroize::Zeroizing;

use crate::settings::PasswordHashing;

/// One message that changes a role's password, or nothing.
///
/// All of it goes out at once: there is no moment between the lock and the change at which this function could
/// be held up and come back with a password that is no longer wanted.
pub(super) fn change_password(
    role: &str,
    password: &SecretString,
    hashing: PasswordHashing,
    limit: Duration,
) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "{begin}; ALTER ROLE {role} PASSWORD {password}; COMMIT",
        begin = begin(role, limit),
        role = escape_identifier(role),
        password = *password_literal(password, hashing),
    ))
}

/// Begins a transaction in which nobody else changes the role's credential.
///
/// The lock is one for each role name, so of two invocations one waits; the server ends a statement after `limit`.
pub(super) fn begin(role: &str, limit: Duration) -> String {
    format!(
        // READ WRITE: a role may have default_transaction_read_only
        "BEGIN READ WRITE; \
         SET LOCAL statement_timeout = {limit}; \
         SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('secret-rotation'), pg_catalog.hashtext({name}))",
        limit = limit.as_millis().max(1),
        name = escape_literal(role),
    )
}

/// Has the server end this session when it is not used for a minute. PostgreSQL 13 cannot.
pub(super) const END_WHEN_IDLE: &str = "SELECT pg_catalog.set_config(name, '1min', false) \
                                        FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'";

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
pub(super) async fn connection_limit(client: &Client, role: &str) -> Result<Option<i32>, Error> {
    let question = "SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = $1";
    Ok(client
        .query_opt(question, &[&role])
        .await?
        .map(|row| row.get(0)))
}

/// Who a session is.
pub(super) struct Identity {
    pub(super) session_user: String,
    pub(super) current_user: String,
    /// Whom its settings have it act as; itself if they name nobody.
    pub(super) acts_as: String,
    pub(super) expired: bool,
}

/// Asks a session who it is.
pub(super) async fn identity(client: &Client) -> Result<Identity, Error> {
    let question = "SELECT session_user::text, current_user::text, coalesce((\
                        SELECT pg_catalog.substr(c.setting, 6) FROM pg_catalog.pg_db_role_setting s, \
                        pg_catalog.unnest(s.setconfig) AS c (setting) \
                        WHERE s.setrole = r.oid AND c.setting LIKE 'role=%' AND s.setdatabase IN (0, d.oid) \
                        ORDER BY s.setdatabase DESC LIMIT 1), session_user)::text, \
                    coalesce(r.rolvaliduntil <= now(), false) \
                    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d \
                    WHERE r.rolname = session_user AND d.datname = current_database()";
    let row = client.query_one(question, &[]).await?;
    Ok(Identity {
        session_user: row.get(0),
        current_user: row.get(1),
        acts_as: row.get(2),
        expired: row.get(3),
    })
}

/// The roles that a role is directly a member of.
pub(super) async fn memberships(client: &Client, member: &str) -> Result<Vec<String>, Error> {
    let question = "SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m \
                    JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
                    JOIN pg_catalog.pg_roles u ON u.oid = m.member WHERE u.rolname = $1";
    Ok(client
        .query(question, &[&member])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

/// Whether a role owns anything, in any database.
pub(super) async fn owns_objects(client: &Client, role: &str) -> Result<bool, Error> {
    let question = "SELECT EXISTS (SELECT FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_roles r \
                    ON r.oid = d.refobjid WHERE d.deptype = 'o' \
                    AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname = $1)";
    Ok(client.query_one(question, &[&role]).await?.get(0))
}

/// When a password that is to end after `window` ends, as the server writes it; `None` if it ends earlier anyway.
pub(super) async fn bound(
    client: &Client,
    role: &str,
    window: Duration,
) -> Result<Option<String>, Error> {
    let question = "SELECT until::text FROM (SELECT now() + $2 * interval '1 second' AS until) bound, \
                    pg_catalog.pg_roles WHERE rolname = $1 AND (rolvaliduntil IS NULL OR rolvaliduntil > until)";
    let seconds = window.as_secs_f64();
    Ok(client
        .query_opt(question, &[&role, &seconds])
        .await?
        .map(|row| row.get(0)))
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
    client: &Client,
    role: &str,
    begun: Option<SystemTime>,
) -> Result<u64, Error> {
    let statement = "SELECT count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(pid)) \
                     FROM pg_catalog.pg_stat_activity WHERE usename = $1 AND pid <> pg_catalog.pg_backend_pid() \
                     AND ($2::timestamptz IS NULL OR backend_start < $2)";
    let ended: i64 = client.query_one(statement, &[&role, &begun]).await?.get(0);
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
pub(super) async fn settings(client: &Client, role: &str) -> Result<Vec<Setting>, Error> {
    let question = "SELECT d.datname::text, c.setting FROM pg_catalog.pg_db_role_setting s \
                    JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
                    LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, \
                    pg_catalog.unnest(s.setconfig) AS c (setting) WHERE r.rolname = $1";
    let rows = client.query(question, &[&role]).await?;
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
) -> Vec<String> {
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
            format!(
                "{} RESET {}",
                alter(setting),
                escape_identifier(&setting.name)
            )
        });
    let set = wanted
        .iter()
        .filter(matters)
        .filter(|setting| !present.contains(setting))
        .map(|setting| {
            let name = escape_identifier(&setting.name);
            if LISTS.contains(&setting.name.as_str()) {
                // kept as a list of quoted names; set in this transaction and taken from there it stays one
                format!(
                    "SELECT pg_catalog.set_config({}, {}, true); {} SET {name} FROM CURRENT",
                    escape_literal(&setting.name),
                    escape_literal(&setting.value),
                    alter(setting),
                )
            } else {
                format!(
                    "{} SET {name} TO {}",
                    alter(setting),
                    escape_literal(&setting.value)
                )
            }
        });
    reset.chain(set).collect()
}

/// Parameters whose value is a list of identifiers (GUC_LIST_QUOTE in PostgreSQL's source).
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
];
