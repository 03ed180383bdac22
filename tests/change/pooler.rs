//! A pooler in front of the server: it refuses startup options, and reports its own process ids.

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;

/// Passes logins on, as a pooler that authenticates at the server.
async fn pooler(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, server));
        }
    });
    port
}

async fn serve(mut client: TcpStream, server: u16) -> io::Result<()> {
    let startup = startup(&mut client).await?;
    if startup.windows(9).any(|bytes| bytes == b"\0options\0") {
        let refusal = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0";
        client.write_u8(b'E').await?;
        client.write_u32(refusal.len() as u32 + 4).await?;
        return client.write_all(refusal).await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    server.write_all(&startup).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        loop {
            let mut message = message(&mut from_server).await?;
            if message[0] == b'K' {
                message[5..9].copy_from_slice(&4711_u32.to_be_bytes());
            }
            to_client.write_all(&message).await?;
        }
    };
    tokio::select! {
        end = answers => end,
        _ = io::copy(&mut from_client, &mut to_server) => Ok(()),
    }
}

/// A world without TLS, whose secrets lead to the pooler.
async fn world_behind_a_pooler(variables: &[(&str, &str)]) -> World {
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = start(options_with(variables).own_postgres(settings)).await;
    let port = pooler(world.postgres().port()).await;
    for secret in [world.single_user(), world.alternating_users()] {
        let mut document = current(&world, secret).await;
        document["port"] = port.into();
        document["ssl"] = false.into();
        put(&world, secret, document).await;
    }
    world
}

#[tokio::test]
async fn a_single_user_behind_a_pooler_is_rotated_only_if_a_setting_says_that_the_pooler_asks_the_server()
 {
    let world = world_behind_a_pooler(&[]).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "PoolerBetween", "POOLER_ASKS_SERVER=true");

    let world = world_behind_a_pooler(&[("POOLER_ASKS_SERVER", "true")]).await;
    let rotation = rotate(&world, world.single_user()).await;
    assert!(rotation.succeeded, "{rotation:?}");
}

#[tokio::test]
async fn two_users_behind_a_pooler_are_rotated() {
    let world = world_behind_a_pooler(&[]).await;
    let mut admin = current(&world, world.admin()).await;
    admin["ssl"] = false.into();
    put(&world, world.admin(), admin).await;
    for _ in 0..2 {
        let rotation = rotate(&world, world.alternating_users()).await;
        assert!(rotation.succeeded, "{rotation:?}");
    }
}

#[tokio::test]
async fn with_a_rotation_address_the_pooler_is_checked_first() {
    let world = world_behind_a_pooler(&[]).await;
    let secret = world.single_user();
    let mut document = current(&world, secret).await;
    document["rotationport"] = world.postgres().port().into();
    put(&world, secret, document).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "PoolerBetween", "POOLER_ASKS_SERVER=true");
}
