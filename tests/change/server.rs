//! The administrator's credential goes only to the right server, and no password to a server that asks for it in clear text.

use super::*;

async fn world_with_hba(variables: &[(&str, &str)], line: impl Fn(&World) -> String) -> World {
    let options = options_with(variables).own_postgres(Settings::default());
    let world = start(options).await;
    common::first_in_hba(&world, &line(&world)).await;
    world
}

#[tokio::test]
async fn a_server_that_asks_for_the_password_in_clear_does_not_get_it() {
    let line = |world: &World| format!("hostssl all {} all password", world.role());
    let world = world_with_hba(&[], line).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "CleartextAsked", "scram-sha-256");
    assert_eq!(world.postgres().logins(world.role()).unwrap().accepted, 0);
}

#[tokio::test]
async fn a_server_that_accepts_any_password_proves_nothing() {
    let line = |world: &World| format!("hostssl all {} all trust", world.role());
    let world = world_with_hba(&[], line).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "NoPasswordAsked", "scram-sha-256");
}

#[tokio::test]
async fn an_administrators_login_without_channel_binding_is_refused_unless_a_setting_allows_it() {
    let with_md5 = |world: &World| format!("hostssl all {} all md5", administrator(world));
    for (variables, rotates) in [
        (&[][..], false),
        (&[("ADMINISTRATOR_CHANNEL_BINDING", "prefer")], true),
    ] {
        let world = world_with_hba(variables, with_md5).await;
        let admin = administrator(&world);
        let password = current(&world, world.admin()).await["password"].clone();
        let md5 = format!(
            "SET password_encryption = md5; ALTER ROLE {admin} PASSWORD '{}'",
            password.as_str().unwrap()
        );
        execute(&world, &md5).await;
        let secret = world.alternating_users();
        stage_up_to(&world, secret, "setSecret").await;
        if rotates {
            assert_eq!(outcome(&world, secret, "setSecret").await, "changed");
        } else {
            let error = fails(&world, secret, "setSecret").await;
            assert_error(
                &error,
                "NoChannelBinding",
                "ADMINISTRATOR_CHANNEL_BINDING=prefer",
            );
        }
    }
}

/// A server with the same identifier, roles and passwords.
#[tokio::test]
async fn an_administrator_on_a_copy_of_the_server_changes_nothing() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let copy = primary.start_standby().await.unwrap();
    let world = start(options().on_postgres(primary)).await;
    copy.catch_up_with(world.postgres()).await.unwrap();
    copy.execute("SELECT pg_promote()").await.unwrap();
    let mut admin = current(&world, world.admin()).await;
    admin["port"] = copy.port().into();
    admin["host"] = "localhost".into();
    put(&world, world.admin(), admin).await;

    let secret = world.alternating_users();
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(
        &error,
        "AnotherInstance",
        "a server in between lied about who logged in",
    );
}

#[tokio::test]
async fn if_the_host_is_a_standby_roles_are_changed_at_the_rotation_address() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = start(options().on_postgres(primary)).await;
    standby.catch_up_with(world.postgres()).await.unwrap();
    for secret in [world.single_user(), world.alternating_users()] {
        let mut document = current(&world, secret).await;
        document["port"] = standby.port().into();
        put(&world, secret, &document).await;
        stage_up_to(&world, secret, "setSecret").await;
        let error = failure(&world, secret, "setSecret").await;
        assert_error(&error, "DatabaseIsStandby", "\"rotationhost\"");

        document["rotationport"] = world.postgres().port().into();
        put(&world, secret, &document).await;
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        let after = current(&world, secret).await;
        assert_eq!(after["port"], standby.port());
        log_in(&world, &after).await.unwrap();
    }
}

#[tokio::test]
async fn no_step_sends_anything_for_a_pending_version_with_another_rotation_address() {
    let world = world().await;
    let secret = world.single_user();
    stage(&world, secret);
    let mut forged = current(&world, secret).await;
    forged["rotationhost"] = "attacker.example".into();
    common::put_pending(&world, secret, forged).await;
    for step in common::STEPS {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "AnotherServer", "another rotationhost");
    }
}

#[tokio::test]
async fn no_step_promotes_a_pending_version_for_a_third_user() {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        stage(&world, secret);
        let mut forged = current(&world, secret).await;
        forged["username"] = administrator(&world).into();
        common::put_pending(&world, secret, forged).await;
        let before = snapshot(&world, secret).await;
        for step in ["setSecret", "testSecret", "finishSecret"] {
            let error = failure(&world, secret, step).await;
            assert_error(&error, "AnotherUser", "turn");
        }
        assert_eq!(snapshot(&world, secret).await, before);
    }
}
