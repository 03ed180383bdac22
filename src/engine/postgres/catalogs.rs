//! Questions to the catalogs, and changes through them: who a session is, what a role lacks, when it ends, its sessions.
//!
//! They name the schema of every function, type and operator, so they mean the same in a session that is not pinned.

use std::time::{Duration, SystemTime};

use tokio_postgres::types::Type;

use super::{
    Session,
    errors::{Doing, READS},
    session::Value,
    text::Text,
};
use crate::{engine::EngineError, moment};

type Answer<T> = Result<T, EngineError>;

/// Who a session is.
pub(super) struct Identity {
    pub(super) current_user: String,
    /// The role that its own settings make it act as, if any.
    pub(super) acts_as: Option<String>,
    pub(super) expired: bool,
    /// Whether it may act as that role.
    pub(super) may_act_so: bool,
}

/// Asks a session who it is.
pub(super) async fn identity(session: &Session) -> Answer<Option<Identity>> {
    let question = "SELECT current_user::pg_catalog.text, pg_catalog.substr(pg_catalog.textsend(acts.setting), 6, 64), \
                    coalesce(r.rolvaliduntil OPERATOR(pg_catalog.<=) pg_catalog.now(), false), \
                    coalesce(pg_catalog.pg_has_role(r.oid, acts.oid, CASE WHEN \
                        pg_catalog.current_setting('server_version_num')::pg_catalog.int4 OPERATOR(pg_catalog.<) 160000 \
                        THEN 'MEMBER' ELSE 'SET' END), false) \
                    FROM pg_catalog.pg_roles r LEFT JOIN LATERAL (\
                        SELECT set.setting, named.oid FROM (\
                            SELECT c.setting, s.setdatabase \
                            FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c (setting) \
                            WHERE s.setrole OPERATOR(pg_catalog.=) r.oid AND c.setting OPERATOR(pg_catalog.~~) 'role=%' \
                            AND (s.setdatabase OPERATOR(pg_catalog.=) 0 OR s.setdatabase OPERATOR(pg_catalog.=) (\
                                SELECT d.oid FROM pg_catalog.pg_database d \
                                WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()))) AS set \
                        LEFT JOIN pg_catalog.pg_roles named \
                            ON set.setting OPERATOR(pg_catalog.=) ('role=' OPERATOR(pg_catalog.||) named.rolname::pg_catalog.text) \
                        ORDER BY set.setdatabase DESC LIMIT 1) AS acts ON true \
                    WHERE r.rolname OPERATOR(pg_catalog.=) session_user";
    let identity = session.ask(question, &[], READS, |row| {
        let (Text(current_user), acts_as) = (row.try_get(0)?, row.try_get::<_, Option<Text>>(1)?);
        Ok(Identity {
            current_user,
            acts_as: acts_as.map(|Text(role)| role).filter(|role| role != "none"),
            expired: row.try_get(2)?,
            may_act_so: row.try_get(3)?,
        })
    });
    Ok(identity.await?.pop())
}

/// What `base` has in any database that `owner` lacks; nothing if `base` already acts as `owner`. CONNECT does not count: the
/// role that logs in needs it, and keeps it.
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
    let values: [Value<'_>; 2] = [(&base, Type::TEXT), (&owner, Type::TEXT)];
    session
        .ask(question, &values, READS, |row| row.try_get(0))
        .await
}

/// When a password that must end after `window` ends, as the server writes it; `None` if it ends earlier anyway.
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
    let values: [Value<'_>; 2] = [(&role, Type::TEXT), (&seconds, Type::FLOAT8)];
    let ends = session.ask(question, &values, doing, |row| row.try_get(0));
    Ok(ends.await?.pop())
}

/// Ends a role's open sessions, except the one that asks, and returns their processes; only those begun before `begun`, if
/// given.
pub(super) async fn end_sessions(
    session: &Session,
    role: &str,
    begun: Option<SystemTime>,
    doing: Doing<'_>,
) -> Answer<Vec<i32>> {
    // materialized, because a server may call a function before it filters the rows
    let statement = "WITH open AS MATERIALIZED (\
                         SELECT pid FROM pg_catalog.pg_stat_activity WHERE usename OPERATOR(pg_catalog.=) $1 \
                         AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() \
                         AND ($2 IS NULL OR backend_start OPERATOR(pg_catalog.<) $2)) \
                     SELECT pid FROM open WHERE pg_catalog.pg_terminate_backend(pid)";
    let begun = begun.map(moment::nearest);
    let values: [Value<'_>; 2] = [(&role, Type::TEXT), (&begun, Type::TIMESTAMPTZ)];
    session
        .ask(statement, &values, doing, |row| row.try_get(0))
        .await
}

/// How many seconds from now a login that had begun by `since` may still succeed; `None` if that time is over.
pub(super) async fn late(
    session: &Session,
    since: SystemTime,
    doing: Doing<'_>,
) -> Answer<Option<Duration>> {
    let question = "SELECT pg_catalog.date_part('epoch', $1 OPERATOR(pg_catalog.+) \
                        pg_catalog.current_setting('authentication_timeout')::pg_catalog.interval OPERATOR(pg_catalog.-) pg_catalog.now())";
    let since = moment::nearest(since);
    let values: [Value<'_>; 1] = [(&since, Type::TIMESTAMPTZ)];
    let seconds = session.ask(question, &values, doing, |row| row.try_get::<_, f64>(0));
    Ok((seconds.await?.pop())
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| Duration::from_secs(seconds.ceil() as u64)))
}
