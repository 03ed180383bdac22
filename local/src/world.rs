//! Joins the parts: one endpoint, a database, and secrets to rotate.

mod options;
mod ready;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use postgres_protocol::password::scram_sha_256;
use rotating_secret::postgres::{TlsError, tls};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use crate::{
    control,
    iam::{ACCOUNT, Iam, PolicyError},
    key_service::KeyService,
    lambda::{self, Function, FunctionSettings},
    logs,
    postgres::{self, Postgres},
    secrets_manager::{SecretsManager, ServiceError},
    sts,
};

pub use self::{options::Options, ready::Ready};
use self::{
    options::Server,
    ready::{ReadyPostgres, ReadySecrets},
};

/// The region of the world.
pub const REGION: &str = "us-east-1";

const FUNCTION_NAME: &str = "secret-rotation";

/// The access key of the function. With its own key it can have its own role.
const FUNCTION_KEY: &str = "AKIAFUNCTION";

const ADMIN: &str = "demo/admin";
const SINGLE_USER: &str = "demo/orders/single";
const ALTERNATING_USERS: &str = "demo/stock/alternating";
const MASTER: &str = "demo/mail/master";
const API_KEY: &str = "demo/mail/api-key";

/// A running world. Dropping it stops all its parts.
pub struct World {
    endpoint: String,
    secrets_manager: SecretsManager,
    function: Function,
    server: JoinHandle<()>,
    postgres: Database,
    key_service: Option<KeyService>,
    ca_file: PathBuf,
    role: String,
    alternating_role: String,
    dbname: String,
}

enum Database {
    Shared(&'static Postgres),
    Own(Box<Postgres>),
}

impl World {
    /// Starts the parts, serves the services on one endpoint, and stores the demo's secrets.
    ///
    /// # Errors
    ///
    /// A part does not start. The message says what to do.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| Error::Port {
                port: options.port,
                source,
            })?;
        let port = listener
            .local_addr()
            .map_err(|source| Error::Port {
                port: options.port,
                source,
            })?
            .port();
        let endpoint = format!("http://127.0.0.1:{port}");
        // tests share a server: each world has its own roles and databases
        let suffix = match options.postgres {
            Server::Shared => format!("_{}", &Uuid::new_v4().simple().to_string()[..8]),
            Server::Own(_) | Server::Running(_) => String::new(),
        };
        let postgres = match options.postgres {
            Server::Shared => Database::Shared(Postgres::shared().await?),
            Server::Own(settings) => Database::Own(Box::new(Postgres::start(settings).await?)),
            Server::Running(postgres) => Database::Own(postgres),
        };

        let mut env = vec![
            ("AWS_ENDPOINT_URL".to_owned(), endpoint.clone()),
            ("AWS_ACCESS_KEY_ID".to_owned(), FUNCTION_KEY.to_owned()),
        ];
        let key_service = match options.key_service {
            true => Some(KeyService::start().await?),
            false => None,
        };
        let mut ca_file = postgres.server().ca_file();
        if let Some(key_service) = &key_service {
            // in the server's folder: both are removed together
            let trusted = std::fs::read_to_string(&ca_file)? + key_service.ca();
            ca_file.set_file_name(format!("trusted-{port}.pem"));
            std::fs::write(&ca_file, trusted)?;
        }
        if options.trusts_ca {
            env.push(("TLS_CA_FILE".to_owned(), ca_file.display().to_string()));
        }
        if let Some(key_service) = &key_service {
            let host = format!("private:{}", key_service.host());
            env.push(("ALLOWED_HOSTS".to_owned(), host));
            let administrators = [ADMIN, MASTER].map(|name| {
                format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-??????")
            });
            env.push(("ADMINISTRATOR_SECRETS".to_owned(), administrators.join(",")));
        }
        env.extend(options.function_env);
        let function = Function::new(FunctionSettings {
            binary: options.function,
            name: FUNCTION_NAME.to_owned(),
            region: REGION.to_owned(),
            env,
            timeout: options.function_timeout,
            cold_starts: options.cold_starts,
            show_log: options.show_log,
            extensions: None,
            freezes: false,
        });
        let secrets_manager = SecretsManager::new(REGION, function.invoke_closure());
        secrets_manager.look_at_functions(function.policies());
        secrets_manager.set_retry(options.retry);
        secrets_manager.set_promotion(options.promotion);
        let iam = secrets_manager.iam().clone();
        let lambda = lambda::access::guard(function.router(), iam, REGION);
        let router = secrets_manager.router().merge(lambda);
        let router = router.merge(control::router(&secrets_manager));
        let router = logs::beside(router, function.clone(), secrets_manager.iam().clone());
        let router = sts::beside(router, secrets_manager.iam().clone());
        let server = tokio::spawn(async move {
            // ends when this task is aborted
            let _ = axum::serve(listener, router).await;
        });

        let (role, dbname) = (format!("orders{suffix}"), format!("demo{suffix}"));
        let alternating_role = format!("stock{suffix}");
        let world = Self {
            endpoint,
            secrets_manager,
            function,
            server,
            postgres,
            key_service,
            ca_file,
            role,
            alternating_role,
            dbname,
        };
        world.seed().await?;
        Ok(world)
    }

    /// Creates an administrator and two application roles with a table each, and stores the credentials.
    async fn seed(&self) -> Result<(), Error> {
        let administrator = format!("admin_of_{}", self.role);
        let passwords = [random_password(), random_password(), random_password()];
        let users = [&administrator, &self.role, &self.alternating_role];
        let postgres = self.postgres();
        for (user, password) in users.into_iter().zip(&passwords) {
            // a verifier: not even the scratch server's log may hold a password
            let verifier = scram_sha_256(password.expose_secret().as_bytes());
            postgres
                .execute(&format!("CREATE ROLE {user} LOGIN PASSWORD '{verifier}'"))
                .await?;
        }
        // not a superuser: the function needs CREATEROLE, and from PostgreSQL 16 on ADMIN OPTION
        let Self {
            role,
            alternating_role,
            dbname,
            ..
        } = self;
        postgres
            .execute(&format!(
                "ALTER ROLE {administrator} CREATEROLE; GRANT pg_signal_backend TO {administrator}; \
                 GRANT {alternating_role} TO {administrator} WITH ADMIN OPTION"
            ))
            .await?;
        postgres
            .execute(&format!("CREATE DATABASE {dbname} OWNER {role}"))
            .await?;
        let superuser = postgres.superuser_password().expose_secret();
        let client = postgres
            .connect(Postgres::SUPERUSER, superuser, dbname)
            .await?;
        for (table, owner) in [("orders", role), ("stock", alternating_role)] {
            let sql = format!(
                "CREATE TABLE {table} (id bigint PRIMARY KEY, item text); ALTER TABLE {table} OWNER TO {owner}; \
                 GRANT CREATE, USAGE ON SCHEMA public TO {owner}"
            );
            client
                .batch_execute(&sql)
                .await
                .map_err(postgres::Error::from)?;
        }

        for ((name, user), password) in [ADMIN, SINGLE_USER, ALTERNATING_USERS]
            .into_iter()
            .zip(users)
            .zip(&passwords)
        {
            let mut document = json!({
                "engine": "postgres", "host": postgres.host(), "port": postgres.port(),
                "username": user, "password": password.expose_secret(), "dbname": dbname,
            });
            if name == ALTERNATING_USERS {
                document["masterarn"] = self.secrets_manager.arn(ADMIN).into();
            }
            let input = json!({ "Name": name, "SecretString": document.to_string() });
            self.secrets_manager.call("CreateSecret", input).await?;
        }
        for name in [SINGLE_USER, ALTERNATING_USERS] {
            self.secrets_manager
                .configure_rotation(name, &self.function.arn(), 30)?;
        }
        if let Some(service) = &self.key_service {
            let master = service.master().to_string();
            let input = json!({ "Name": MASTER, "SecretString": master });
            let created = self.secrets_manager.call("CreateSecret", input).await?;
            let document = service.document(created["ARN"].as_str().unwrap_or_default());
            let input = json!({ "Name": API_KEY, "SecretString": document.to_string() });
            self.secrets_manager.call("CreateSecret", input).await?;
            self.secrets_manager
                .configure_rotation(API_KEY, &self.function.arn(), 30)?;
        }
        Ok(())
    }

    /// The address of Secrets Manager, Lambda and CloudWatch Logs, for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Secrets Manager.
    pub fn secrets_manager(&self) -> &SecretsManager {
        &self.secrets_manager
    }

    /// The roles of the callers of the services.
    pub fn iam(&self) -> &Iam {
        self.secrets_manager.iam()
    }

    /// Gives the function a role: from its next call on it may do only what these policies allow.
    ///
    /// # Errors
    ///
    /// A policy contains something unknown here.
    pub fn set_function_role(&self, policies: &[Value]) -> Result<(), PolicyError> {
        self.iam().restrict(FUNCTION_KEY, FUNCTION_NAME, policies)
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The database server.
    pub fn postgres(&self) -> &Postgres {
        self.postgres.server()
    }

    /// The application's database.
    pub fn dbname(&self) -> &str {
        &self.dbname
    }

    /// The role of the single-user secret.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The name of the administrator's secret.
    pub fn admin(&self) -> &'static str {
        ADMIN
    }

    /// The name of the secret that is rotated with the single-user strategy.
    pub fn single_user(&self) -> &'static str {
        SINGLE_USER
    }

    /// The base of the two roles of the alternating-users secret.
    pub fn alternating_role(&self) -> &str {
        &self.alternating_role
    }

    /// The name of the secret that is rotated with the alternating-users strategy.
    pub fn alternating_users(&self) -> &'static str {
        ALTERNATING_USERS
    }

    /// A PEM file with the CA of the database's certificate and the key service's.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The service whose API key rotates, if the world has one.
    pub fn key_service(&self) -> Option<&KeyService> {
        self.key_service.as_ref()
    }

    /// The name of the secret with the API key, if the world has a key service.
    pub fn api_key(&self) -> &'static str {
        API_KEY
    }

    /// An AWS SDK client of this Secrets Manager, with an access key that may do everything.
    pub fn aws(&self) -> aws_sdk_secretsmanager::Client {
        self.aws_as("local")
    }

    /// The same with this access key id. [`World::iam`] can restrict it.
    pub fn aws_as(&self, access_key_id: &str) -> aws_sdk_secretsmanager::Client {
        aws_at(&self.endpoint, access_key_id)
    }

    /// TLS to the database server, for tokio-postgres.
    ///
    /// # Errors
    ///
    /// The CA file cannot be read.
    pub fn tls(&self) -> Result<MakeRustlsConnect, TlsError> {
        tls(Some(&self.postgres().ca_file()))
    }

    /// What `local up` prints when the world is ready.
    pub fn ready(&self) -> Ready {
        Ready {
            endpoint: self.endpoint.clone(),
            region: REGION,
            function_arn: self.function.arn(),
            ca_file: self.ca_file.clone(),
            postgres: ReadyPostgres {
                host: self.postgres().host(),
                port: self.postgres().port(),
                dbname: self.dbname.clone(),
            },
            secrets: ReadySecrets {
                admin: ADMIN,
                single_user: SINGLE_USER,
                alternating_users: ALTERNATING_USERS,
                api_key: self.key_service.as_ref().map(|_| API_KEY),
            },
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Database {
    fn server(&self) -> &Postgres {
        match self {
            Self::Shared(postgres) => postgres,
            Self::Own(postgres) => postgres,
        }
    }
}

/// Why the world does not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// The port of the endpoint is not free.
    #[error(
        "cannot listen on port {port} ({source}): choose another one with --port, or 0 for any that is free"
    )]
    Port { port: u16, source: io::Error },
    /// The database server does not start.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The key service does not start.
    #[error("the service with API keys does not start: {0}")]
    KeyService(#[from] io::Error),
    /// A secret could not be stored.
    #[error("the demo's secrets cannot be stored: {0}")]
    Secrets(#[from] ServiceError),
}

fn random_password() -> SecretString {
    Uuid::new_v4().simple().to_string().into()
}

/// An SDK client for the service at this endpoint, in any process. It signs with this key.
pub fn aws_at(endpoint: &str, access_key_id: &str) -> aws_sdk_secretsmanager::Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let credentials = Credentials::new(access_key_id, "local", None, None, "local");
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_secretsmanager::Client::from_conf(config)
}
