//! An attacker who owns a secret that the function rotates tries to take over another application's role.

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;

/// Logs in as another user with a name of the same length, and claims to the function that it is the named user. SCRAM does not say
/// whose password it proves.
///
/// What the function's session locks is held by that login; or, if it `prepares`, by no session at all.
async fn renaming_relay(server: u16, victim: String, own: String, prepares: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on_as(
                client,
                server,
                victim.clone(),
                own.clone(),
                prepares,
            ));
        }
    });
    port
}

async fn pass_on_as(
    mut client: TcpStream,
    server: u16,
    victim: String,
    own: String,
    prepares: bool,
) -> io::Result<()> {
    let mut packet = startup(&mut client).await?;
    rename(&mut packet, &victim, &own);
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    server.write_all(&packet).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        loop {
            let mut message = message(&mut from_server).await?;
            rename(&mut message, &own, &victim);
            to_client.write_all(&message).await?;
        }
    };
    let questions = async {
        loop {
            let mut message = message(&mut from_client).await?;
            if prepares && contains(&message, b"pg_advisory_xact_lock") {
                message.pop();
                message.extend(b"; PREPARE TRANSACTION 'held'\0");
                let length = message.len() as u32 - 1;
                message[1..5].copy_from_slice(&length.to_be_bytes());
            }
            to_server.write_all(&message).await?;
        }
    };
    tokio::select! {
        end = answers => end,
        end = questions => end,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn rename(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes());
    if let Some(at) = at {
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
}

/// The attacker has some login on the server, and names another application's role in its secret.
async fn attacks_another_role(world: World, strategy: &str, prepares: bool) {
    let secret = world.single_user();
    let victim = world.alternating_role().to_owned();
    let own = format!("evil{}", &victim[4..]);
    execute(&world, &format!("CREATE ROLE {own} LOGIN PASSWORD 'known'")).await;
    let real = current(&world, world.alternating_users()).await;
    // the other application is at work
    let _application = log_in(&world, &real).await.unwrap();
    let port = renaming_relay(world.postgres().port(), victim.clone(), own, prepares).await;
    let mut forged = current(&world, secret).await;
    forged["username"] = victim.as_str().into();
    forged["password"] = "known".into();
    forged["host"] = "127.0.0.1".into();
    forged["port"] = port.into();
    forged["ssl"] = false.into();
    forged["masterarn"] = world.secrets_manager().arn(world.admin()).into();
    forged["strategy"] = strategy.into();
    put(&world, secret, forged).await;
    stage_up_to(&world, secret, "setSecret").await;
    let done = invoke(&world, secret, "setSecret").await.outcome;
    // the attacker reads it in its own secret
    let mut pending = common::document(&world, secret, "AWSPENDING")
        .await
        .unwrap();
    for key in ["host", "port", "ssl"] {
        pending[key] = real[key].clone();
    }
    let got_in = log_in(&world, &pending).await.is_ok();
    let locked_out = log_in(&world, &real).await.is_err();
    assert!(
        !got_in && !locked_out,
        "{strategy}: setSecret: {done:?}; the attacker logs in as {}: {got_in}; the victim is locked out: {locked_out}",
        pending["username"]
    );
    assert_error(&done.unwrap_err(), "AnotherInstance", "");
}

#[tokio::test]
async fn a_server_that_lies_about_the_logged_in_user_does_not_get_a_third_roles_password_replaced()
{
    for strategy in ["alternating-users", "single-user"] {
        attacks_another_role(world().await, strategy, false).await;
    }
}

/// A prepared transaction holds its locks without a session, so nobody can say whose they are.
#[tokio::test]
async fn a_lock_of_a_prepared_transaction_proves_no_login() {
    for strategy in ["alternating-users", "single-user"] {
        let world = start(common::with_prepared_transactions()).await;
        attacks_another_role(world, strategy, true).await;
    }
}

/// The function keeps the administrator's session and the new credential's from one step to the next. A step of the attacker's secret
/// can run in the same environment in between, with a token that the attacker chose.
#[tokio::test]
async fn a_finish_secret_of_another_secret_does_not_use_a_kept_session() {
    for step in ["testSecret", "finishSecret"] {
        let world = warm_world().await;
        let (theirs, own) = (world.alternating_users(), world.single_user());
        let before = current(&world, theirs).await;
        let mut forged = before.clone();
        forged["password"] = "unknown".into();
        forged["overlap"] = "0s".into();
        put(&world, own, forged.clone()).await;
        stage(&world, own);
        forged["username"] = format!("{}_clone", world.alternating_role()).into();
        common::put_pending(&world, own, forged).await;
        stage_up_to(&world, theirs, step).await;
        let done = invoke(&world, own, "finishSecret").await.outcome;
        assert!(!is_bounded(&world).await, "before {step}: {done:?}");
        log_in(&world, &before).await.unwrap();
    }
}
