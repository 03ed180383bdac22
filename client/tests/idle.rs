//! An sqlx pool whose password was changed by hand while some of its sessions live on.
#![cfg(feature = "sqlx")]
#![cfg(test)]

mod common;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::of_document;
use rotating_secret::pool;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

const LIVING: usize = 3;
const TASKS: u32 = 20;

/// The part of the protocol that the test needs (PostgreSQL's manual, message formats).
async fn serve(mut client: TcpStream, accepts: bool) -> io::Result<()> {
    let length = client.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await?;
    if !accepts {
        let fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0";
        client.write_u8(b'E').await?;
        client.write_u32(fields.len() as u32 + 4).await?;
        client.write_all(fields).await?;
        return client.shutdown().await;
    }
    let welcome = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x01Z\0\0\0\x05I";
    client.write_all(welcome).await?;
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        match kind {
            b'Q' => client.write_all(b"I\0\0\0\x04Z\0\0\0\x05I").await?,
            b'S' => client.write_all(b"Z\0\0\0\x05I").await?,
            b'X' => return Ok(()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_idle_session_does_not_count_as_an_accepted_login() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = refused.clone();
    tokio::spawn(async move {
        for login in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let accepts = login < LIVING;
            counter.fetch_add(usize::from(!accepts), Ordering::SeqCst);
            tokio::spawn(serve(client, accepts));
        }
    });
    let document = json!({
        "host": "127.0.0.1", "port": port, "username": "o", "password": "p", "ssl": false,
    });
    let secret = of_document(document).await;
    let options = PgPoolOptions::new().max_connections(TASKS);
    let connect = PgConnectOptions::new_without_pgpass();
    let pool = pool::sqlx::pool(&secret, connect, options).await.unwrap();
    let mut living = Vec::new();
    for _ in 0..LIVING {
        living.push(pool.acquire().await.unwrap());
    }
    drop(living);

    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            while begun.elapsed() < Duration::from_secs(5) {
                if let Ok(connection) = pool.acquire().await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    drop(connection);
                }
            }
        });
    }
    tasks.join_all().await;
    // the first logins at the same time, then one at a time after 0.25 s, 0.5 s, 1 s and 2 s
    let refused = refused.load(Ordering::SeqCst);
    assert!(refused <= TASKS as usize + 10, "{refused}");
}
