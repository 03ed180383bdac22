//! One request, the same for each cache: its query and its answer.

use rotating_secret::postgres::RDS_ROOTS;
use sqlx::postgres::PgConnectOptions;
use tokio_postgres::Row;

use super::{Access, Error};

/// The user and the start of the session: they show the version of its login.
pub(super) const REQUEST: &str = "SELECT session_user::text, (extract(epoch FROM backend_start) * 1e6)::int8 \
                                  FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()";

/// The session that served a request.
pub(super) struct Session {
    pub(super) user: String,
    /// In microseconds since 1970, by the server's clock. The server hides it from a clone, because a clone acts as another role; then the
    /// user shows the version.
    pub(super) began: Option<i64>,
}

impl TryFrom<&Row> for Session {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            user: row.try_get(0)?,
            began: row.try_get(1)?,
        })
    }
}

/// sqlx trusts only the public CAs by default. Everything else comes from the secret.
pub(super) fn sqlx_options(access: &Access) -> Result<PgConnectOptions, Error> {
    let mut roots = RDS_ROOTS.to_vec();
    if let Some(file) = &access.ca_file {
        let added = std::fs::read(file).map_err(|source| Error::CaFile {
            file: file.clone(),
            source,
        })?;
        roots.extend(added);
    }
    Ok(PgConnectOptions::new_without_pgpass().ssl_root_cert_from_pem(roots))
}

/// The error with all its causes.
pub(super) fn in_words(error: impl std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}
