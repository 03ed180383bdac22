//! The clients of `rotating-secret`, set up as in an application.

use std::sync::Arc;

use rotating_secret::{
    RotatingSecret, pool,
    postgres::{connect, listen, tls},
    provider::Aws,
};
use sqlx::postgres::PgPoolOptions;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Access, Cache, Connections, Error, Workload, plain,
    session::{REQUEST, Session, in_words, sqlx_options},
};

pub(super) enum Client {
    Fresh(RotatingSecret, MakeRustlsConnect),
    Deadpool(pool::deadpool::Pool),
    Bb8(pool::bb8::Pool<MakeRustlsConnect>),
    Sqlx(pool::sqlx::Pool),
    Plain(plain::Client),
}

/// One client for each kind of connections. The workers of a kind share its pool.
pub(super) async fn all(
    access: &Access,
    workload: &Workload,
) -> Result<Vec<(Connections, Client)>, Error> {
    let tls = tls(access.ca_file.as_deref())?;
    let mut clients = Vec::new();
    match workload.cache {
        Cache::Plain { ttl } => {
            let credential = Arc::new(plain::Credential::new(access, ttl));
            for kind in &workload.connections {
                let client = plain::Client::new(
                    *kind,
                    credential.clone(),
                    access,
                    tls.clone(),
                    workload.workers,
                )
                .await?;
                clients.push((*kind, Client::Plain(client)));
            }
        }
        Cache::Rotating { ttl, listen: told } => {
            let provider = Aws::from_clients([access.service.clone()]);
            let secret = RotatingSecret::builder(&access.secret)
                .ttl(ttl)
                .build(provider)
                .await?;
            if told {
                listen(&secret, tls.clone()).map_err(|error| Error::Pool(error.to_string()))?;
            }
            for kind in &workload.connections {
                let client =
                    Client::new(*kind, &secret, access, tls.clone(), workload.workers).await?;
                clients.push((*kind, client));
            }
        }
    }
    Ok(clients)
}

impl Client {
    async fn new(
        connections: Connections,
        secret: &RotatingSecret,
        access: &Access,
        tls: MakeRustlsConnect,
        workers: usize,
    ) -> Result<Self, Error> {
        let size = u32::try_from(workers).unwrap_or(u32::MAX);
        let pool_error = |error: &dyn std::error::Error| Error::Pool(error.to_string());
        Ok(match connections {
            Connections::Fresh => Self::Fresh(secret.clone(), tls),
            Connections::Deadpool => Self::Deadpool(
                pool::deadpool::pool(secret, tls, move |pool| pool.max_size(workers))
                    .map_err(|error| pool_error(&error))?,
            ),
            Connections::Bb8 => Self::Bb8(
                pool::bb8::pool(secret, tls, move |pool| pool.max_size(size))
                    .await
                    .map_err(|error| pool_error(&error))?,
            ),
            Connections::Sqlx => {
                let options = PgPoolOptions::new().max_connections(size);
                Self::Sqlx(
                    pool::sqlx::pool(secret, sqlx_options(access)?, options)
                        .await
                        .map_err(|error| pool_error(&error))?,
                )
            }
        })
    }

    /// Makes one request. If it fails, returns the error's message.
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
                let row = sqlx::query_as(REQUEST).fetch_one(pool).await;
                let (user, began) = row.map_err(in_words)?;
                return Ok(Session { user, began });
            }
            Self::Plain(client) => return client.request().await,
        }
        .map_err(in_words)
    }
}
