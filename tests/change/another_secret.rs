//! An attacker who owns a secret that the function rotates tries to take over another application's role.

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;

/// Logs in as another user with a name of the same length, and claims to the function that it is the named user. SCRAM does not say
/// whose password it proves.
async fn renaming_relay(server: u16, victim: String, own: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on_as(client, server, victim.clone(), own.clone()));
        }
    });
    port
}

async fn pass_on_as(
    mut client: TcpStream,
    server: u16,
    victim: String,
    own: String,
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
    tokio::select! {
        end = answers => end,
        end = io::copy(&mut from_client, &mut to_server) => end.map(drop),
    }
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
#[tokio::test]
async fn a_server_that_lies_about_the_logged_in_user_does_not_get_a_third_roles_password_replaced()
{
    let mut taken = Vec::new();
    for strategy in ["alternating-users", "single-user"] {
        let world = world().await;
        let secret = world.single_user();
        let victim = world.alternating_role().to_owned();
        let own = format!("evil{}", &victim[4..]);
        execute(&world, &format!("CREATE ROLE {own} LOGIN PASSWORD 'known'")).await;
        let port = renaming_relay(world.postgres().port(), victim.clone(), own).await;
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
        let real = current(&world, world.alternating_users()).await;
        for key in ["host", "port", "ssl"] {
            pending[key] = real[key].clone();
        }
        let got_in = log_in(&world, &pending).await.is_ok();
        let locked_out = log_in(&world, &real).await.is_err();
        if got_in || locked_out {
            taken.push(format!(
                "{strategy}: setSecret: {done:?}; the attacker logs in as {}: {got_in}; the victim is locked out: {locked_out}",
                pending["username"]
            ));
        }
        assert_error(&done.unwrap_err(), "AnotherInstance", "");
    }
    assert!(taken.is_empty(), "{taken:#?}");
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
