//! What a session that changes something is pinned to.
//!
//! The owner of a role or of a database can set what its sessions start with: then names mean something else, dates are read
//! differently, or every statement fails. The startup packet overrides all of that, from the first statement on. Each
//! transaction says it once more, with SET LOCAL: a pooler may refuse the packet's part, and a plain SET would stay on the
//! pooler's connection and reach an application.

use super::{Limits, Session, session::Purpose};

/// Names and values that every release knows.
const PINNED: [(&str, &str); 9] = [
    ("search_path", "pg_catalog,pg_temp"),
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
    ("role", "none"),
    ("default_transaction_read_only", "off"),
    ("row_security", "on"),
    ("standard_conforming_strings", "on"),
    ("synchronous_commit", "on"),
    ("exit_on_error", "off"),
];

/// How questions are planned: a size of geqo can make each question fail or last forever, and a compiler makes it slow.
const PLANNED: [(&str, &str); 2] = [("geqo", "off"), ("jit", "off")];

/// Where the server makes the verifier: with md5 the role would not log in where SCRAM is required. In transactions only,
/// because rotatectl doctor looks at the server's own value.
const HASHING: [(&str, &str); 1] = [("password_encryption", "scram-sha-256")];

/// What a session loads when it begins: a missing library would end it.
const AT_LOGIN: [(&str, &str); 1] = [("local_preload_libraries", "")];

/// The startup packet's `options`.
pub(super) fn options(limits: Limits) -> String {
    let limits = time_limits(limits).map(|(name, limit)| format!("-c {name}={limit}"));
    let fixed = PINNED.into_iter().chain(PLANNED).chain(AT_LOGIN);
    fixed
        .map(|(name, value)| format!("-c {name}={value}"))
        .chain(limits)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Begins a transaction with the same settings. It is read committed, regardless of the role's default: a question after a lock
/// must not be answered from before it.
///
/// An administrator's own role setting may give it its rights: it is set too.
pub(super) fn begin(session: &Session) -> String {
    let mut sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {SEARCH_PATH}{}",
        limits(session.limits)
    );
    for (name, value) in PINNED.into_iter().skip(1).chain(HASHING).chain(PLANNED) {
        sql += &format!("; SET LOCAL {name} = '{value}'");
    }
    if session.purpose == Purpose::Administrator {
        sql += OWN_ROLE;
    }
    sql
}

/// Begins a transaction that reads as the application does: with its own settings, except those that can keep a question waiting.
pub(super) fn begin_reading(limits: Limits) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY{}",
        self::limits(limits)
    )
}

/// The same for a question to the catalogs.
pub(super) fn begin_asking(limits: Limits) -> String {
    let planned = PLANNED.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
    begin_reading(limits) + &planned.concat()
}

/// The time limits alone, for a transaction that has begun.
fn limits(limits: Limits) -> String {
    let set = time_limits(limits).map(|(name, limit)| format!("; SET LOCAL {name} = {limit}"));
    let set: String = set.collect();
    // from PostgreSQL 17 on; a running timer keeps the time that it was started with, so it is ended first
    let (name, all) = ("'transaction_timeout'", limits.step.as_millis().max(1));
    format!(
        "{set}; SELECT pg_catalog.set_config({name}, '0', true), pg_catalog.set_config({name}, '{all}', true) \
         WHERE pg_catalog.current_setting({name}, true) IS NOT NULL"
    )
}

const SEARCH_PATH: &str = "SET LOCAL search_path = pg_catalog,pg_temp";

/// The role that the session's user is set to act as, if any.
const OWN_ROLE: &str = "; SELECT pg_catalog.set_config('role', pg_catalog.substr(c.setting, 6), true) \
     FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole, \
     pg_catalog.unnest(s.setconfig) AS c (setting) \
     WHERE r.rolname OPERATOR(pg_catalog.=) session_user AND c.setting OPERATOR(pg_catalog.~~) 'role=%' \
     AND (s.setdatabase OPERATOR(pg_catalog.=) 0 OR s.setdatabase OPERATOR(pg_catalog.=) (SELECT d.oid \
          FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())) \
     ORDER BY s.setdatabase DESC LIMIT 1";

/// The limits, in milliseconds, after which the server ends a statement, and a transaction in silence.
fn time_limits(limits: Limits) -> impl Iterator<Item = (&'static str, u128)> {
    [
        ("statement_timeout", limits.statement),
        // before the client's own limit, so that the server says that it was a lock
        ("lock_timeout", limits.lock()),
        ("idle_in_transaction_session_timeout", limits.lease()),
    ]
    .into_iter()
    .map(|(name, limit)| (name, limit.as_millis().max(1)))
}
