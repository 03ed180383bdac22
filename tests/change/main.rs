//! A change of a role, on a real server: pinned against what the role's owner sets, only while it is wanted, and only on the
//! right server.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod attack;
mod fence;
mod pin;
mod pooler;
mod server;

use common::{
    TOKEN, administrator, ask, assert_error, call, current, execute, fails, failure, invoke,
    log_in, options, options_with, outcome, put, revoke, rotate, snapshot, stage, stage_up_to,
    start, version, warm_world, world,
};
use local::{
    postgres::{Postgres, Settings},
    world::World,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt},
    net::TcpStream,
};
use tokio_postgres::Client;

/// What a client of PostgreSQL says first, with its length.
async fn startup(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    packet(client, Vec::new()).await
}

/// A message of the protocol: its kind, its length, and the rest.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let kind = from.read_u8().await?;
    packet(from, vec![kind]).await
}

async fn packet(from: &mut (impl AsyncRead + Unpin), mut packet: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    packet.extend(length.to_be_bytes());
    let body = packet.len();
    packet.resize(body + length as usize - 4, 0);
    from.read_exact(&mut packet[body..]).await?;
    Ok(packet)
}

/// The superuser, in the secrets' database.
async fn in_the_database(world: &World) -> Client {
    let postgres = world.postgres();
    let password = postgres.superuser_password().expose_secret();
    let client = postgres.connect(Postgres::SUPERUSER, password, world.dbname());
    client.await.unwrap()
}

/// Moves AWSCURRENT to a version, by hand.
async fn make_current(world: &World, secret: &str, to: &str) {
    let from = version(world, secret, "AWSCURRENT").await;
    let moved = json!({
        "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": to, "RemoveFromVersionId": from,
    });
    call(world, "UpdateSecretVersionStage", moved).await;
}

/// Rotates both secrets, each of which has to log in afterwards.
async fn both_rotate(world: &World) {
    for secret in [world.single_user(), world.alternating_users()] {
        let rotation = rotate(world, secret).await;
        assert!(rotation.succeeded, "{secret}: {rotation:?}");
        log_in(world, &current(world, secret).await).await.unwrap();
    }
}
