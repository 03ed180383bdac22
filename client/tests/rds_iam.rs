//! Logins with a token in place of a password, at a server that asks for it in clear text as RDS does. No other login answers that.
#![cfg(all(
    feature = "rds_iam",
    feature = "tls",
    feature = "deadpool",
    feature = "bb8",
    feature = "sqlx"
))]
#![cfg(test)]

mod common;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::{Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use common::{HOUR, MINUTE};
use local::postgres::{Postgres, Settings};
use rotating_secret::{
    Error, LogInError, RotatingSecret, pool,
    postgres::{self, Refusal},
    provider::{
        Fixed, ProviderError, ProviderErrorKind as Kind, RdsIam, SecretProvider, Stage, Version,
    },
};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{sync::OnceCell, time::sleep};

/// A server that asks the members of `clear` for their passwords in clear text, as RDS asks those of `rds_iam`, and all others for SCRAM.
async fn server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    let start = async || {
        let server = Postgres::start(Settings::default()).await.unwrap();
        let hba = server.folder().join("data/pg_hba.conf");
        let others = fs::read_to_string(&hba).unwrap();
        let clear = format!("host all +clear 127.0.0.1/32 password\n{others}");
        fs::write(&hba, clear).unwrap();
        for sql in ["CREATE ROLE clear", "SELECT pg_reload_conf()"] {
            server.execute(sql).await.unwrap();
        }
        server
    };
    SERVER.get_or_init(start).await
}

/// A role that the server asks for its password in clear text.
async fn clear_role(role: &str, password: &str) {
    let sql = format!("CREATE ROLE {role} LOGIN IN ROLE clear PASSWORD '{password}'");
    server().await.execute(&sql).await.unwrap();
}

async fn set_password(role: &str, password: &str) {
    let sql = format!("ALTER ROLE {role} PASSWORD '{password}'");
    server().await.execute(&sql).await.unwrap();
}

async fn document(role: &str, password: &str, ssl: bool) -> String {
    let server = server().await;
    json!({
        "host": server.host(), "port": server.port(), "username": role, "password": password, "ssl": ssl,
    })
    .to_string()
}

/// A login with a password, or with a token from another source.
async fn given(version: Version) -> RotatingSecret {
    let provider = Fixed::new().with("orders/db", version);
    RotatingSecret::builder("orders/db")
        .lag(Duration::ZERO)
        .build(provider)
        .await
        .unwrap()
}

/// Returns the given credentials, and counts its calls.
#[derive(Clone, Debug)]
struct Identity(Arc<Mutex<Option<Option<SystemTime>>>>, Arc<AtomicUsize>);

impl Identity {
    fn that_expires(expiry: Option<SystemTime>) -> Self {
        Self(Arc::new(Mutex::new(Some(expiry))), Arc::default())
    }

    fn asked(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl ProvideCredentials for Identity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.1.fetch_add(1, Ordering::SeqCst);
        future::ProvideCredentials::ready(match *self.0.lock().unwrap() {
            Some(expiry) => Ok(Credentials::new("akid", "s3cret", None, expiry, "test")),
            None => Err(CredentialsError::not_loaded("as it was told")),
        })
    }
}

fn signing(identity: &Identity, host: &str, role: &str) -> RdsIam {
    let shared = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(identity.clone()))
        .build();
    RdsIam::from_config(&shared, host, role)
}

fn tls(server: &Postgres) -> tokio_postgres_rustls::MakeRustlsConnect {
    postgres::tls(Some(&server.ca_file())).unwrap()
}

fn password(secret: &RotatingSecret) -> String {
    let current = secret.current().unwrap();
    current.password().unwrap().expose_secret().to_owned()
}

/// Makes the next token, which differs from the last one after a second.
async fn renew(secret: &RotatingSecret) {
    let before = password(secret);
    // the provider is called ten times, and then once a second
    for _ in 0..20 {
        secret.refresh().await.unwrap();
        if password(secret) != before {
            return;
        }
    }
    panic!("the token is still the first");
}

#[tokio::test]
async fn a_token_logs_in_over_tls_if_the_server_asks_for_a_clear_text_password() {
    let server = server().await;
    let provider = signing(&Identity::that_expires(None), server.host(), "clear_token");
    let provider = provider.port(server.port());
    let secret = RotatingSecret::builder("orders/db").build(provider).await;
    let secret = secret.unwrap();
    clear_role("clear_token", &password(&secret)).await;
    let client = postgres::connect(&secret, tls(server)).await.unwrap();
    let sql =
        "SELECT session_user::text, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "clear_token");
    assert!(row.get::<_, bool>(1));
    let log = fs::read_to_string(server.folder().join("log")).unwrap();
    let asked = "identity=\"clear_token\" method=password";
    assert!(
        log.contains(asked),
        "the server did not ask for it in clear: {log}"
    );
}

#[tokio::test]
async fn a_password_is_not_sent_in_clear_with_tls_or_without_it() {
    let server = server().await;
    clear_role("clear_password", "s3cret").await;
    let bb8_timed_out = bb8::RunError::<std::fmt::Error>::TimedOut.to_string();
    for ssl in [true, false] {
        let text = document("clear_password", "s3cret", ssl).await;
        let secret = given(Version::text("v1", text)).await;
        let refused = postgres::connect(&secret, tls(server)).await.unwrap_err();
        assert!(
            matches!(refused, LogInError::Failed(Refusal::NotConnected { .. })),
            "{refused}"
        );
        assert!(refused.to_string().contains("in clear"), "{refused}");

        let deadpool = pool::deadpool::pool(&secret, tls(server), |pool| pool).unwrap();
        let refused = deadpool.get().await.unwrap_err().to_string();
        assert!(refused.contains("in clear"), "{refused}");
        let bb8 = pool::bb8::pool(&secret, tls(server), |pool| {
            pool.connection_timeout(Duration::from_millis(200))
        });
        let bb8 = bb8.await.unwrap();
        // on a busy machine the refusal may take longer
        let refused = loop {
            let refused = bb8.get().await.unwrap_err().to_string();
            if refused != bb8_timed_out {
                break refused;
            }
        };
        assert!(refused.contains("in clear"), "{refused}");
    }
    // the server received nothing
    let log = fs::read_to_string(server.folder().join("log")).unwrap();
    assert!(!log.contains("authentication failed for user \"clear_password\""));
    assert!(!log.contains("authenticated: user=\"clear_password\""));
}

#[tokio::test]
async fn scram_logs_in_without_tls_and_a_query_can_be_cancelled() {
    let server = server().await;
    let sql = "CREATE ROLE proof LOGIN PASSWORD 's3cret'";
    server.execute(sql).await.unwrap();
    for ssl in [true, false] {
        let secret = given(Version::text("v1", document("proof", "s3cret", ssl).await)).await;
        let client = postgres::connect(&secret, tls(server)).await.unwrap();
        let token = client.cancel_token();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert_eq!(row.get::<_, bool>(0), ssl);
        let mut sleeps = std::pin::pin!(client.batch_execute("SELECT pg_sleep(3600)"));
        // a request that comes before the statement does nothing
        let error = loop {
            tokio::select! {
                error = &mut sleeps => break error.unwrap_err(),
                () = sleep(Duration::from_millis(20)) => {
                    postgres::cancel(&secret, &token, tls(server)).await.unwrap();
                }
            }
        };
        assert_eq!(error.code().unwrap().code(), "57014");
    }
}

#[tokio::test]
async fn a_token_is_never_sent_without_tls() {
    let server = server().await;
    let text = document("clear_plain", "t0ken", false).await;
    clear_role("clear_plain", "t0ken").await;
    let secret = given(Version::text("v1", text).as_auth_token()).await;
    let refused = postgres::connect(&secret, tls(server)).await.unwrap_err();
    assert!(refused.to_string().contains("leave that out"), "{refused}");
    let options = PgConnectOptions::new_without_pgpass();
    let refused = pool::sqlx::pool(&secret, options, PgPoolOptions::new()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("leave that out"), "{refused}");
    assert!(!refused.contains("t0ken"), "{refused}");
}

#[tokio::test]
async fn the_next_token_opens_new_connections_and_closes_none() {
    let server = server().await;
    let provider = signing(&Identity::that_expires(None), server.host(), "clear_pools");
    let provider = provider.port(server.port());
    let secret = RotatingSecret::builder("orders/db").build(provider).await;
    let secret = secret.unwrap();
    clear_role("clear_pools", &password(&secret)).await;
    let version = secret.current().unwrap().version().to_owned();

    let deadpool = pool::deadpool::pool(&secret, tls(server), |pool| pool.max_size(4)).unwrap();
    let bb8 = pool::bb8::pool(&secret, tls(server), |pool| pool.max_size(4));
    let bb8 = bb8.await.unwrap();
    let options = PgConnectOptions::new_without_pgpass().ssl_root_cert(server.ca_file());
    let sqlx = pool::sqlx::pool(&secret, options, PgPoolOptions::new().max_connections(4));
    let sqlx = sqlx.await.unwrap();
    const PID: &str = "SELECT pg_backend_pid()";
    let take = async || {
        let (client, other) = (deadpool.get().await.unwrap(), bb8.get().await.unwrap());
        let mut third = sqlx.acquire().await.unwrap();
        let of_deadpool: i32 = client.query_one(PID, &[]).await.unwrap().get(0);
        let of_bb8: i32 = other.query_one(PID, &[]).await.unwrap().get(0);
        let of_sqlx: i32 = sqlx::query_scalar(PID)
            .fetch_one(&mut *third)
            .await
            .unwrap();
        ((client, other, third), [of_deadpool, of_bb8, of_sqlx])
    };
    let (taken, before) = take().await;
    drop(taken);
    renew(&secret).await;
    assert_eq!(secret.current().unwrap().version(), version);
    set_password("clear_pools", &password(&secret)).await;
    let (mut held, mut opened) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (taken, pids) = take().await;
        held.push(taken);
        opened.push(pids);
    }
    // each of them was held while the next was opened
    for pool in 0..3 {
        let mut opened: Vec<_> = opened.iter().map(|pids| pids[pool]).collect();
        opened.sort_unstable();
        opened.dedup();
        assert_eq!(
            opened.len(),
            4,
            "{opened:?} of pool {pool}, which had {before:?}"
        );
    }
}

#[tokio::test]
async fn a_rejected_token_is_replaced_under_the_same_version() {
    /// The first token is one that the server does not know.
    struct Renews(String, String, AtomicUsize);

    impl SecretProvider for Renews {
        async fn fetch(&self, _: &str, stage: Stage) -> Result<Version, ProviderError> {
            if stage != Stage::Current {
                return Err(ProviderError::new(Kind::NotFound, "no other"));
            }
            let text = match self.2.fetch_add(1, Ordering::SeqCst) {
                0 => &self.0,
                _ => &self.1,
            };
            Ok(Version::text("orders@db", text.as_str()).as_auth_token())
        }
    }

    let server = server().await;
    clear_role("clear_renewed", "t0ken two").await;
    let provider = Renews(
        document("clear_renewed", "t0ken one", true).await,
        document("clear_renewed", "t0ken two", true).await,
        AtomicUsize::new(0),
    );
    let secret = RotatingSecret::builder("orders/db").build(provider).await;
    let secret = secret.unwrap();
    let client = postgres::connect(&secret, tls(server)).await.unwrap();
    client.simple_query("").await.unwrap();
    assert_eq!(secret.current().unwrap().version(), "orders@db");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends_and_not_used_after() {
    let identity = Identity::that_expires(None);
    let provider = signing(&identity, "db", "orders");
    // the usual ttl is shorter than half of a token's time
    let builder = RotatingSecret::builder("orders/db").ttl(HOUR);
    let secret = builder.build(provider).await.unwrap();
    sleep(14 * MINUTE).await;
    assert!(secret.current().unwrap().age() < 8 * MINUTE);
    // the provider no longer returns credentials
    *identity.0.lock().unwrap() = None;
    sleep(15 * MINUTE).await;
    let error = secret.current().unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    assert!(error.to_string().contains("credentials"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_end_soon_renew_their_token_sooner_and_ended_ones_sign_none() {
    let soon = SystemTime::now() + MINUTE;
    let identity = Identity::that_expires(Some(soon));
    let provider = signing(&identity, "db", "orders");
    let secret = RotatingSecret::builder("orders/db").build(provider).await;
    let secret = secret.unwrap();
    sleep(MINUTE / 2).await;
    assert!(identity.asked() >= 2);
    // while they are loaded they end
    *identity.0.lock().unwrap() = Some(Some(SystemTime::now() - MINUTE));
    let error = secret.refresh().await.unwrap_err();
    assert!(error.to_string().contains("have ended"), "{error}");
    *identity.0.lock().unwrap() = Some(None);
    sleep(MINUTE).await;
    assert!(secret.refresh().await.is_ok());
}
