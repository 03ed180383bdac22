//! Whether two sessions are on one running server.
//!
//! Snapshots, restores and promoted standbys keep a `system_identifier`, so it does not separate staging from production better
//! than a name does. A lock is held by one running server only: the secret's own session takes an advisory lock with a number
//! that nobody can know, and the administrator's session must see it in pg_locks.
//!
//! It must also see that the secret's own user holds the lock. A server in between can claim that this user logged in, and pass
//! the lock on under another login.

use rand::{TryRng, rngs::SysRng};
use tokio_postgres::types::Type;

use super::{
    Session,
    errors::{Doing, READS},
    pin,
    session::Value,
};
use crate::engine::EngineError;

const PROVES: Doing<'static> = Doing::new("take an advisory lock");

/// Checks that the administrator's session is on the server where the secret's own credential has logged in.
pub(super) async fn same_instance(
    proven: &Session,
    administrators: &Session,
) -> Result<(), EngineError> {
    proven.takes_changes()?;
    let number = SysRng.try_next_u64().map_err(|_| EngineError::Unable {
        what: "draw a random number",
    })?;
    let (high, low) = ((number >> 32) as u32, number as u32);
    let lock = format!(
        "{}; SELECT pg_catalog.pg_advisory_xact_lock({})",
        pin::begin(proven),
        number.cast_signed(),
    );
    proven.run(&lock, PROVES).await?;
    // a prepared transaction has no pid, and pg_stat_get_activity(NULL) is every session: its lock proves nothing
    let question = "SELECT FROM pg_catalog.pg_locks l, pg_catalog.pg_stat_get_activity(l.pid) a, pg_catalog.pg_roles r \
                    WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted \
                    AND l.classid OPERATOR(pg_catalog.=) $1 AND l.objid OPERATOR(pg_catalog.=) $2 \
                    AND l.objsubid OPERATOR(pg_catalog.=) 1 \
                    AND a.pid OPERATOR(pg_catalog.=) l.pid \
                    AND r.oid OPERATOR(pg_catalog.=) a.usesysid AND r.rolname OPERATOR(pg_catalog.=) $3";
    let values: [Value<'_>; 3] = [
        (&high, Type::OID),
        (&low, Type::OID),
        (&proven.user, Type::NAME),
    ];
    let seen = administrators.ask(question, &values, READS, |_| Ok(()));
    let seen = seen.await?;
    proven.run("ROLLBACK", PROVES).await?;
    if seen.is_empty() {
        return Err(EngineError::AnotherInstance {
            server: administrators.server.clone(),
            secrets: proven.server.clone(),
        });
    }
    Ok(())
}
