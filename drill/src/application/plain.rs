//! The cache of most applications: it reads a credential, uses it until its lifetime ends, and reads it again. The pools use the
//! credential only to open a connection.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_secretsmanager::Client as SecretsManager;
use rotating_secret_document::{DEFAULT_DATABASE, DEFAULT_PORT, Fields};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Access, Connections, Error,
    session::{REQUEST, Session, in_words, sqlx_options},
};

/// The fields that the application reads.
#[derive(Clone)]
struct Document {
    host: String,
    port: u16,
    username: String,
    password: SecretString,
    dbname: String,
}

impl Document {
    fn read(text: &str) -> Result<Self, String> {
        let fields = Fields::read(&text.into()).map_err(in_words)?;
        Ok(Self {
            host: fields.host.unwrap_or_default(),
            port: fields.port.unwrap_or(DEFAULT_PORT),
            username: fields.username.unwrap_or_default(),
            password: fields.password.unwrap_or_default(),
            dbname: fields.dbname.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
        })
    }
}

/// A credential with a lifetime.
pub(super) struct Credential {
    service: SecretsManager,
    secret: String,
    ttl: Duration,
    cached: Mutex<Option<(Instant, Document)>>,
}

impl Credential {
    pub(super) fn new(access: &Access, ttl: Duration) -> Self {
        Self {
            service: access.service.clone(),
            secret: access.secret.clone(),
            ttl,
            cached: Mutex::new(None),
        }
    }

    async fn get(&self) -> Result<Document, String> {
        let mut cached = self.cached.lock().await;
        if let Some((read, document)) = &*cached
            && read.elapsed() < self.ttl
        {
            return Ok(document.clone());
        }
        let value = self
            .service
            .get_secret_value()
            .secret_id(&self.secret)
            .send()
            .await;
        let value = value.map_err(in_words)?;
        let document = Document::read(value.secret_string().unwrap_or_default())?;
        *cached = Some((Instant::now(), document.clone()));
        Ok(document)
    }

    async fn config(&self) -> Result<Config, String> {
        let document = self.get().await?;
        let mut config = Config::new();
        config
            .host(document.host)
            .port(document.port)
            .user(document.username)
            .password(document.password.expose_secret())
            .dbname(document.dbname);
        Ok(config)
    }
}

pub(super) enum Client {
    Fresh(Connector),
    Deadpool(deadpool_postgres::Pool),
    Bb8(bb8::Pool<Connector>),
    Sqlx(PgPool, Arc<Credential>),
}

impl Client {
    pub(super) async fn new(
        connections: Connections,
        credential: Arc<Credential>,
        access: &Access,
        tls: MakeRustlsConnect,
        workers: usize,
    ) -> Result<Self, Error> {
        let size = u32::try_from(workers).unwrap_or(u32::MAX);
        let connector = Connector {
            credential: credential.clone(),
            tls,
        };
        Ok(match connections {
            Connections::Fresh => Self::Fresh(connector),
            Connections::Deadpool => {
                let manager = deadpool_postgres::Manager::from_connect(
                    Config::new(),
                    connector,
                    deadpool_postgres::ManagerConfig::default(),
                );
                let pool = deadpool_postgres::Pool::builder(manager)
                    .max_size(workers)
                    .build();
                Self::Deadpool(pool.map_err(|error| Error::Pool(error.to_string()))?)
            }
            Connections::Bb8 => Self::Bb8(
                bb8::Pool::builder()
                    .max_size(size)
                    .build(connector)
                    .await
                    .map_err(Error::Pool)?,
            ),
            Connections::Sqlx => {
                let options = sqlx_options(access)?.ssl_mode(PgSslMode::VerifyFull);
                let pool = PgPoolOptions::new()
                    .max_connections(size)
                    .connect_lazy_with(options);
                Self::Sqlx(pool, credential)
            }
        })
    }

    pub(super) async fn request(&self) -> Result<Session, String> {
        match self {
            Self::Fresh(connector) => {
                let client = connector.open().await?;
                Session::try_from(&client.query_one(REQUEST, &[]).await.map_err(in_words)?)
            }
            Self::Deadpool(pool) => {
                let client = pool.get().await.map_err(in_words)?;
                Session::try_from(&client.query_one(REQUEST, &[]).await.map_err(in_words)?)
            }
            Self::Bb8(pool) => {
                let client = pool.get().await.map_err(|error| match error {
                    bb8::RunError::User(error) => error,
                    bb8::RunError::TimedOut => "no connection in time".to_owned(),
                })?;
                Session::try_from(&client.query_one(REQUEST, &[]).await.map_err(in_words)?)
            }
            Self::Sqlx(pool, credential) => {
                let document = credential.get().await?;
                let options = PgConnectOptions::clone(&pool.connect_options())
                    .host(&document.host)
                    .port(document.port)
                    .username(&document.username)
                    .password(document.password.expose_secret())
                    .database(&document.dbname);
                pool.set_connect_options(options);
                let row = sqlx::query_as(REQUEST).fetch_one(pool).await;
                let (user, began) = row.map_err(in_words)?;
                return Ok(Session { user, began });
            }
        }
        .map_err(in_words)
    }
}

/// Opens a connection with the cached credential.
#[derive(Clone)]
pub(super) struct Connector {
    credential: Arc<Credential>,
    tls: MakeRustlsConnect,
}

impl Connector {
    async fn open(&self) -> Result<tokio_postgres::Client, String> {
        let config = self.credential.config().await?;
        let (client, connection) = config.connect(self.tls.clone()).await.map_err(in_words)?;
        tokio::spawn(async { drop(connection.await) });
        Ok(client)
    }
}

impl deadpool_postgres::Connect for Connector {
    fn connect(
        &self,
        empty: &Config,
    ) -> Pin<
        Box<
            dyn Future<
                    Output = Result<
                        (tokio_postgres::Client, JoinHandle<()>),
                        tokio_postgres::Error,
                    >,
                > + Send
                + '_,
        >,
    > {
        let empty = empty.clone();
        Box::pin(async move {
            // without a credential the driver says that the configuration is empty
            let config = self.credential.config().await.unwrap_or(empty);
            let (client, connection) = config.connect(self.tls.clone()).await?;
            Ok((client, tokio::spawn(async { drop(connection.await) })))
        })
    }
}

impl bb8::ManageConnection for Connector {
    type Connection = tokio_postgres::Client;
    type Error = String;

    async fn connect(&self) -> Result<Self::Connection, String> {
        self.open().await
    }

    async fn is_valid(&self, client: &mut Self::Connection) -> Result<(), String> {
        client.simple_query("").await.map(drop).map_err(in_words)
    }

    fn has_broken(&self, client: &mut Self::Connection) -> bool {
        client.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use rotating_secret_document::table::ROWS;

    use super::*;

    #[test]
    fn every_document_of_the_table_is_read_as_the_function_reads_it() {
        let rows = ROWS.iter().filter_map(|row| Some((row, row.reading.ok()?)));
        for (row, read) in rows {
            let document = Document::read(row.text).unwrap();
            assert_eq!(document.host, read.host, "{}", row.what);
            assert_eq!(document.port, read.port, "{}", row.what);
            assert_eq!(document.username, read.user, "{}", row.what);
            assert_eq!(document.password.expose_secret(), read.password);
            assert_eq!(document.dbname, read.database, "{}", row.what);
        }
    }
}
