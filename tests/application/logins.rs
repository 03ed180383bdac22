//! Passwords that the application sets, and logins that it begins.

use bytes::BytesMut;
use postgres_protocol::{
    authentication::sasl::{ChannelBinding, ScramSha256},
    message::frontend,
};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::*;

/// The clone acts as the base role, so it may change the base role's password.
#[tokio::test]
async fn a_password_that_the_old_user_sets_for_the_new_one_ends_with_a_rotation_and_a_revocation() {
    let world = world().await;
    let secret = world.alternating_users();
    let base = world.alternating_role();
    assert!(rotate(&world, secret).await.succeeded);
    let leaked = application(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let evil = format!("ALTER ROLE {base} PASSWORD 'evil'");
    leaked.batch_execute(&evil).await.unwrap();
    let mut mine = current(&world, secret).await;
    mine["password"] = "evil".into();
    log_in(&world, &mine).await.unwrap();

    let refused = revoke(&world, secret).await.unwrap_err();
    assert_error(&refused, "CurrentRejected", "rotate first");
    assert!(rotate(&world, secret).await.succeeded);
    log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
    revoke(&world, secret).await.unwrap();
    common::assert_rejected(log_in(&world, &mine).await);
    // the session of the other user, whose turn is next
    assert!(common::is_alive(&leaked).await);
    assert!(rotate(&world, secret).await.succeeded);
    revoke(&world, secret).await.unwrap();
    assert!(!common::is_alive(&leaked).await);
}

/// A login without its last message.
struct HalfFinished {
    stream: TcpStream,
    scram: ScramSha256,
}

impl HalfFinished {
    async fn begin(world: &World, document: &Value) -> Self {
        let text = |key: &str| document[key].as_str().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", world.postgres().port()))
            .await
            .unwrap();
        let mut packet = BytesMut::new();
        let parameters = [("user", text("username")), ("database", text("dbname"))];
        frontend::startup_message(parameters, &mut packet).unwrap();
        let password = text("password").as_bytes();
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        stream.write_all(&packet).await.unwrap();
        common::wire::message(&mut stream).await.unwrap();
        packet.clear();
        frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), &mut packet).unwrap();
        stream.write_all(&packet).await.unwrap();
        let challenge = common::wire::message(&mut stream).await.unwrap();
        scram.update(&challenge[9..]).unwrap();
        Self { stream, scram }
    }

    /// The types of the server's messages, up to the one that accepts or rejects the login.
    async fn end(&mut self) -> (char, Vec<u8>) {
        let mut packet = BytesMut::new();
        frontend::sasl_response(self.scram.message(), &mut packet).unwrap();
        self.stream.write_all(&packet).await.unwrap();
        loop {
            let message = common::wire::message(&mut self.stream).await.unwrap();
            if matches!(message[0], b'E' | b'Z') {
                return (message[0].into(), message);
            }
        }
    }
}

/// The server has already checked the password.
#[tokio::test]
async fn a_login_in_progress_when_its_user_is_revoked_does_not_succeed() {
    let world = world().await;
    let secret = world.alternating_users();
    let leaked = current(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let mut half_finished = HalfFinished::begin(&world, &leaked).await;
    let answer = revoke(&world, secret).await.unwrap();
    assert_eq!(answer.get("again_in_seconds"), None, "{answer}");
    let (kind, message) = half_finished.end().await;
    let message = String::from_utf8_lossy(&message).into_owned();
    assert!(kind == 'E' && message.contains("C28000"), "{message}");
    // the user's next turn comes
    assert!(rotate(&world, secret).await.succeeded);
    application(&world, secret).await;
}

/// A single user is current, so nothing stops it: the answer says how long it can take, and a second revocation ends it.
#[tokio::test]
async fn a_single_users_login_in_progress_is_ended_by_a_second_revocation() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = current(&world, secret).await;
    let mut half_finished = HalfFinished::begin(&world, &leaked).await;
    assert!(rotate(&world, secret).await.succeeded);
    let answer = revoke(&world, secret).await.unwrap();
    let seconds = answer["again_in_seconds"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds), "{answer}");
    assert_eq!(half_finished.end().await.0, 'Z');
    assert_eq!(revoke(&world, secret).await.unwrap()["sessions"], 1);
}
