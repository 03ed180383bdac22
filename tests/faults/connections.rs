//! Connections that are cut, become silent, or exceed the server's limit.

use std::time::Duration;

use local::world::Options;
use rotating_secret::{LogInError, RotatingSecret, pool, provider::Aws};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use super::*;

/// A server that agrees to TLS, and closes the connection in the handshake.
async fn hangs_up_in_the_handshake() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asks = [0; 8];
            let _ = client.read_exact(&mut asks).await;
            let _ = client.write_all(b"S").await;
            let mut hello = [0; 5];
            let _ = client.read_exact(&mut hello).await;
        }
    });
    port
}

#[tokio::test]
async fn a_handshake_that_is_cut_says_nothing_about_a_certificate_or_a_password() {
    let world = start(options()).await;
    by_port(&world, hangs_up_in_the_handshake().await, true).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    for step in ["setSecret", "testSecret"] {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "DatabaseUnreachable", "");
    }
    let aws = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(secret).build(aws).await.unwrap();
    let login = rotating_secret::postgres::connect(&secret, world.tls().unwrap()).await;
    let Err(LogInError::Failed(refusal)) = login else {
        panic!("{:?}", login.err());
    };
    assert!(refusal.to_string().contains("TLS handshake"), "{refusal}");
}

/// The function reaches Secrets Manager through a relay, and the database through another.
async fn by_relays(options: Options) -> (World, Relay, Relay) {
    let to_the_store = Relay::to(0).await;
    let mut options = options;
    let endpoint = format!("http://127.0.0.1:{}", to_the_store.port);
    let variable = ("AWS_ENDPOINT_URL".to_owned(), endpoint);
    options.function_env.push(variable);
    let world = start(options).await;
    let port = world.endpoint().rsplit(':').next().unwrap();
    to_the_store.lead_to(port.parse().unwrap());
    let to_the_database = Relay::to(world.postgres().port()).await;
    by_port(&world, to_the_database.port, true).await;
    (world, to_the_store, to_the_database)
}

#[tokio::test]
async fn a_kept_connection_that_has_fallen_silent_fails_no_step() {
    let (world, to_the_store, to_the_database) = by_relays(warm(options())).await;
    for secret in [world.single_user(), world.alternating_users()] {
        stage_up_to(&world, secret, "createSecret").await;
        for step in STEPS {
            outcome(&world, secret, step).await;
            to_the_database.silence_all();
            // the function gives this connection up after 5 s
            if step == "testSecret" {
                to_the_store.silence_all();
            }
        }
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
    }
    assert_eq!(world.function().environments(), 1);
}

#[tokio::test]
async fn pools_whose_idle_connections_have_fallen_silent_serve_the_next_request() {
    let (world, _, to_the_database) = by_relays(options()).await;
    let aws = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(world.single_user())
        .build(aws)
        .await;
    let (secret, tls) = (secret.unwrap(), world.tls().unwrap());
    let deadpool = pool::deadpool::pool(&secret, tls.clone(), |pool| pool.max_size(2));
    let deadpool = deadpool.unwrap();
    let config = tokio_postgres::Config::new();
    let settings = pool::Settings::default();
    let bb8 = pool::bb8::pool_with(&secret, config, tls, settings, |pool| pool.max_size(2));
    let bb8 = bb8.await.unwrap();
    let options = PgConnectOptions::new_without_pgpass().ssl_root_cert(world.ca_file());
    let of_two = PgPoolOptions::new().max_connections(2);
    let sqlx = pool::sqlx::pool(&secret, options, of_two).await.unwrap();
    for _ in 0..2 {
        let patience = Duration::from_secs(60);
        let client = timeout(patience, deadpool.get()).await.expect("deadpool");
        client.unwrap().batch_execute("SELECT 1").await.unwrap();
        let client = timeout(patience, bb8.get()).await.expect("bb8");
        client.unwrap().batch_execute("SELECT 1").await.unwrap();
        let client = timeout(patience, sqlx.acquire()).await.expect("sqlx");
        let mut client = client.unwrap();
        sqlx::query("SELECT 1").execute(&mut *client).await.unwrap();
        drop(client);
        until("sqlx has it back", async || sqlx.num_idle() > 0).await;
        to_the_database.silence_all();
    }
}

#[tokio::test]
async fn a_server_without_free_connections_is_reported_and_the_retry_succeeds() {
    let settings = Settings {
        conf: "max_connections = 12".to_owned(),
        ..Settings::default()
    };
    let world = start(options().own_postgres(settings)).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let document = current(&world, secret).await;
    let mut full = Vec::new();
    while let Ok(client) = log_in(&world, &document).await {
        full.push(client);
    }
    let error = failure(&world, secret, "setSecret").await;
    assert_error(&error, "DatabaseRefused", "53300");
    drop(full);
    until("there is room", async || {
        log_in(&world, &document).await.is_ok()
    })
    .await;
    all_steps(&world, secret).await;
    log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
}
