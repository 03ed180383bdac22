//! A streaming standby.
//!
//! It uses PostgreSQL's backup functions, because not every package has pg_basebackup: it copies the data folder between the start
//! and the end of the backup, and then streams later changes.

use std::{fs::File, io::Write, time::Duration};

use secrecy::ExposeSecret;

use super::{Error, Postgres, server::Cluster};

impl Postgres {
    /// Starts a streaming standby of this server.
    ///
    /// # Errors
    ///
    /// The same as for [`Postgres::start`].
    pub async fn start_standby(&self) -> Result<Self, Error> {
        let mut cluster = Cluster::new()?;
        let client = self.superuser_client().await?;
        let number: String = client
            .query_one("SHOW server_version_num", &[])
            .await?
            .get(0);
        // PostgreSQL 15 renamed the functions and removed a parameter
        let (start, stop) = if number.as_str() < "150000" {
            (
                "SELECT pg_start_backup('standby', true, false)",
                "SELECT labelfile FROM pg_stop_backup(false, false)",
            )
        } else {
            (
                "SELECT pg_backup_start('standby', true)",
                "SELECT labelfile FROM pg_backup_stop(false)",
            )
        };
        client.query_one(start, &[]).await?;
        cluster.run("/bin/cp", |command| {
            command
                .args(["-R", "-p"])
                .arg(self.folder().join("data"))
                .arg("data");
        })?;
        let label: String = client.query_one(stop, &[]).await?.get(0);

        let copied = |name: &str| cluster.folder.join("data").join(name);
        cluster.write("data/backup_label", &label)?;
        cluster.write("data/standby.signal", "")?;
        std::fs::remove_file(copied("postmaster.pid"))
            .map_err(Error::io("remove the copied lock file"))?;
        let mut conf = File::options()
            .append(true)
            .open(copied("postgresql.conf"))
            .map_err(Error::io("open postgresql.conf"))?;
        let password = self.superuser_password().expose_secret();
        writeln!(
            conf,
            "primary_conninfo = 'host=127.0.0.1 port={} user={} password={password}'",
            self.port(),
            Self::SUPERUSER,
        )
        .map_err(Error::io("write postgresql.conf"))?;
        std::fs::copy(self.ca_file(), cluster.folder.join("ca.pem"))
            .map_err(Error::io("copy the CA"))?;
        cluster.start(self.superuser_password().clone()).await
    }

    /// On a standby: waits until it has everything that its primary had written at the time of this call.
    ///
    /// # Errors
    ///
    /// A server refuses the query.
    pub async fn catch_up_with(&self, primary: &Self) -> Result<(), Error> {
        let written = "SELECT pg_current_wal_lsn()::text";
        let written: String = primary
            .superuser_client()
            .await?
            .query_one(written, &[])
            .await?
            .get(0);
        let client = self.superuser_client().await?;
        let replayed = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
        while !client
            .query_one(replayed, &[&written])
            .await?
            .get::<_, bool>(0)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}
