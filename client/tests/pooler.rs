//! A pooler that says "protocol violation" (08P01) for a wrong password, as PgBouncer does.
#![cfg(all(feature = "postgres", feature = "sqlx"))]
#![cfg(test)]

use std::sync::{Arc, Mutex};

use rotating_secret::{
    LogInError, RotatingSecret, pool, postgres,
    provider::{Fixed, Version},
};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_postgres::NoTls;

/// Answers every login with 08P01, and records the user.
struct Pooler {
    port: u16,
    users: Arc<Mutex<Vec<String>>>,
}

impl Pooler {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let users = Arc::new(Mutex::new(Vec::new()));
        let came = users.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let user = user(&mut client).await;
                came.lock().unwrap().push(user);
                refuse(client).await;
            }
        });
        Self { port, users }
    }

    fn version(&self, id: &str) -> Version {
        let document = json!({
            "host": "127.0.0.1", "port": self.port, "username": id, "password": "any", "ssl": false,
        });
        Version::text(id, document.to_string())
    }

    /// A secret with these versions as AWSCURRENT and AWSPENDING.
    async fn secret(&self, pending: Option<&str>) -> RotatingSecret {
        let provider = Fixed::new().with("orders/db", self.version("v1"));
        provider.set_pending("orders/db", pending.map(|id| self.version(id)));
        let built = RotatingSecret::builder("orders/db").build(provider).await;
        built.unwrap()
    }

    fn came(&self) -> Vec<String> {
        std::mem::take(&mut self.users.lock().unwrap())
    }
}

/// The user of the startup packet (the protocol's manual, message formats).
async fn user(client: &mut TcpStream) -> String {
    let length = client.read_u32().await.unwrap() as usize;
    let mut startup = vec![0; length - 4];
    client.read_exact(&mut startup).await.unwrap();
    let texts: Vec<&[u8]> = startup[4..].split(|byte| *byte == 0).collect();
    let user = texts.iter().position(|text| *text == b"user").unwrap() + 1;
    String::from_utf8(texts[user].to_vec()).unwrap()
}

/// Sends the error "protocol violation".
async fn refuse(mut client: TcpStream) {
    let fields = b"SFATAL\0VFATAL\0C08P01\0Mserver login failed: wrong password\0\0";
    client.write_u8(b'E').await.unwrap();
    client.write_u32(fields.len() as u32 + 4).await.unwrap();
    client.write_all(fields).await.unwrap();
    // until the client closes too: a reset could lose the error
    let _ = client.shutdown().await;
    let _ = client.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_poolers_answer_about_a_wrong_password_causes_one_more_request_and_one_more_login() {
    let pooler = Pooler::start().await;
    let secret = pooler.secret(Some("v2")).await;
    let refused = postgres::connect(&secret, NoTls).await.unwrap_err();
    assert!(matches!(refused, LogInError::Failed(_)), "{refused}");
    assert!(refused.to_string().contains("08P01"), "{refused}");
    assert_eq!(pooler.came(), ["v1", "v2"]);
}

#[tokio::test]
async fn without_another_version_the_poolers_answer_is_returned_unchanged() {
    let pooler = Pooler::start().await;
    let secret = pooler.secret(None).await;
    let refused = postgres::connect(&secret, NoTls).await.unwrap_err();
    assert!(refused.to_string().contains("wrong password"), "{refused}");
    assert_eq!(pooler.came(), ["v1"]);
}

#[tokio::test]
async fn an_sqlx_pool_handles_a_poolers_answer_the_same_way() {
    let pooler = Pooler::start().await;
    let secret = pooler.secret(Some("v2")).await;
    let options = PgConnectOptions::new_without_pgpass();
    let pool = pool::sqlx::pool(&secret, options, PgPoolOptions::new()).await;
    let refused = pool.unwrap().acquire().await.unwrap_err();
    assert!(refused.to_string().contains("wrong password"), "{refused}");
    assert_eq!(pooler.came(), ["v1", "v2"]);
}
