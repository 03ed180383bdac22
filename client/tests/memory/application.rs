//! The application: its connections, its pools and its listener, and its searches.

use std::{
    env,
    io::stdin,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rotating_secret::{
    RotatingSecret,
    harden::no_core_dumps,
    pool,
    postgres::{connect, listen, tls},
    provider::Aws,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{runtime::Builder, sync::Barrier, task::JoinSet};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::scan::{Copies, Memory, Needle};

const CONNECTIONS: usize = 4;

/// The other process runs this. Without SECRET, the test did not start it, and it does nothing.
pub(crate) fn application() {
    let Ok(secret) = env::var("SECRET") else {
        return;
    };
    let memory = Memory::open();
    no_core_dumps().unwrap();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work(secret, memory));
}

async fn work(secret: String, mut memory: Memory) {
    let ca_file = PathBuf::from(env::var_os("CA_FILE").unwrap());
    let tls = tls(Some(&ca_file)).unwrap();
    let secret = RotatingSecret::builder(secret)
        .build(Aws::from_env().await.unwrap())
        .await
        .unwrap();
    listen(&secret, tls.clone()).unwrap();
    let pools = Pools::of(&secret, &tls, &ca_file).await;

    let needles = asked();
    request(&secret, &tls).await;
    pools.requests().await;
    answer(&mut memory, &needles, |_, _| true).await;

    let needles = asked();
    // the server rejects the cached password: that reports the change
    request(&secret, &tls).await;
    pools.requests().await;
    answer(&mut memory, &needles, |old, _| old.count() == 0).await;

    let needles = asked();
    drop((pools, secret, tls));
    let nothing = |old: &Copies, new: &Copies| old.count() + new.count() == 0;
    answer(&mut memory, &needles, nothing).await;
}

async fn request(secret: &RotatingSecret, tls: &MakeRustlsConnect) {
    let client = connect(secret, tls.clone()).await.unwrap();
    client.query_one("SELECT 1", &[]).await.unwrap();
}

struct Pools {
    deadpool: pool::deadpool::Pool,
    bb8: pool::bb8::Pool<MakeRustlsConnect>,
    sqlx: pool::sqlx::Pool,
}

impl Pools {
    async fn of(secret: &RotatingSecret, tls: &MakeRustlsConnect, ca_file: &Path) -> Self {
        let deadpool = pool::deadpool::pool(secret, tls.clone(), |pool| pool.max_size(CONNECTIONS));
        let bb8 = pool::bb8::pool(secret, tls.clone(), |pool| {
            pool.max_size(CONNECTIONS as u32)
        });
        let options = PgConnectOptions::new_without_pgpass().ssl_root_cert(ca_file);
        let of_four = PgPoolOptions::new().max_connections(CONNECTIONS as u32);
        Self {
            deadpool: deadpool.unwrap(),
            bb8: bb8.await.unwrap(),
            sqlx: pool::sqlx::pool(secret, options, of_four).await.unwrap(),
        }
    }

    /// As many at once as a pool has connections; each holds its connection until all are open.
    async fn requests(&self) {
        let all = Arc::new(Barrier::new(3 * CONNECTIONS));
        let mut requests = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (pool, opened) = (self.deadpool.clone(), all.clone());
            requests.spawn(async move {
                let client = pool.get().await.unwrap();
                client.query_one("SELECT 1", &[]).await.unwrap();
                opened.wait().await;
            });
            let (pool, opened) = (self.bb8.clone(), all.clone());
            requests.spawn(async move {
                let client = pool.get().await.unwrap();
                client.query_one("SELECT 1", &[]).await.unwrap();
                opened.wait().await;
            });
            let (pool, opened) = (self.sqlx.clone(), all.clone());
            requests.spawn(async move {
                let mut connection = pool.acquire().await.unwrap();
                let query = sqlx::query("SELECT 1");
                query.execute(&mut *connection).await.unwrap();
                opened.wait().await;
            });
        }
        requests.join_all().await;
    }
}

/// Waits for the passwords to search for.
fn asked() -> [Needle; 2] {
    let mut question = String::new();
    stdin().read_line(&mut question).unwrap();
    let (old, new) = question.trim().split_once(' ').unwrap();
    [old, new].map(Needle::read)
}

/// Searches until the result is right or the time is over, and prints the result.
async fn answer(
    memory: &mut Memory,
    [old, new]: &[Needle; 2],
    as_it_should_be: impl Fn(&Copies, &Copies) -> bool,
) {
    let patience = env::var("PATIENCE_MS").unwrap().parse().unwrap();
    let deadline = Instant::now() + Duration::from_millis(patience);
    let found = loop {
        let found = (memory.copies(old), memory.copies(new));
        if as_it_should_be(&found.0, &found.1) || Instant::now() > deadline {
            break found;
        }
        // connections close in background tasks
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    println!("\n{}", serde_json::to_string(&found).unwrap());
}
