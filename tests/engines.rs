//! Every engine keeps the contract, on a real system: PostgreSQL, a service with API keys, and the example of your own engine.

#![cfg(test)]

mod common;
#[path = "../examples/redis.rs"]
#[allow(
    dead_code,
    clippy::print_stdout,
    reason = "its main is run as a process"
)]
mod redis;

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{assert_error, call, closed_port, password, rotate};
use local::{executable, key_service::KeyService, postgres::Postgres as Server, world::Options};
use secrecy::ExposeSecret;
use secret_rotation::{
    engine::{
        Limits,
        api_key::{ApiKey, Https},
        postgres::{Kept, Postgres, Roots},
    },
    kit::{Case, check},
    settings::Settings,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use uuid::Uuid;

const LIMITS: Limits = Limits {
    step: Duration::from_secs(60),
    connect: Duration::from_secs(20),
    statement: Duration::from_secs(20),
};

fn settings(variables: &[(&str, &str)]) -> Settings {
    let found = |name: &str| {
        let mut variables = variables.iter();
        let found = variables.find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::read(found).unwrap()
}

fn with(document: &Value, field: &str, value: Value) -> String {
    let mut document = document.clone();
    document[field] = value;
    document.to_string()
}

#[tokio::test]
async fn postgresql_keeps_the_contract_with_a_single_user_and_with_two() {
    let server = Server::shared().await.unwrap();
    let settings = settings(&[]);
    let (roots, kept) = (Roots::new(Some(server.ca_file())), Kept::default());
    let (_held, closed) = closed_port();
    for alternating in [false, true] {
        let start = async || {
            let user = format!("kit_{}", &Uuid::new_v4().simple().to_string()[..8]);
            let create = format!(
                "CREATE ROLE {user} LOGIN PASSWORD 'old password'; \
                 CREATE ROLE {user}_admin LOGIN CREATEROLE PASSWORD 'administrators'; \
                 GRANT {user} TO {user}_admin WITH ADMIN OPTION"
            );
            server.execute(&create).await.unwrap();
            let mut document = json!({
                "host": server.host(), "port": server.port(), "username": user, "password": "old password",
            });
            if alternating {
                document["masterarn"] = "administrator".into();
            }
            let administrator =
                json!({ "username": format!("{user}_admin"), "password": "administrators" });
            Case {
                engine: Postgres::new(&roots, &kept, &settings, LIMITS),
                current: document.to_string().into(),
                administrator: Some(administrator.to_string().into()),
                overlaps: alternating,
                unreachable: with(&document, "port", closed.into()).into(),
            }
        };
        let checked = check(start).await;
        assert_eq!(checked, Ok(()), "alternating: {alternating}");
    }
}

#[tokio::test]
async fn a_service_with_api_keys_keeps_the_contract() {
    let service = KeyService::start().await.unwrap();
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), service.ca()).unwrap();
    let (_held, closed) = closed_port();
    let closed = format!("localhost:{closed}");
    let hosts = format!("private:{},private:{closed}", service.host());
    let (settings, https) = (
        settings(&[("ALLOWED_HOSTS", &hosts)]),
        Https::new(Some(ca_file.path().to_owned())),
    );
    // two deliveries at once may each have made one
    service.set_limit(usize::MAX);
    let start = async || {
        let document = service.document("master");
        let mut verify = document["verify"].clone();
        verify["url"] = format!("https://{closed}/me").into();
        Case {
            engine: ApiKey::new(&https, &settings, LIMITS),
            current: document.to_string().into(),
            administrator: Some(service.master().to_string().into()),
            overlaps: true,
            unreachable: with(&document, "verify", verify).into(),
        }
    };
    assert_eq!(check(start).await, Ok(()));
}

/// A Redis server on this machine, with a new folder.
struct RedisServer {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl RedisServer {
    async fn start() -> Self {
        // another process may take the port first: then try another port
        let server = loop {
            let mut server = Self::on(closed_port().1);
            if server.listens().await {
                break server;
            }
        };
        server.acl("admin", "administrators", "+@all").await;
        server
    }

    fn on(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port_of = port.to_string();
        let process = Command::new("redis-server")
            .args(["--port", &port_of, "--bind", "127.0.0.1", "--save", ""])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server ({error}): `make test` puts it on PATH"));
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// Waits until it answers or has ended.
    async fn listens(&mut self) -> bool {
        while self.process.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
        }
        false
    }

    async fn acl(&self, user: &str, password: &str, rights: &str) {
        let client = ::redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let mut session = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = ::redis::cmd("ACL");
        command
            .arg("SETUSER")
            .arg(user)
            .arg("on")
            .arg(format!(">{password}"));
        let command = command.arg("~*").arg(rights);
        command.exec_async(&mut session).await.unwrap();
    }

    /// The document of a new user.
    async fn document(&self, administrator: &str) -> Value {
        let user = format!("app{}", Uuid::new_v4().simple());
        self.acl(&user, "old password", "+@read").await;
        json!({
            "engine": "redis", "host": "127.0.0.1", "port": self.port, "ssl": false,
            "username": user, "password": "old password", "masterarn": administrator,
        })
    }
}

const ADMINISTRATOR: &str = r#"{"username":"admin","password":"administrators","ssl":false}"#;

#[tokio::test]
async fn the_example_of_a_custom_engine_keeps_the_contract() {
    let server = RedisServer::start().await;
    let (_held, closed) = closed_port();
    let start = async || {
        let document = server.document("administrator").await;
        Case {
            engine: redis::Redis,
            unreachable: with(&document, "port", closed.into()).into(),
            current: document.to_string().into(),
            administrator: Some(ADMINISTRATOR.into()),
            overlaps: true,
        }
    };
    assert_eq!(check(start).await, Ok(()));
}

#[tokio::test]
async fn the_example_is_a_function_that_rotates_in_the_local_world_and_refuses_other_engines() {
    let server = RedisServer::start().await;
    let function = executable::of_tests("--example", "redis").unwrap();
    let mut options = Options::new(function);
    options.cold_starts = true;
    let world = common::start(options).await;
    let service = world.secrets_manager();
    let input = json!({ "Name": "cache/admin", "SecretString": ADMINISTRATOR });
    let created = call(&world, "CreateSecret", input).await;
    let document = server.document(created["ARN"].as_str().unwrap()).await;
    let input = json!({ "Name": "cache/app", "SecretString": document.to_string() });
    call(&world, "CreateSecret", input).await;
    let function = world.function().arn();
    service
        .configure_rotation("cache/app", &function, 30)
        .unwrap();

    let mut passwords = vec!["old password".to_owned()];
    for _ in 0..2 {
        let rotation = rotate(&world, "cache/app").await;
        assert!(rotation.succeeded, "{rotation:?}");
        let current = password(&world, "cache/app", "AWSCURRENT").await;
        passwords.push(current.unwrap());
    }
    let mut accepted = Vec::new();
    for password in &passwords {
        let document = with(&document, "password", password.as_str().into()).into();
        let document = secret_rotation::document::Document::parse_for(&document, &["redis"]);
        let document = document.unwrap();
        assert_eq!(document.password().expose_secret(), password);
        use secret_rotation::engine::{Engine, Login};
        let login = redis::Redis.log_in(&document).await.unwrap();
        accepted.push(matches!(login, Login::Accepted(())));
    }
    assert_eq!(
        accepted,
        [false, true, true],
        "the previous one goes on, the one before does not"
    );

    let postgres = rotate(&world, world.single_user()).await;
    let error = postgres.attempts[0].steps[0].invoked.outcome.as_ref();
    assert_error(error.unwrap_err(), "EngineUnknown", "rotates redis, valkey");
}
