//! What a login to PostgreSQL needs from a version of a secret, with any driver.

use rotating_secret_document::shown_engine;
use secrecy::{ExposeSecret, SecretString};
#[cfg(feature = "sqlx")]
use sqlx::postgres::{PgConnectOptions, PgSslMode};
#[cfg(feature = "postgres")]
use tokio_postgres::{Config, config::SslMode};

use crate::credential::Credential;

/// A login: what the secret decides.
pub(crate) struct Login<'a> {
    host: &'a str,
    port: u16,
    user: &'a str,
    password: &'a SecretString,
    database: Option<&'a str>,
    tls: bool,
}

/// A version of a secret that is not a login to PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[error("version {version} of {secret} {reason}")]
pub struct NotALogin {
    // boxed, so that an error that carries this one stays small
    secret: Box<str>,
    version: Box<str>,
    reason: Box<str>,
}

impl<'a> Login<'a> {
    /// The login of this version.
    ///
    /// # Errors
    ///
    /// A field is missing or cannot be read, or the secret is of another engine: MySQL's has the same fields.
    pub(crate) fn of(credential: &'a Credential) -> Result<Self, NotALogin> {
        let source = credential.source();
        let names = &source.names;
        let not = |reason: String| NotALogin {
            secret: (&*source.secret).into(),
            version: credential.version().into(),
            reason: reason.into(),
        };
        if let Some(reason) = credential.wrong() {
            return Err(not(reason.to_string()));
        }
        let engine = credential.engine().unwrap_or("postgres");
        if !engine.to_lowercase().contains("postgres") {
            let engine = shown_engine(engine);
            return Err(not(format!(
                "names the engine \"{engine}\", and this logs in to PostgreSQL: name the secret of a PostgreSQL database, or \
                 leave the engine out"
            )));
        }
        if credential.is_auth_token() && !credential.tls() {
            return Err(not(
                "is a token, which a server asks for in clear, and the document says \"ssl\": false: leave that out".to_owned(),
            ));
        }
        let missing = |field| {
            not(format!(
                "has no {field}: store RDS's JSON, with host, username and password, or name its fields (Builder::field_names)"
            ))
        };
        Ok(Self {
            host: credential.host().ok_or_else(|| missing(names.host))?,
            port: credential.port(),
            user: credential.user().ok_or_else(|| missing(names.username))?,
            password: credential
                .password()
                .ok_or_else(|| missing(names.password))?,
            database: credential.database(),
            tls: credential.tls(),
        })
    }

    /// These settings with what the secret decides.
    #[cfg(feature = "postgres")]
    pub(crate) fn with_tokio_postgres(&self, mut config: Config) -> Config {
        config
            .host(self.host)
            .port(self.port)
            .user(self.user)
            .password(self.password.expose_secret())
            .ssl_mode(match self.tls {
                true => SslMode::Require,
                false => SslMode::Disable,
            });
        if let Some(database) = self.database {
            config.dbname(database);
        }
        config
    }

    /// The same for sqlx's settings.
    #[cfg(feature = "sqlx")]
    pub(crate) fn with_sqlx(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = options
            .host(self.host)
            .port(self.port)
            .username(self.user)
            .password(self.password.expose_secret())
            .ssl_mode(match self.tls {
                true => PgSslMode::VerifyFull,
                false => PgSslMode::Disable,
            });
        match self.database {
            Some(database) => options.database(database),
            None => options,
        }
    }
}

/// For an application that makes its connections itself. The settings are of this version: get them again for each connection,
/// and after a rejected login from what [`RotatingSecret::recover`](crate::RotatingSecret::recover) returns.
impl Credential {
    /// tokio-postgres's settings: host, port, user, password and database. TLS is required unless the document itself says
    /// `"ssl": false`; the connector decides whether the server's certificate is checked, see `postgres::TlsBuilder`. A server
    /// that asks for the password in clear text gets it through these settings, but not through `postgres::connect_with` and
    /// the pools.
    ///
    /// ```
    /// # use rotating_secret::{NotALogin, RotatingSecret};
    /// # async fn example(secret: RotatingSecret) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = secret.usable().await?.postgres_config()?;
    /// config.application_name("shop");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// A field is missing or cannot be read, or the document is of another engine.
    #[cfg(feature = "postgres")]
    pub fn postgres_config(&self) -> Result<Config, NotALogin> {
        Ok(Login::of(self)?.with_tokio_postgres(Config::new()))
    }

    /// sqlx's settings: host, port, user, password, database, and verify-full unless the document itself says `"ssl": false`.
    /// sqlx takes what the secret does not say from the environment (`PGAPPNAME`, `PGOPTIONS`, …); `.pgpass` is not read.
    ///
    /// sqlx trusts the public roots. For RDS give it RDS's roots: `.ssl_root_cert_from_pem(postgres::RDS_ROOTS.to_vec())`, with
    /// the feature `tls`.
    ///
    /// # Errors
    ///
    /// A field is missing or cannot be read, or the document is of another engine.
    #[cfg(feature = "sqlx")]
    pub fn sqlx_options(&self) -> Result<PgConnectOptions, NotALogin> {
        Ok(Login::of(self)?.with_sqlx(PgConnectOptions::new_without_pgpass()))
    }
}
