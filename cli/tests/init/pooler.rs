//! Through a pooler: the administrator's host is one, or loses the connection.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use local::{postgres::Settings, world::World};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
};

use crate::{
    NEW, assert_logs_in,
    common::{document, options, put, rotated, run, start},
    current, init, new_role, verifier,
};

/// Passes on what is said, and closes a connection when this was sent through it, once.
struct Pooler {
    server: u16,
    /// Names processes of its own, and takes no startup options, as a pooler does.
    pools: bool,
    loses: Option<&'static [u8]>,
    lost: AtomicBool,
}

impl Pooler {
    async fn listen(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pooler = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let pooler = pooler.clone();
                tokio::spawn(async move { pooler.serve(client).await });
            }
        });
        port
    }

    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let startup = framed(&mut client, Vec::new()).await?;
        if self.pools && holds(&startup, b"\0options\0") {
            let refusal = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0";
            client.write_u8(b'E').await?;
            client.write_u32(refusal.len() as u32 + 4).await?;
            return client.write_all(refusal).await;
        }
        let mut server = TcpStream::connect(("127.0.0.1", self.server)).await?;
        server.write_all(&startup).await?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            end = self.questions(from_client, to_server) => end,
            end = self.answers(from_server, to_client) => end,
        }
    }

    async fn questions(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        loop {
            let message = typed(&mut from).await?;
            to.write_all(&message).await?;
            if self.loses.is_some_and(|text| holds(&message, text)) {
                self.lost.store(true, Ordering::Relaxed);
            }
        }
    }

    async fn answers(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        loop {
            let mut message = typed(&mut from).await?;
            // the server has done it, and nobody hears of it
            if message[0] == b'Z' && self.lost.swap(false, Ordering::Relaxed) {
                return Ok(());
            }
            if self.pools && message[0] == b'K' {
                message[5..9].copy_from_slice(&4711_u32.to_be_bytes());
            }
            to.write_all(&message).await?;
        }
    }
}

fn holds(message: &[u8], text: &[u8]) -> bool {
    message.windows(text.len()).any(|bytes| bytes == text)
}

async fn typed(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let kind = from.read_u8().await?;
    framed(from, vec![kind]).await
}

async fn framed(
    from: &mut (impl AsyncReadExt + Unpin),
    mut message: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    message.extend(length.to_be_bytes());
    let before = message.len();
    message.resize(before + length as usize - 4, 0);
    from.read_exact(&mut message[before..]).await?;
    Ok(message)
}

/// A world without TLS, whose administrator's secret leads through it.
async fn behind(pools: bool, loses: Option<&'static [u8]>) -> (World, u16) {
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = start(options().own_postgres(settings)).await;
    let pooler = Pooler {
        server: world.postgres().port(),
        pools,
        loses,
        lost: AtomicBool::new(false),
    };
    let port = pooler.listen().await;
    let mut stored = document(&world, world.admin(), "AWSCURRENT").await;
    stored["port"] = port.into();
    stored["ssl"] = false.into();
    put(&world, world.admin(), &stored).await;
    (world, port)
}

#[tokio::test]
async fn two_users_behind_a_pooler_are_made_and_rotate() {
    let (world, port) = behind(true, None).await;
    let role = new_role(&world);
    let given = ["--function", "secret-rotation"];
    let ran = run(init(&world, &role, &given)).await.success();
    let asked = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(!asked.contains("pooler"), "{asked}");
    assert_eq!(current(&world).await.unwrap()["port"], json!(port));
    crate::settled(&world).await;
    rotated(&world, NEW).await;
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn for_a_single_user_behind_a_pooler_the_output_says_what_the_function_needs() {
    let (world, _) = behind(true, None).await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &["--single-user"])).await.success();
    let asked = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let expected =
        "a pooler: there a function rotates a single user only with POOLER_ASKS_SERVER=true";
    assert!(asked.contains(expected), "{asked}");
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn after_a_lost_answer_to_the_change_the_outcome_is_unknown_and_the_same_command_continues() {
    let (world, _) = behind(false, Some(b"; COMMIT")).await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &[])).await.code(3);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let expected = "the secret is stored; whether its role exists is unknown";
    assert!(said.contains(expected), "{said}");
    assert!(!said.contains("rotate again"), "{said}");
    let before = verifier(&world, &role).await;
    assert!(before.is_some());
    run(init(&world, &role, &[])).await.success();
    assert_eq!(verifier(&world, &role).await, before);
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn if_the_first_connection_breaks_nothing_is_stored() {
    let (world, _) = behind(false, Some(b"CREATE ROLE")).await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &[])).await.code(1);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(!said.contains("rotate again"), "{said}");
    crate::assert_nothing_was_made(&world, &role).await;
}
