//! The settings and calls of a pool's user.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use deadpool_postgres::{Hook, ManagerConfig, PoolError, Timeouts};
use rotating_secret::{
    LogInError, RotatingSecret, pool,
    pool::{Settings, deadpool::Failure},
    provider::Aws,
};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Runtime;
use tokio_postgres::{Config, config::TargetSessionAttrs};

use crate::{
    are_gone,
    changeover::Changing,
    common::{
        execute, options,
        proxy::{Proxy, Side},
    },
    drivers::{Pool, at_once},
};

/// The server ends the sessions of idle connections while the process is frozen: nothing runs here in that time.
pub(crate) fn end_while_frozen(on: &Changing, pids: &[i32]) {
    let postgres = on.world.postgres();
    let url = format!(
        "host={} port={} user={} password={} dbname=postgres",
        postgres.host(),
        postgres.port(),
        local::postgres::Postgres::SUPERUSER,
        postgres.superuser_password().expose_secret()
    );
    let end = format!(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE pid = ANY(ARRAY{pids:?})"
    );
    let elsewhere = thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(async { drop(connection.await) });
            client.batch_execute(&end).await.unwrap();
        });
    });
    elsewhere.join().unwrap();
}

#[tokio::test]
async fn the_first_request_after_a_freeze_in_which_the_sessions_ended_is_served() {
    let on = Changing::start().await;
    let mut pools = Vec::from(Pool::all(&on.world, &on.secret).await);
    let tls = on.world.tls().unwrap();
    pools.push(Pool::Deadpool(
        pool::deadpool::pool(&on.secret, tls, |pool| pool.max_size(4)).unwrap(),
    ));
    for pool in pools {
        let old = pool.fill().await;
        end_while_frozen(&on, &old);
        for _ in 0..4 {
            let name = pool.name();
            let mut connection = pool.get().await.expect(name);
            assert!(!old.contains(&connection.pid().await), "{name}");
        }
    }
}

#[tokio::test]
async fn a_connection_to_a_server_that_became_read_only_is_not_given_again() {
    let on = Changing::start().await;
    for pool in Pool::with(&on.world, &on.secret, at_once().read_write(true), 4).await {
        let mut connection = pool.get().await.unwrap();
        let old = connection.pid().await;
        // as after a failover: the session lives on
        connection
            .run("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            .await;
        drop(connection);
        pool.has_idle(1).await;
        let mut connection = pool.get().await.unwrap();
        assert_ne!(connection.pid().await, old, "{}", pool.name());
        connection
            .run("CREATE TEMPORARY TABLE written (it int)")
            .await;
        are_gone(&on.world, &[old], pool.name()).await;
    }
    let role = on.world.role();
    execute(
        &on.world,
        &format!("ALTER ROLE {role} SET default_transaction_read_only = on"),
    )
    .await;
    for pool in Pool::with(&on.world, &on.secret, at_once().read_write(true), 4).await {
        if matches!(pool, Pool::Bb8(_)) {
            continue; // it retries until its time limit
        }
        let error = format!("{}", pool.get().await.err().unwrap());
        assert!(error.contains("writes"), "{}: {error}", pool.name());
    }
}

/// sqlx reads no column of an answer without an error.
#[tokio::test]
async fn a_connection_whose_server_answers_in_another_form_is_not_given_again() {
    let (world, proxy) = Proxy::in_a_world(options()).await;
    let provider = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(world.single_user()).build(provider);
    let settings = at_once().read_write(true);
    let [deadpool, bb8, _] = Pool::with(&world, &secret.await.unwrap(), settings, 1).await;
    for pool in [deadpool, bb8] {
        let old = pool.get().await.unwrap().pid().await;
        pool.has_idle(1).await;
        proxy.stop_at_query("SHOW transaction_read_only", Side::Instead("SELECT"));
        let new = pool.get().await.unwrap().pid().await;
        assert_ne!(new, old, "{}", pool.name());
    }
}

#[tokio::test]
async fn the_application_sets_the_base_configuration_and_how_connections_are_recycled() {
    let on = Changing::start().await;
    let mut config = Config::new();
    config
        .application_name("shop")
        .options("-c statement_timeout=12345")
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    let tls = on.world.tls().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let deadpool = pool::deadpool::pool_with(
        &on.secret,
        config.clone(),
        tls.clone(),
        ManagerConfig {
            recycling_method: deadpool_postgres::RecyclingMethod::Clean,
        },
        at_once(),
        move |pool| {
            let counted = counted.clone();
            pool.max_size(4).post_create(Hook::sync_fn(move |_, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }))
        },
    );
    let bb8 = pool::bb8::pool_with(&on.secret, config, tls, at_once(), |pool| pool.max_size(4));
    let connect = PgConnectOptions::new_without_pgpass()
        .application_name("shop")
        .options([("statement_timeout", "12345")])
        .ssl_root_cert(on.world.postgres().ca_file());
    let sqlx = pool::sqlx::pool_with(&on.secret, connect, PgPoolOptions::new(), at_once());
    let deadpool = Pool::Deadpool(deadpool.unwrap());
    for pool in [
        &deadpool,
        &Pool::Bb8(bb8.await.unwrap()),
        &Pool::Sqlx(sqlx.await.unwrap()),
    ] {
        for _ in 0..2 {
            let mut connection = pool.get().await.unwrap();
            let set = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout' \
                       AND current_setting('application_name') = 'shop'";
            assert_eq!(connection.number(set).await, 12345, "{}", pool.name());
            on.change().await;
        }
    }
    // a hook runs in each version's pool
    deadpool.get().await.unwrap();
    assert!(made.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn the_applications_sqlx_callbacks_run_in_every_versions_pool() {
    let on = Changing::start().await;
    let called: Arc<[AtomicUsize; 3]> = Arc::default();
    let count = |which: usize| {
        let called = called.clone();
        move || called[which].fetch_add(1, Ordering::SeqCst)
    };
    let (connected, taken, given_back) = (count(0), count(1), count(2));
    let options = PgPoolOptions::new()
        .after_connect(move |_, _| {
            connected();
            Box::pin(async { Ok(()) })
        })
        .before_acquire(move |_, _| {
            taken();
            Box::pin(async { Ok(true) })
        })
        .after_release(move |_, _| {
            given_back();
            Box::pin(async { Ok(true) })
        });
    let connect =
        PgConnectOptions::new_without_pgpass().ssl_root_cert(on.world.postgres().ca_file());
    let sqlx = pool::sqlx::pool_with(&on.secret, connect, options, at_once());
    let pool = Pool::Sqlx(sqlx.await.unwrap());
    let old = pool.fill().await;
    on.change().await;
    are_gone(&on.world, &old, pool.name()).await;
    pool.fill().await;
    let times = |which: usize| called[which].load(Ordering::SeqCst);
    assert_eq!(times(0), 8);
    assert!(times(1) >= 4 && times(2) >= 8, "{} {}", times(1), times(2));
}

#[tokio::test]
async fn a_pool_reports_how_many_connections_it_has_and_gives_none_once_it_is_closed() {
    let on = Changing::start().await;
    for pool in Pool::all(&on.world, &on.secret).await {
        let old = pool.fill().await;
        let held = pool.get().await.unwrap();
        assert_eq!((pool.size(), pool.num_idle()), (4, 3), "{}", pool.name());
        let closes = pool.close();
        tokio::pin!(closes);
        // sqlx waits for connections in use
        tokio::select! {
            biased;
            () = &mut closes => {}
            () = are_all_but_one_gone(&on, &old, pool.name()) => {}
        }
        drop(held);
        are_gone(&on.world, &old, pool.name()).await;
        assert!(pool.get().await.is_err(), "{}", pool.name());
    }
}

async fn are_all_but_one_gone(on: &Changing, pids: &[i32], name: &str) {
    let so = async || crate::alive(&on.world, pids).await == 1;
    crate::common::until(name, so).await;
}

#[tokio::test]
async fn the_applications_time_limit_ends_a_wait_for_a_connection() {
    let on = Changing::start().await;
    let limit = Duration::from_millis(50);
    let tls = on.world.tls().unwrap();
    let deadpool = pool::deadpool::pool(&on.secret, tls.clone(), move |pool| {
        pool.max_size(1).timeouts(Timeouts {
            wait: Some(limit),
            ..Timeouts::default()
        })
    });
    let deadpool = deadpool.unwrap();
    let _held = deadpool.get().await.unwrap();
    let error = deadpool.get().await.unwrap_err();
    let LogInError::Failed(Failure::Pool(PoolError::Timeout(_))) = error else {
        panic!("{error}")
    };
    let bb8 = pool::bb8::pool_with(
        &on.secret,
        Config::new(),
        tls,
        Settings::default(),
        move |pool| pool.max_size(1).connection_timeout(limit),
    );
    let bb8 = bb8.await.unwrap();
    let first = async {
        loop {
            // on a busy machine a login may take longer
            if let Ok(connection) = bb8.get().await {
                return connection;
            }
        }
    };
    let _held = first.await;
    assert!(matches!(bb8.get().await, Err(bb8::RunError::TimedOut)));
    let connect =
        PgConnectOptions::new_without_pgpass().ssl_root_cert(on.world.postgres().ca_file());
    let of_one = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(1));
    let sqlx = pool::sqlx::pool(&on.secret, connect, of_one).await.unwrap();
    let first = async {
        loop {
            if let Ok(connection) = sqlx.acquire().await {
                return connection;
            }
        }
    };
    let _held = first.await;
    assert!(matches!(
        sqlx.acquire().await,
        Err(sqlx::Error::PoolTimedOut)
    ));
}
