//! The SQL that changes a role, in one place because this is where text becomes code.

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::{md5 as md5_hash, scram_sha_256},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::settings::PasswordHashing;

/// A role's name, quoted for a statement.
pub(super) fn name(role: &str) -> String {
    escape_identifier(role)
}

/// Text, quoted for a statement.
pub(super) fn text(text: &str) -> String {
    escape_literal(text)
}

/// Replaces a role's password in the form in which the server had it, md5 or not.
pub(super) fn change_password(
    role: &str,
    password: &SecretString,
    hashing: PasswordHashing,
    md5: bool,
) -> Zeroizing<String> {
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

/// Makes the server end this session when it is unused for a minute. PostgreSQL 13 cannot. Not through a pooler: the setting
/// would stay on the pooler's connection.
pub(super) const END_WHEN_IDLE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                                        SELECT pg_catalog.set_config('idle_session_timeout', '1min', false) \
                                        WHERE pg_catalog.current_setting('idle_session_timeout', true) IS NOT NULL; COMMIT";

/// A role that cannot log in yet.
pub(super) fn create(role: &str) -> String {
    format!("CREATE ROLE {}", escape_identifier(role))
}

/// A role that may log in, and has no password yet.
pub(super) fn create_with_login(role: &str) -> String {
    format!("{} LOGIN", create(role))
}

/// Lets a role log in again, without an end, and with a connection limit if given.
pub(super) fn unlock(role: &str, connection_limit: Option<i32>) -> String {
    // no NOSUPERUSER and similar: RDS refuses them even if they change nothing
    let limit =
        connection_limit.map_or_else(String::new, |limit| format!(" CONNECTION LIMIT {limit}"));
    format!("{} LOGIN{limit}", no_end(role))
}

/// Removes the end of a role's password.
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

/// Makes `member` a member of `role` that may act as it: from PostgreSQL 16 on a plain GRANT leaves an existing membership as
/// it is.
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

/// Revokes a role from a member.
pub(super) fn revoke(role: &str, member: &str) -> String {
    format!(
        "REVOKE {} FROM {}",
        escape_identifier(role),
        escape_identifier(member)
    )
}

/// The same, as `grantor` granted it, from PostgreSQL 16 on.
pub(super) fn revoke_granted_by(role: &str, member: &str, grantor: Option<&str>) -> String {
    let by = grantor.map(|grantor| format!(" GRANTED BY {}", escape_identifier(grantor)));
    revoke(role, member) + &by.unwrap_or_default()
}

/// Gives all objects of a role in this database to another role.
pub(super) fn reassign(from: &str, to: &str) -> String {
    format!(
        "REASSIGN OWNED BY {} TO {}",
        escape_identifier(from),
        escape_identifier(to)
    )
}

/// Revokes a role's grants in this database, and drops what it owns.
pub(super) fn drop_owned(role: &str) -> String {
    format!("DROP OWNED BY {}", escape_identifier(role))
}

/// Removes SUPERUSER.
pub(super) fn no_superuser(role: &str) -> String {
    format!("ALTER ROLE {} NOSUPERUSER", escape_identifier(role))
}

/// Makes a database.
#[cfg(feature = "doctor")]
pub(super) fn create_database(dbname: &str) -> String {
    format!("CREATE DATABASE {}", escape_identifier(dbname))
}

/// Allows connections to a database.
#[cfg(feature = "doctor")]
pub(super) fn open_database(dbname: &str) -> String {
    format!(
        "ALTER DATABASE {} ALLOW_CONNECTIONS true",
        escape_identifier(dbname)
    )
}

/// Lets a role connect to a database.
#[cfg(feature = "doctor")]
pub(super) fn grant_connect(dbname: &str, role: &str) -> String {
    format!(
        "GRANT CONNECT ON DATABASE {} TO {}",
        escape_identifier(dbname),
        escape_identifier(role)
    )
}

/// Lets an administrator set a parameter for others, from PostgreSQL 15 on.
pub(super) fn set_parameter(administrator: &str, parameter: &str) -> String {
    format!(
        "GRANT SET ON PARAMETER {} TO {}",
        escape_identifier(parameter),
        escape_identifier(administrator)
    )
}

/// The statement with which a superuser lets an administrator alter and grant a role: from PostgreSQL 16 on CREATEROLE alone is
/// not enough.
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

/// Makes a role's sessions act as `owner`, which then owns what they create.
pub(super) fn act_as(role: &str, owner: &str) -> String {
    format!(
        "ALTER ROLE {} SET role TO {}",
        escape_identifier(role),
        escape_literal(owner)
    )
}

/// Ends a role's password now. NOLOGIN is for a login that had begun: its password was already checked.
pub(super) fn end(role: &str) -> String {
    format!(
        "ALTER ROLE {} NOLOGIN VALID UNTIL '-infinity'",
        escape_identifier(role)
    )
}
