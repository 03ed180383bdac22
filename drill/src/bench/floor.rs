//! The floor of a rotation: its API calls and logins, one after another, and nothing else.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::{Client, error::DisplayErrorContext};
use local::{postgres, world::World};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::demo::Error;

const SECRET: &str = "bench/floor";
const ROLE: &str = "bench_floor";
const PASSWORD: &str = "a-password-of-32-characters-long";

/// A secret and a role that nothing else uses.
pub(super) struct Floor<'a> {
    world: &'a World,
    aws: Client,
    /// Made once: a warm process has its roots already.
    tls: MakeRustlsConnect,
    /// A label can be moved to the version that has it already.
    version: String,
}

impl<'a> Floor<'a> {
    /// Makes the secret and the role.
    ///
    /// # Errors
    ///
    /// Secrets Manager or the server refuses.
    pub(super) async fn new(world: &'a World) -> Result<Self, Error> {
        let aws = world.aws();
        let created = aws.create_secret().name(SECRET).secret_string(PASSWORD);
        let created = created.send().await.map_err(refused)?;
        let role =
            format!("DROP ROLE IF EXISTS {ROLE}; CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'");
        world.postgres().execute(&role).await?;
        let tls = world.tls();
        Ok(Self {
            world,
            aws,
            tls: tls.map_err(|error| Error::NotRotated(error.to_string()))?,
            version: created.version_id.unwrap_or_default(),
        })
    }

    /// The time of these calls and logins.
    ///
    /// # Errors
    ///
    /// One of them fails.
    pub(super) async fn time(&self, calls: &[String], logins: usize) -> Result<Duration, Error> {
        let began = Instant::now();
        for operation in calls {
            self.call(operation).await?;
        }
        for _ in 0..logins {
            self.login().await?;
        }
        Ok(began.elapsed())
    }

    async fn call(&self, operation: &str) -> Result<(), Error> {
        let aws = &self.aws;
        match operation {
            "DescribeSecret" => {
                let call = aws.describe_secret().secret_id(SECRET).send();
                call.await.map_err(refused)?;
            }
            "GetRandomPassword" => {
                let call = aws.get_random_password().send();
                call.await.map_err(refused)?;
            }
            "PutSecretValue" => {
                let put = aws.put_secret_value().secret_id(SECRET);
                let put = put.secret_string(PASSWORD).version_stages("AWSPENDING");
                put.send().await.map_err(refused)?;
            }
            "UpdateSecretVersionStage" => {
                let update = aws.update_secret_version_stage().secret_id(SECRET);
                let update = update
                    .version_stage("BENCH")
                    .move_to_version_id(&self.version);
                update.send().await.map_err(refused)?;
            }
            "GetSecretValue" => {
                let call = aws.get_secret_value().secret_id(SECRET).send();
                call.await.map_err(refused)?;
            }
            other => {
                let text = format!("the floor does not know {other}: add it to floor.rs");
                return Err(Error::NotRotated(text));
            }
        }
        Ok(())
    }

    async fn login(&self) -> Result<(), Error> {
        let server = self.world.postgres();
        let (_client, connection) = tokio_postgres::Config::new()
            .host(server.host())
            .port(server.port())
            .user(ROLE)
            .password(PASSWORD)
            .dbname(self.world.dbname())
            .ssl_mode(SslMode::Require)
            .connect(self.tls.clone())
            .await
            .map_err(postgres::Error::from)?;
        drop(connection);
        Ok(())
    }
}

fn refused(error: impl std::error::Error) -> Error {
    Error::NotRotated(DisplayErrorContext(error).to_string())
}
