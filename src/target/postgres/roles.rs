//! The SQL that changes a role, in one place because this is where text becomes code.

use std::time::Duration;

use postgres_protocol::{
    escape::{escape_identifier, escape_literal},
    password::scram_sha_256,
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::settings::PasswordHashing;

/// One message that changes a role's password, or nothing.
///
/// All of it goes out at once: there is no moment between the lock and the change at which this function could
/// be held up and come back with a password that is no longer wanted. The lock is one for each role name, so
/// of two invocations one waits; the server ends a statement after `limit`.
pub(super) fn change_password(
    role: &str,
    password: &SecretString,
    hashing: PasswordHashing,
    limit: Duration,
) -> Zeroizing<String> {
    let password = match hashing {
        PasswordHashing::Scram => {
            Zeroizing::new(scram_sha_256(password.expose_secret().as_bytes()))
        }
        PasswordHashing::Server => Zeroizing::new(password.expose_secret().to_owned()),
    };
    Zeroizing::new(format!(
        // READ WRITE: a role may have default_transaction_read_only
        "BEGIN READ WRITE; \
         SET LOCAL statement_timeout = {limit}; \
         SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('secret-rotation'), pg_catalog.hashtext({name})); \
         ALTER ROLE {role} PASSWORD {password}; \
         COMMIT",
        limit = limit.as_millis().max(1),
        name = escape_literal(role),
        role = escape_identifier(role),
        password = *Zeroizing::new(escape_literal(&password)),
    ))
}
