//! A standby takes the primary's place. It may lack what the primary had committed last.

use std::time::Duration;

use proxy::{Proxy, Side};
use rotating_secret::{
    RotatingSecret,
    pool::{self, Settings as PoolSettings},
    provider::Aws,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::*;

/// A primary with a standby, and one address that leads to the one that accepts changes.
struct Pair {
    world: World,
    standby: Postgres,
    address: Relay,
    /// The relay between the address and the primary.
    proxy: Proxy,
}

impl Pair {
    async fn start() -> Self {
        let settings = Settings {
            tls: false,
            ..Settings::default()
        };
        let primary = Postgres::start(settings).await.unwrap();
        let standby = primary.start_standby().await.unwrap();
        let world = start(options().on_postgres(primary)).await;
        let proxy = Proxy::before(world.postgres().port()).await;
        let address = Relay::to(proxy.port).await;
        by_port(&world, address.port, false).await;
        standby.catch_up_with(world.postgres()).await.unwrap();
        Self {
            world,
            standby,
            address,
            proxy,
        }
    }

    /// From now on the standby receives no commit of the primary.
    async fn part(&self) {
        let sql = "ALTER SYSTEM SET primary_conninfo = ''";
        self.standby.execute(sql).await.unwrap();
        self.standby
            .execute("SELECT pg_reload_conf()")
            .await
            .unwrap();
        let client = self.standby.superuser_client().await.unwrap();
        until("nothing is streamed", async || {
            let streams = client.query_one("SELECT count(*) FROM pg_stat_wal_receiver", &[]);
            streams.await.unwrap().get::<_, i64>(0) == 0
        })
        .await;
    }

    /// Promotes the standby, and gives it the address; connections to the primary stay silent.
    async fn fail_over(&self) {
        self.standby.execute("SELECT pg_promote()").await.unwrap();
        self.address.lead_to(self.standby.port());
        self.address.close_all();
    }

    /// Logs in at the new primary with the version of this label.
    async fn gets_in(&self, secret: &str, label: &str) -> bool {
        let Some(document) = document(&self.world, secret, label).await else {
            return false;
        };
        let text = |key: &str| document[key].as_str().unwrap();
        let login = self
            .standby
            .connect(text("username"), text("password"), text("dbname"));
        login.await.is_ok()
    }
}

#[tokio::test]
async fn a_failover_during_a_commit_does_not_lock_the_application_out_on_either_side_of_it() {
    for (has_it, alternating) in [(true, false), (false, false), (true, true), (false, true)] {
        let pair = Pair::start().await;
        let world = &pair.world;
        let secret = match alternating {
            true => world.alternating_users(),
            false => world.single_user(),
        };
        let case = format!("{secret}, the standby has it: {has_it}");
        stage_up_to(world, secret, "setSecret").await;
        if !has_it {
            pair.part().await;
        }
        pair.proxy.stop_at_query("COMMIT", Side::After);
        let (error, ()) = tokio::join!(failure(world, secret, "setSecret"), async {
            pair.proxy.stopped().await;
            if has_it {
                pair.standby.catch_up_with(world.postgres()).await.unwrap();
            }
            pair.fail_over().await;
        });
        assert_error(&error, "DatabaseUnreachable", "");
        let (old, new) = (
            pair.gets_in(secret, "AWSCURRENT").await,
            pair.gets_in(secret, "AWSPENDING").await,
        );
        assert_eq!((old, new), (alternating || !has_it, has_it), "{case}");
        all_steps(world, secret).await;
        assert!(pair.gets_in(secret, "AWSCURRENT").await, "{case}");
    }
}

/// Asynchronous replication may lose a commit: that is PostgreSQL's property, not the rotation's.
#[tokio::test]
async fn after_a_failover_that_loses_a_whole_rotation_the_next_one_repairs_awscurrent() {
    let pair = Pair::start().await;
    let (world, secret) = (&pair.world, pair.world.single_user());
    pair.part().await;
    assert!(rotate(world, secret).await.succeeded);
    pair.fail_over().await;
    assert!(!pair.gets_in(secret, "AWSCURRENT").await);
    assert!(pair.gets_in(secret, "AWSPREVIOUS").await);
    let rotation = rotate(world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert!(pair.gets_in(secret, "AWSCURRENT").await);
}

#[tokio::test]
async fn pools_give_no_connection_to_a_standby_and_serve_after_its_promotion() {
    let pair = Pair::start().await;
    let world = &pair.world;
    let aws = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(world.single_user())
        .build(aws)
        .await;
    let secret = secret.unwrap();
    let writes = PoolSettings::default().read_write(true);
    let patience = Duration::from_secs(2);
    let deadpool = pool::deadpool::pool_with(
        &secret,
        tokio_postgres::Config::new(),
        world.tls().unwrap(),
        deadpool_postgres::ManagerConfig::default(),
        writes,
        |pool| pool.max_size(2),
    )
    .unwrap();
    let bb8 = pool::bb8::pool_with(
        &secret,
        tokio_postgres::Config::new(),
        world.tls().unwrap(),
        writes,
        move |pool| pool.max_size(2).connection_timeout(patience),
    );
    let bb8 = bb8.await.unwrap();
    let of_two = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(patience);
    let options = PgConnectOptions::new_without_pgpass();
    let sqlx = pool::sqlx::pool_with(&secret, options, of_two, writes);
    let sqlx = sqlx.await.unwrap();

    let writes = "CREATE TEMPORARY TABLE IF NOT EXISTS written (it int)";
    let served = async || {
        let deadpool = match deadpool.get().await {
            Ok(client) => client.batch_execute(writes).await.is_ok(),
            Err(_) => false,
        };
        let bb8 = match bb8.get().await {
            Ok(client) => client.batch_execute(writes).await.is_ok(),
            Err(_) => false,
        };
        let sqlx = match sqlx.acquire().await {
            Ok(mut client) => sqlx::query(writes).execute(&mut *client).await.is_ok(),
            Err(_) => false,
        };
        [deadpool, bb8, sqlx]
    };
    until("all serve", async || served().await == [true; 3]).await;

    // DNS is ahead of the promotion
    pair.address.lead_to(pair.standby.port());
    pair.address.close_all();
    assert!(deadpool.get().await.is_err(), "deadpool");
    assert!(bb8.get().await.is_err(), "bb8");
    assert!(sqlx.acquire().await.is_err(), "sqlx");

    pair.standby.execute("SELECT pg_promote()").await.unwrap();
    until("all serve", async || served().await == [true; 3]).await;
}
