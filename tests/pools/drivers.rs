//! The three pools, and a connection of any of them, for tests that do the same with each.

use std::{error::Error, time::Duration};

use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use local::world::World;
use rotating_secret::{RotatingSecret, pool, pool::Settings};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::common::{LONG, until};

pub(crate) enum Pool {
    Deadpool(pool::deadpool::Pool),
    Bb8(pool::bb8::Pool<MakeRustlsConnect>),
    Sqlx(pool::sqlx::Pool),
}

pub(crate) enum Connection {
    Deadpool(deadpool_postgres::Object),
    Bb8(bb8::PooledConnection<'static, pool::bb8::Manager<MakeRustlsConnect>>),
    Sqlx(sqlx::pool::PoolConnection<sqlx::Postgres>),
}

/// None waits before it fills the next version's pool, and the old connections leave at once.
pub(crate) fn at_once() -> Settings {
    Settings::default()
        .jitter(Duration::ZERO)
        .drain(Duration::ZERO)
}

impl Pool {
    /// Each of them, with room for four.
    pub(crate) async fn all(world: &World, secret: &RotatingSecret) -> [Self; 3] {
        Self::with(world, secret, at_once(), 4).await
    }

    /// Each of them, with room for so many. Its connections have the name [`application`](Self::application).
    pub(crate) async fn with(
        world: &World,
        secret: &RotatingSecret,
        settings: Settings,
        room: usize,
    ) -> [Self; 3] {
        let (tls, of, small) = (world.tls().unwrap(), world.role(), room as u32);
        let config = |name: &str| {
            let mut config = Config::new();
            config.application_name(format!("{name}-{of}"));
            config
        };
        let verified = ManagerConfig {
            recycling_method: RecyclingMethod::Verified,
        };
        let deadpool = pool::deadpool::pool_with(
            secret,
            config("deadpool"),
            tls.clone(),
            verified,
            settings,
            move |pool| pool.max_size(room),
        );
        let bb8 = pool::bb8::pool_with(secret, config("bb8"), tls, settings, move |pool| {
            // no test must pass because of a second try
            pool.max_size(small).connection_timeout(LONG)
        });
        let options = PgConnectOptions::new_without_pgpass()
            .application_name(&format!("sqlx-{of}"))
            .ssl_root_cert(world.postgres().ca_file());
        let of_size = PgPoolOptions::new()
            .max_connections(small)
            .acquire_timeout(LONG);
        let sqlx = pool::sqlx::pool_with(secret, options, of_size, settings);
        [
            Self::Deadpool(deadpool.unwrap()),
            Self::Bb8(bb8.await.unwrap()),
            Self::Sqlx(sqlx.await.unwrap()),
        ]
    }

    /// The number of this pool's logins that the server accepted.
    pub(crate) fn logins(&self, world: &World) -> usize {
        let name = format!("application_name={}-{} ", self.name(), world.role());
        let log = world.postgres().log().unwrap();
        let accepted = log
            .lines()
            .filter(|line| line.contains("connection authorized"));
        accepted.filter(|line| line.contains(&name)).count()
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Deadpool(pool) => pool.size(),
            Self::Bb8(pool) => pool.size(),
            Self::Sqlx(pool) => pool.size() as usize,
        }
    }

    pub(crate) fn num_idle(&self) -> usize {
        match self {
            Self::Deadpool(pool) => pool.num_idle(),
            Self::Bb8(pool) => pool.num_idle(),
            Self::Sqlx(pool) => pool.num_idle(),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Deadpool(pool) => pool.close(),
            Self::Bb8(pool) => pool.close(),
            Self::Sqlx(pool) => pool.close().await,
        }
    }

    /// Waits until so many are idle: sqlx takes them back in background tasks.
    pub(crate) async fn has_idle(&self, count: usize) {
        until(self.name(), async || self.num_idle() == count).await;
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Deadpool(_) => "deadpool",
            Self::Bb8(_) => "bb8",
            Self::Sqlx(_) => "sqlx",
        }
    }

    pub(crate) async fn get(&self) -> Result<Connection, Box<dyn Error>> {
        Ok(match self {
            Self::Deadpool(pool) => Connection::Deadpool(pool.get().await?),
            Self::Bb8(pool) => Connection::Bb8(pool.get().await?),
            Self::Sqlx(pool) => Connection::Sqlx(pool.acquire().await?),
        })
    }

    /// The server processes of four connections that were opened and given back.
    pub(crate) async fn fill(&self) -> Vec<i32> {
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(self.get().await.unwrap());
        }
        let mut pids = Vec::new();
        for connection in &mut connections {
            pids.push(connection.pid().await);
        }
        drop(connections);
        self.has_idle(4).await;
        pids
    }
}

impl Connection {
    pub(crate) async fn number(&mut self, sql: &'static str) -> i32 {
        match self {
            Self::Deadpool(client) => client.query_one(sql, &[]).await.unwrap().get(0),
            Self::Bb8(client) => client.query_one(sql, &[]).await.unwrap().get(0),
            Self::Sqlx(connection) => sqlx::query_scalar(sql)
                .fetch_one(&mut **connection)
                .await
                .unwrap(),
        }
    }

    pub(crate) async fn pid(&mut self) -> i32 {
        self.number("SELECT pg_backend_pid()").await
    }

    pub(crate) async fn run(&mut self, sql: &'static str) {
        match self {
            Self::Deadpool(client) => client.batch_execute(sql).await.unwrap(),
            Self::Bb8(client) => client.batch_execute(sql).await.unwrap(),
            Self::Sqlx(connection) => {
                sqlx::raw_sql(sql).execute(&mut **connection).await.unwrap();
            }
        }
    }
}
