//! Attacks by a writer of the secret's value.

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;

async fn exists(world: &World, role: &str) -> bool {
    let question = format!("SELECT count(*) > 0 FROM pg_roles WHERE rolname = '{role}'");
    ask(world, &question).await
}

/// AWSCURRENT names a role that does not log in, AWSPREVIOUS one that does.
async fn about(world: &World, secret: &str, victim: &str) {
    let mut forged = current(world, secret).await;
    forged["username"] = victim.into();
    forged["password"] = "unknown".into();
    put(world, secret, forged).await;
    stage_up_to(world, secret, "setSecret").await;
    let _ = invoke(world, secret, "setSecret").await;
}

#[tokio::test]
async fn a_previous_version_that_logs_in_does_not_get_a_third_role_cloned() {
    for of_the_administrator in [true, false] {
        let world = world().await;
        let secret = world.alternating_users();
        let victim = match of_the_administrator {
            true => administrator(&world),
            false => world.role().to_owned(),
        };
        about(&world, secret, &victim).await;
        let clone = format!("{victim}_clone");
        assert!(!exists(&world, &clone).await, "{clone}");
    }
}

#[tokio::test]
async fn a_previous_version_that_logs_in_does_not_get_a_third_roles_password_replaced() {
    let world = world().await;
    let others = current(&world, world.single_user()).await;
    let victim = format!("{}_clone", world.role());
    about(&world, world.alternating_users(), &victim).await;
    log_in(&world, &others).await.unwrap();
}

#[tokio::test]
async fn a_revocation_does_not_end_a_third_role() {
    let world = world().await;
    let secret = world.alternating_users();
    let others = current(&world, world.single_user()).await;
    let own = current(&world, secret).await;
    let mut forged = own.clone();
    forged["username"] = others["username"].clone();
    put(&world, secret, forged).await;
    put(&world, secret, own).await;
    let _ = revoke(&world, secret).await;
    log_in(&world, &others).await.unwrap();
}

#[tokio::test]
async fn a_repeated_finish_secret_does_not_limit_a_third_role() {
    let world = world().await;
    let secret = world.alternating_users();
    let others = current(&world, world.single_user()).await;
    let mut forged = current(&world, secret).await;
    forged["username"] = others["username"].clone();
    forged["overlap"] = "0s".into();
    stage_up_to(&world, secret, "finishSecret").await;
    put(&world, secret, forged).await;
    make_current(&world, secret, TOKEN).await;
    let _ = invoke(&world, secret, "finishSecret").await;
    log_in(&world, &others).await.unwrap();
}

#[tokio::test]
async fn an_owner_role_without_the_application_as_member_is_not_granted_to_it() {
    let world = world().await;
    let secret = world.alternating_users();
    for owner in [
        administrator(&world),
        "pg_execute_server_program".to_owned(),
    ] {
        let mut forged = current(&world, secret).await;
        forged["ownerrole"] = owner.as_str().into();
        put(&world, secret, forged).await;
        let _ = rotate(&world, secret).await;
        let clone = format!("{}_clone", world.alternating_role());
        let member = format!(
            "SELECT coalesce(bool_or(pg_has_role(oid, '{owner}', 'MEMBER')), false) FROM pg_roles WHERE rolname = '{clone}'"
        );
        assert!(!ask::<bool>(&world, &member).await, "{clone} is {owner}");
    }
}

/// Passes everything on to the server; after the administrator's login it adds a message of its own.
async fn relay(server: u16, administrator: String, says: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, server, administrator.clone(), says.clone()));
        }
    });
    port
}

async fn pass_on(
    mut client: TcpStream,
    server: u16,
    administrator: String,
    says: String,
) -> io::Result<()> {
    let startup = startup(&mut client).await?;
    let user = format!("\0{administrator}\0");
    let is_admin = startup
        .windows(user.len())
        .any(|bytes| bytes == user.as_bytes());
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    server.write_all(&startup).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        loop {
            let message = message(&mut from_server).await?;
            if message[0] == b'Z' && is_admin {
                return Ok::<_, io::Error>(true);
            }
            to_client.write_all(&message).await?;
        }
    };
    let taken = tokio::select! {
        end = answers => end,
        _ = io::copy(&mut from_client, &mut to_server) => Ok(false),
    }?;
    if taken {
        to_server.write_u8(b'Q').await?;
        to_server.write_u32(says.len() as u32 + 5).await?;
        to_server.write_all(says.as_bytes()).await?;
        to_server.write_u8(0).await?;
        // until it is done
        while message(&mut from_server).await?[0] != b'Z' {}
    }
    Ok(())
}

/// The administrator's secret is as RDS makes it: user and password.
#[tokio::test]
async fn without_tls_another_server_cannot_pass_on_the_administrators_login() {
    let world = world().await;
    let secret = world.alternating_users();
    let admin = current(&world, world.admin()).await;
    let managed = json!({ "username": admin["username"], "password": admin["password"] });
    put(&world, world.admin(), managed).await;
    let taken = format!("taken_{}", world.role());
    let port = relay(
        world.postgres().port(),
        administrator(&world),
        format!("CREATE ROLE {taken}"),
    )
    .await;
    let mut forged = current(&world, secret).await;
    forged["rotationhost"] = "127.0.0.1".into();
    forged["rotationport"] = port.into();
    forged["ssl"] = false.into();
    put(&world, secret, forged).await;
    stage_up_to(&world, secret, "setSecret").await;
    let _ = invoke(&world, secret, "setSecret").await;
    assert!(!exists(&world, &taken).await);
}

#[tokio::test]
async fn two_secrets_with_the_same_rotation_token_are_not_confused() {
    let world = warm_world().await;
    let (two, one) = (world.alternating_users(), world.single_user());
    stage(&world, two);
    stage(&world, one);
    for step in ["createSecret", "setSecret", "testSecret"] {
        outcome(&world, two, step).await;
        outcome(&world, one, step).await;
    }
    outcome(&world, two, "finishSecret").await;
    outcome(&world, one, "finishSecret").await;
    assert!(is_bounded(&world).await);
}

/// AWSCURRENT, written again, is AWSPREVIOUS too; the other user's password is still within its window.
#[tokio::test]
async fn a_revocation_ends_the_other_user_even_if_the_same_version_was_stored_twice() {
    let world = world().await;
    let secret = world.alternating_users();
    let leaked = current(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let same = current(&world, secret).await;
    put(&world, secret, same).await;
    let _ = revoke(&world, secret).await;
    common::assert_rejected(log_in(&world, &leaked).await);
}

/// The writer names, in the middle of a rotation, the user whose turn it is.
#[tokio::test]
async fn a_version_stored_during_a_rotation_does_not_extend_the_old_passwords_window() {
    let world = world().await;
    let secret = world.alternating_users();
    stage_up_to(&world, secret, "finishSecret").await;
    let pending = common::document(&world, secret, "AWSPENDING")
        .await
        .unwrap();
    let input = json!({
        "SecretId": secret, "SecretString": pending.to_string(), "VersionStages": ["MINE"]
    });
    let mine = call(&world, "PutSecretValue", input).await;
    make_current(&world, secret, mine["VersionId"].as_str().unwrap()).await;
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
    assert!(is_bounded(&world).await);
}

/// A role of another application has the name of this secret's clone, or of its base.
#[tokio::test]
async fn a_role_that_only_has_the_name_of_the_other_user_is_left_alone() {
    let world = world().await;
    let (secret, victim) = (world.alternating_users(), world.role());
    let others = current(&world, world.single_user()).await;
    let own = format!("{victim}_clone");
    execute(&world, &format!("CREATE ROLE {own} LOGIN PASSWORD 'known'")).await;
    let mut forged = current(&world, secret).await;
    forged["username"] = own.into();
    forged["password"] = "known".into();
    put(&world, secret, forged).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert_error(&error, "NoPair", "is no member of");
    log_in(&world, &others).await.unwrap();
}

/// An audit of only one of the two users is incomplete.
#[tokio::test]
async fn a_setting_that_is_left_out_is_named_in_the_log_without_its_value() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let set = format!("ALTER ROLE {base} SET app.signing_key = 'hidden-value'");
    execute(&world, &set).await;
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let steps = &rotation.attempts[0].steps;
    let log: String = steps
        .iter()
        .flat_map(|step| step.invoked.log.clone())
        .collect();
    assert!(log.contains("app.signing_key"), "{log}");
    assert!(!log.contains("hidden-value"), "{log}");
}

/// A role of another application with the name of this secret's other user, and how it logs in.
async fn namesake(world: &World) -> Value {
    let mut others = current(world, world.alternating_users()).await;
    let name = format!("{}_clone", world.alternating_role());
    let admin = administrator(world);
    let sql = format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'own'; GRANT {name} TO {admin} WITH ADMIN OPTION"
    );
    execute(world, &sql).await;
    others["username"] = name.into();
    others["password"] = "own".into();
    others
}

#[tokio::test]
async fn a_revocation_ends_no_role_that_only_has_the_other_users_name() {
    for named in [true, false] {
        let world = world().await;
        let secret = world.alternating_users();
        let others = namesake(&world).await;
        let own = current(&world, secret).await;
        let mut forged = if named { others.clone() } else { own.clone() };
        forged["password"] = "unknown".into();
        put(&world, secret, forged).await;
        put(&world, secret, own).await;
        let error = revoke(&world, secret).await.unwrap_err();
        assert_error(&error, "NoPair", "is no member of");
        log_in(&world, &others).await.unwrap();
    }
}

/// If AWSPENDING logs in and AWSCURRENT does not, setSecret has nothing to change, so it checks no role.
#[tokio::test]
async fn a_finish_secret_limits_no_role_that_only_has_the_other_users_name() {
    let world = world().await;
    let secret = world.alternating_users();
    let others = namesake(&world).await;
    let mut own = current(&world, secret).await;
    own["overlap"] = "0s".into();
    let mut wrong = own.clone();
    wrong["password"] = "wrong".into();
    put(&world, secret, wrong).await;
    stage(&world, secret);
    common::put_pending(&world, secret, own).await;
    assert_eq!(
        outcome(&world, secret, "setSecret").await,
        "already changed"
    );
    outcome(&world, secret, "testSecret").await;
    let error = fails(&world, secret, "finishSecret").await;
    assert_error(&error, "NoPair", "is no member of");
    log_in(&world, &others).await.unwrap();
}
