//! Locks that block a change of a role.
//!
//! Every role of the database may take the function's own advisory lock, and anyone who may alter a role can hold its row until
//! the transaction ends. A rotation waits longer than another delivery of the function may hold either. After that it ends a
//! session of the pair itself, and names the session of a third role.

use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::{Session, errors::Doing, roles, text::Text};
use crate::{document::Pair, engine::EngineError};

/// The function's own lock, or the lock of a change of a role.
const LOCKS: &str = "(l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.objsubid OPERATOR(pg_catalog.=) 2 \
        AND l.classid OPERATOR(pg_catalog.=) pg_catalog.hashtext('secret-rotation')::pg_catalog.oid \
        OR l.mode OPERATOR(pg_catalog.=) 'RowExclusiveLock' AND l.relation OPERATOR(pg_catalog.=) ANY (\
            ARRAY['pg_catalog.pg_authid'::pg_catalog.regclass, \
                  'pg_catalog.pg_auth_members'::pg_catalog.regclass, \
                  'pg_catalog.pg_db_role_setting'::pg_catalog.regclass]::pg_catalog.oid[]))";

/// The sessions that hold one of them, or wait for it.
const HOLDERS: &str = "pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid \
    WHERE a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() AND ";

/// Prepared transactions hold locks without a session.
const PREPARED: &str = "SELECT DISTINCT p.gid, p.owner::pg_catalog.text, p.database::pg_catalog.text FROM pg_catalog.pg_locks l \
    JOIN pg_catalog.pg_locks x ON x.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction AND x.pid IS NULL \
    JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) x.transactionid WHERE l.pid IS NULL AND ";

/// The SQLSTATE when two sessions alter one role at once: the second one finds it altered.
pub(super) const CONCURRENTLY: &str = "XX000";

/// The SQLSTATE when two sessions wait for each other: the server ends one of them.
const DEADLOCK: &str = "40P01";

pub(super) fn is_deadlock(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { code, .. } if code == DEADLOCK)
}

/// Who holds the lock that the caller waited for without success. The caller's transaction has failed by then.
pub(super) async fn held(session: &Session) -> EngineError {
    let sessions = format!(
        "SELECT DISTINCT a.pid, coalesce(a.usename, '')::pg_catalog.text FROM {HOLDERS}{LOCKS} AND l.granted LIMIT 5"
    );
    let prepared = format!("{PREPARED}{LOCKS} LIMIT 5");
    let asked = async {
        session.client.batch_execute("ROLLBACK").await?;
        let sessions = session.rows(&sessions, &[], |row| {
            let (pid, Text(user)): (i32, Text) = (row.try_get(0)?, row.try_get(1)?);
            Ok((
                format!("process {pid} of {user}"),
                format!("SELECT pg_terminate_backend({pid})"),
            ))
        });
        let mut holders = sessions.await?;
        let prepared = session.rows(&prepared, &[], |row| {
            let (Text(gid), Text(owner)) = (row.try_get(0)?, row.try_get(1)?);
            let Text(database) = row.try_get(2)?;
            Ok((
                format!("a transaction of {owner} that is prepared in the database {database}"),
                format!("ROLLBACK PREPARED {}", roles::text(&gid).trim_start()),
            ))
        });
        holders.extend(prepared.await?);
        Ok::<_, tokio_postgres::Error>(holders)
    };
    let Ok(Ok(holders)) = timeout(session.limits.fence(), asked).await else {
        return session.timed_out();
    };
    let (by, cure): (Vec<_>, Vec<_>) = holders.into_iter().unzip();
    if by.is_empty() {
        return session.timed_out();
    }
    EngineError::Locked {
        server: session.server.clone(),
        by: by.join(", "),
        cure: cure.join("; "),
    }
}

/// Prepares a change. If sessions of the pair itself block it, ends them and prepares it once more.
pub(super) async fn past_its_own<T>(
    session: &Session,
    pair: &Pair,
    prepare: impl AsyncFn() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let error = match prepare().await {
        Err(error @ EngineError::Locked { .. }) => error,
        // the other session has committed by now, or has what it waited for
        Err(EngineError::Refused { code, .. }) if [CONCURRENTLY, DEADLOCK].contains(&&*code) => {
            session.run("ROLLBACK", Doing::new("roll back")).await?;
            end_holders(session, pair).await.ok();
            return prepare().await;
        }
        done => return done,
    };
    match end_holders(session, pair).await {
        Ok(1..) => prepare().await,
        // no session, or none that it may end
        Ok(0) | Err(_) => Err(error),
    }
}

/// Ends the sessions of a pair of roles that hold a lock which the change needs, and counts them.
pub(super) async fn end_holders(session: &Session, pair: &Pair) -> Result<usize, EngineError> {
    let statement = format!(
        "WITH holders AS MATERIALIZED (SELECT DISTINCT a.pid FROM {HOLDERS}{LOCKS} AND a.usename OPERATOR(pg_catalog.=) ANY ($1)) \
         SELECT pid FROM holders WHERE pg_catalog.pg_terminate_backend(pid)"
    );
    let users = &[pair.base.as_str(), pair.clone.as_str()][..];
    let ends = Doing {
        action: "end sessions that hold a lock",
        cure: &roles::grant("pg_signal_backend", &session.user),
    };
    let ended = session
        .ask(&statement, &[(&users, Type::TEXT_ARRAY)], ends, |_| Ok(()))
        .await?
        .len();
    if ended > 0 {
        tracing::warn!(
            ended,
            "sessions of the secret's own users held a lock that a change of their password needs: they were ended"
        );
    }
    Ok(ended)
}
