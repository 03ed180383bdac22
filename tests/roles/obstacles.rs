//! The function finds the obstacles of a rotation before it changes anything.

use super::*;
use local::postgres::Settings;

#[tokio::test]
async fn a_user_without_a_free_connection_keeps_its_password() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let old = session(&world).await;
    turn(&world).await;
    execute(&world, &format!("ALTER ROLE {base} CONNECTION LIMIT 1")).await;
    let previous = common::document(&world, secret, "AWSPREVIOUS")
        .await
        .unwrap();
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "NoFreeConnection", "pg_stat_activity");
    drop(old);
    common::until("the connection is free", async || {
        log_in(&world, &previous).await.is_ok()
    })
    .await;
    outcome(&world, secret, "setSecret").await;
}

/// The role is set to act as a role that it may not become: it acts as itself, before and after a rotation.
#[tokio::test]
async fn a_single_user_that_acts_as_another_role_than_its_settings_say_rotates_with_a_warning() {
    for set in [
        "ALTER ROLE app SET role TO none",
        "ALTER ROLE app SET role TO group",
        "ALTER ROLE app SET role TO group; DROP ROLE group",
        "ALTER ROLE app IN DATABASE shop SET role TO group",
        "ALTER DATABASE shop SET role TO group",
    ] {
        let world = world().await;
        let (secret, role) = (world.single_user(), world.role());
        let group = format!("group_of_{role}");
        let sql = set
            .replace("group", &group)
            .replace("app", role)
            .replace("shop", world.dbname());
        execute(&world, &format!("CREATE ROLE {group}")).await;
        for sql in sql.split(';') {
            execute(&world, sql).await;
        }
        for _ in 0..2 {
            let rotation = rotate(&world, secret).await;
            assert!(rotation.succeeded, "{set}: {rotation:?}");
        }
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
    }
}

/// An old driver knows nothing but md5.
#[tokio::test]
async fn a_password_stored_as_md5_stays_md5_unless_a_setting_says_otherwise() {
    for (variables, stays) in [
        (&[][..], true),
        (&[("PASSWORD_HASHING", "server")], true),
        (&[("PASSWORD_HASHING", "scram")], false),
    ] {
        let world = start(options_with(variables).own_postgres(Settings::default())).await;
        let users = format!(
            "{},{},{}",
            world.role(),
            world.alternating_role(),
            clone(&world)
        );
        common::first_in_hba(&world, &format!("host all {users} all md5")).await;
        for secret in [world.single_user(), world.alternating_users()] {
            let document = current(&world, secret).await;
            let (user, password) = (
                document["username"].as_str().unwrap(),
                document["password"].as_str().unwrap(),
            );
            let sql = format!(
                "SET password_encryption = md5; ALTER ROLE {user} PASSWORD '{}'",
                password.replace('\'', "''")
            );
            world
                .postgres()
                .superuser_client()
                .await
                .unwrap()
                .batch_execute(&sql)
                .await
                .unwrap();
            let rotation = rotate(&world, secret).await;
            assert!(rotation.succeeded, "{secret} {variables:?}: {rotation:?}");
            let document = current(&world, secret).await;
            log_in(&world, &document).await.unwrap();
            let user = document["username"].as_str().unwrap();
            let kept = common::verifier(world.postgres(), user).await.unwrap();
            assert_eq!(kept.starts_with("md5"), stays, "{user} {variables:?}");
            assert_eq!(warnings(&rotation, "KeptAsMd5").len(), usize::from(stays));
        }
    }
}

/// createSecret and setSecret fail before any change; AWSCURRENT still works.
#[tokio::test]
async fn all_missing_rights_of_an_administrator_are_reported_together_and_the_cure_works() {
    let world = world().await;
    let (secret, base, admin) = (
        world.alternating_users(),
        world.alternating_role(),
        administrator(&world),
    );
    let sql = format!("ALTER ROLE {admin} NOCREATEROLE; REVOKE {base} FROM {admin}");
    execute(&world, &sql).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "AdministratorForbidden", "{error}");
    let cures = common::cures(&error.error_message);
    let needed = if release(&world).await < 16 { 1 } else { 2 };
    assert_eq!(cures.len(), needed, "{error}");
    for cure in cures {
        execute(&world, cure).await;
    }
    outcome(&world, secret, "setSecret").await;
}

/// Under alternating users, AWSCURRENT may read the cause of the server's only answer, 28P01.
#[tokio::test]
async fn a_new_credential_that_has_expired_is_distinguished_from_a_wrong_one() {
    // a process remembers no password of AWSCURRENT
    is_distinguished_from_a_wrong_one(&world().await).await;
    is_distinguished_from_a_wrong_one(&common::warm_world().await).await;
}

async fn is_distinguished_from_a_wrong_one(world: &World) {
    let secret = world.alternating_users();
    stage_up_to(world, secret, "testSecret").await;
    execute(
        world,
        &format!("ALTER ROLE {} VALID UNTIL 'yesterday'", clone(world)),
    )
    .await;
    let error = failure(world, secret, "testSecret").await;
    assert_error(&error, "PendingRejected", "it has ended (VALID UNTIL)");
    outcome(world, secret, "setSecret").await;
    outcome(world, secret, "testSecret").await;
}

/// Only if the server has that library: not every package has it.
#[tokio::test]
async fn a_refusal_of_the_servers_password_policy_is_reported_in_the_servers_words() {
    let has_it = world()
        .await
        .postgres()
        .execute("LOAD 'passwordcheck'")
        .await;
    if has_it.is_err() {
        return;
    }
    let letters = [
        ("PASSWORD_HASHING", "server"),
        ("EXCLUDE_NUMBERS", "true"),
        ("EXCLUDE_PUNCTUATION", "true"),
        ("REQUIRE_EACH_INCLUDED_TYPE", "false"),
    ];
    let settings = Settings {
        conf: "shared_preload_libraries = 'passwordcheck'".to_owned(),
        ..Settings::default()
    };
    let world = start(options_with(&letters).own_postgres(settings)).await;
    for secret in [world.single_user(), world.alternating_users()] {
        stage_up_to(&world, secret, "setSecret").await;
        let error = fails(&world, secret, "setSecret").await;
        let said = "password must contain both letters and nonletters";
        assert_error(&error, "DatabaseRefused", said);
    }
}

/// VERIFY_SQL needs one more connection, which may exceed the role's limit.
#[tokio::test]
async fn a_user_with_one_connection_rotates_where_there_is_verify_sql() {
    let world = start(options_with(&[("VERIFY_SQL", "SELECT 1")])).await;
    for (secret, role) in [
        (world.single_user(), world.role()),
        (world.alternating_users(), world.alternating_role()),
    ] {
        execute(&world, &format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
        for _ in 0..2 {
            let rotation = rotate(&world, secret).await;
            assert!(
                rotation.succeeded && rotation.attempts.len() == 1,
                "{secret}: {rotation:?}"
            );
        }
    }
}
