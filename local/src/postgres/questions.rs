//! Logins and statements for tests.

use secrecy::ExposeSecret;
use tokio_postgres::{Client, Config, NoTls};

use super::{Error, Postgres};

/// Logins of one role, counted from the server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// The password was right.
    pub accepted: usize,
    /// The server said that the password was wrong.
    pub rejected: usize,
}

impl Postgres {
    /// Logs in without TLS. The connection stays on this machine.
    ///
    /// # Errors
    ///
    /// The server's error; a wrong password has the SQLSTATE 28P01.
    pub async fn connect(&self, user: &str, password: &str, dbname: &str) -> Result<Client, Error> {
        let (client, connection) = Config::new()
            .host(self.host())
            .port(self.port())
            .user(user)
            .password(password)
            .dbname(dbname)
            .connect(NoTls)
            .await?;
        // this task ends with the client; a waiting statement gets the error
        tokio::spawn(async { drop(connection.await) });
        Ok(client)
    }

    /// Logs in as the superuser.
    ///
    /// # Errors
    ///
    /// The same as for [`Postgres::connect`].
    pub async fn superuser_client(&self) -> Result<Client, Error> {
        self.connect(
            Self::SUPERUSER,
            self.superuser_password().expose_secret(),
            "postgres",
        )
        .await
    }

    /// Runs statements as the superuser.
    ///
    /// # Errors
    ///
    /// The same as for [`Postgres::connect`], and that of the first statement that fails.
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        Ok(self.superuser_client().await?.batch_execute(sql).await?)
    }

    /// The server's whole log.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        std::fs::read_to_string(self.folder().join("log"))
            .map_err(Error::io("read the server's log"))
    }

    /// The number of a role's accepted and rejected logins since the server's start.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn logins(&self, role: &str) -> Result<Logins, Error> {
        let log = self.log()?;
        let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        Ok(Logins {
            accepted: count(&format!("connection authorized: user={role} ")),
            rejected: count(&format!(
                "password authentication failed for user \"{role}\""
            )),
        })
    }
}
