//! The application: its connections and its pool, and when it looks.

use std::{
    env,
    io::stdin,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rotating_secret::{
    RotatingSecret,
    harden::no_core_dumps,
    pool,
    postgres::{connect, tls},
    provider::Aws,
};
use tokio::runtime::Builder;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::scan::{Copies, Memory, Needle};

const CONNECTIONS: usize = 4;

/// What the other process runs. Without being told a secret it is somebody else who runs it, and it does nothing.
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
    let pool = pool::deadpool::pool(&secret, tls.clone(), |pool| pool.max_size(CONNECTIONS));
    let pool = pool.unwrap();

    let needles = asked();
    request(&secret, &tls).await;
    requests(&pool).await;
    answer(&mut memory, &needles, |_, _| true).await;

    let needles = asked();
    // the server rejects what is cached, which tells of the change
    request(&secret, &tls).await;
    requests(&pool).await;
    answer(&mut memory, &needles, |old, _| old.count() == 0).await;

    let needles = asked();
    drop((pool, secret, tls));
    let nothing = |old: &Copies, new: &Copies| old.count() + new.count() == 0;
    answer(&mut memory, &needles, nothing).await;
}

async fn request(secret: &RotatingSecret, tls: &MakeRustlsConnect) {
    let client = connect(secret, tls.clone()).await.unwrap();
    client.query_one("SELECT 1", &[]).await.unwrap();
}

/// As many at once as the pool has connections, and each holds its own until all are open.
async fn requests(pool: &deadpool_postgres::Pool) {
    let all = Arc::new(tokio::sync::Barrier::new(CONNECTIONS));
    let requests: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (pool, all) = (pool.clone(), all.clone());
            tokio::spawn(async move {
                let client = pool.get().await.unwrap();
                client.query_one("SELECT 1", &[]).await.unwrap();
                all.wait().await;
            })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
}

/// Waits until it is told to go on, and what to look for.
fn asked() -> [Needle; 2] {
    let mut question = String::new();
    stdin().read_line(&mut question).unwrap();
    let (old, new) = question.trim().split_once(' ').unwrap();
    [old, new].map(Needle::read)
}

/// Looks until it is as it should be or the time is up, and says what was found.
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
        // connections end in tasks of their own
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    println!("\n{}", serde_json::to_string(&found).unwrap());
}
