//! The clients of `rotating-secret`, set up as an application would.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rotating_secret::{
    RotatingSecret, pool,
    postgres::{connect, listen},
    provider::Aws,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_postgres::Row;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Cache, Connections, Error, plain};
use crate::world::World;

/// Whose session this is and since when, which tells what it logged in with.
pub(super) const REQUEST: &str = "SELECT session_user::text, (extract(epoch FROM backend_start) * 1e6)::int8 \
                                  FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()";

pub(super) enum Client {
    Fresh(RotatingSecret, MakeRustlsConnect),
    Deadpool(deadpool_postgres::Pool),
    Bb8(pool::bb8::Pool<MakeRustlsConnect>),
    Sqlx(pool::sqlx::Pool),
    Plain(plain::Client),
}

/// The session that served a request.
pub(super) struct Session {
    pub(super) user: String,
    pub(super) began: SystemTime,
}

impl Session {
    /// The server hides from a clone when its session began, for it acts as another role. Then the user is what tells.
    pub(super) fn of(user: String, microseconds: Option<i64>) -> Self {
        let since = |micros: i64| Duration::from_micros(micros.unsigned_abs());
        let began = microseconds.map(|micros| SystemTime::UNIX_EPOCH + since(micros));
        Self {
            user,
            began: began.unwrap_or_else(SystemTime::now),
        }
    }
}

impl TryFrom<&Row> for Session {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self::of(row.try_get(0)?, row.try_get(1)?))
    }
}

/// One client for each kind of connections; the workers of a kind share its pool.
pub(super) async fn all(
    world: &World,
    secret: &str,
    connections: &[Connections],
    workers: usize,
    cache: Cache,
) -> Result<Vec<(Connections, Client)>, Error> {
    let tls = world.tls()?;
    let mut clients = Vec::new();
    match cache {
        Cache::Plain { ttl } => {
            let credential = Arc::new(plain::Credential::new(world.aws(), secret, ttl));
            for kind in connections {
                let client =
                    plain::Client::new(*kind, credential.clone(), world, tls.clone(), workers)
                        .await?;
                clients.push((*kind, Client::Plain(client)));
            }
        }
        Cache::Rotating { ttl, listen: told } => {
            let provider = Aws::from_clients([world.aws()]);
            let secret = RotatingSecret::builder(secret)
                .ttl(ttl)
                .build(provider)
                .await?;
            if told {
                listen(&secret, tls.clone()).map_err(|error| Error::Pool(error.to_string()))?;
            }
            for kind in connections {
                clients.push((
                    *kind,
                    Client::new(*kind, &secret, world, tls.clone(), workers).await?,
                ));
            }
        }
    }
    Ok(clients)
}

/// sqlx reads the roots from a file, and the rest of what it connects with is the secret's.
pub(super) fn sqlx_options(world: &World) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().ssl_root_cert(world.postgres().ca_file())
}

impl Client {
    async fn new(
        connections: Connections,
        secret: &RotatingSecret,
        world: &World,
        tls: MakeRustlsConnect,
        workers: usize,
    ) -> Result<Self, Error> {
        let size = u32::try_from(workers).unwrap_or(u32::MAX);
        let pool_error = |error: &dyn std::error::Error| Error::Pool(error.to_string());
        Ok(match connections {
            Connections::Fresh => Self::Fresh(secret.clone(), tls),
            Connections::Deadpool => Self::Deadpool(
                pool::deadpool::pool(secret, tls, |pool| pool.max_size(workers))
                    .map_err(|error| pool_error(&error))?,
            ),
            Connections::Bb8 => Self::Bb8(
                pool::bb8::pool(secret, tls, |pool| pool.max_size(size))
                    .await
                    .map_err(|error| pool_error(&error))?,
            ),
            Connections::Sqlx => {
                let options = PgPoolOptions::new().max_connections(size);
                Self::Sqlx(
                    pool::sqlx::pool(secret, sqlx_options(world), options)
                        .await
                        .map_err(|error| pool_error(&error))?,
                )
            }
        })
    }

    /// One request, and what the error says if it fails.
    pub(super) async fn request(&self) -> Result<Session, String> {
        match self {
            Self::Fresh(secret, tls) => {
                let client = connect(secret, tls.clone()).await.map_err(in_words)?;
                Session::try_from(&client.query_one(REQUEST, &[]).await.map_err(in_words)?)
            }
            Self::Deadpool(pool) => {
                let client = pool.get().await.map_err(in_words)?;
                Session::try_from(&client.query_one(REQUEST, &[]).await.map_err(in_words)?)
            }
            Self::Bb8(pool) => {
                let client = pool.get().await.map_err(in_words)?;
                Session::try_from(&client.query_one(REQUEST, &[]).await.map_err(in_words)?)
            }
            Self::Sqlx(pool) => {
                let row: (String, Option<i64>) = sqlx::query_as(REQUEST)
                    .fetch_one(pool)
                    .await
                    .map_err(in_words)?;
                return Ok(Session::of(row.0, row.1));
            }
            Self::Plain(client) => return client.request().await,
        }
        .map_err(in_words)
    }
}

/// With all its causes.
pub(super) fn in_words(error: impl std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}
