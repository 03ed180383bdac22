//! The administrator: guards, rights, and its session.

use super::*;

#[tokio::test]
async fn the_administrators_session_ends_with_the_rotation_or_else_by_the_servers_time_limit() {
    let world = warm_world().await;
    let secret = world.alternating_users();
    let administrators = format!(
        "FROM pg_stat_activity WHERE usename = '{}'",
        administrator(&world)
    );
    let open = format!("SELECT count(*) {administrators}");
    assert!(rotate(&world, secret).await.succeeded);
    while ask::<i64>(&world, &open).await > 0 {}

    stage_up_to(&world, secret, "testSecret").await;
    assert_eq!(ask::<i64>(&world, &open).await, 1, "kept for finishSecret");
    let last: String = ask(&world, &format!("SELECT query {administrators}")).await;
    let ends = last.contains("idle_session_timeout");
    assert!(ends, "the server's own end: {last}");
}

#[tokio::test]
async fn a_kept_session_that_was_closed_is_replaced_by_a_login() {
    let world = warm_world().await;
    let secret = world.alternating_users();
    stage_up_to(&world, secret, "finishSecret").await;
    let close = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{}'",
        administrator(&world)
    );
    assert_eq!(ask::<i64>(&world, &close).await, 1);
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
    assert!(
        seconds_left(&world, world.alternating_role())
            .await
            .is_some()
    );
}

#[tokio::test]
async fn an_administrators_secret_that_rds_manages_holds_a_user_and_a_password_only() {
    let world = world().await;
    let document = common::current(&world, world.admin()).await;
    let managed = json!({ "username": document["username"], "password": document["password"] });
    put(&world, world.admin(), managed).await;
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
}

/// createSecret succeeds, and setSecret fails with this error.
async fn assert_set_fails(world: &World, error_type: &str, advice: &str) {
    let secret = world.alternating_users();
    stage_up_to(world, secret, "setSecret").await;
    let error = fails(world, secret, "setSecret").await;
    assert_error(&error, error_type, advice);
    session(world).await;
}

#[tokio::test]
async fn an_administrator_without_createrole_is_an_error_that_names_the_grant() {
    let world = world().await;
    let admin = administrator(&world);
    execute(&world, &format!("ALTER ROLE {admin} NOCREATEROLE")).await;
    let cure = format!("run ALTER ROLE \"{admin}\" CREATEROLE");
    assert_set_fails(&world, "AdministratorForbidden", &cure).await;
}

#[tokio::test]
async fn an_administrators_wrong_password_is_distinguished_from_the_secrets_wrong_password() {
    let world = world().await;
    let admin = administrator(&world);
    execute(&world, &format!("ALTER ROLE {admin} PASSWORD 'by hand'")).await;
    assert_set_fails(&world, "AdministratorRejected", "\"masterarn\"").await;
}

#[tokio::test]
async fn an_administrator_of_another_cluster_changes_nothing() {
    let world = world().await;
    let other = Postgres::start(Settings::default()).await.unwrap();
    let admin = administrator(&world);
    for sql in [
        format!("CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD 'other'"),
        format!("CREATE DATABASE {}", world.dbname()),
    ] {
        other.execute(&sql).await.unwrap();
    }
    let elsewhere = json!({
        "username": admin, "password": "other", "host": "localhost", "port": other.port(), "ssl": false
    });
    put(&world, world.admin(), elsewhere).await;
    let advice = "correct the host of either secret";
    assert_set_fails(&world, "AnotherInstance", advice).await;
}

#[tokio::test]
async fn an_absent_master_secret_is_reported_by_its_name() {
    let world = world().await;
    let mut current = current_document(&world).await;
    current["masterarn"] = "demo/no-such-secret".into();
    put(&world, world.alternating_users(), current).await;
    assert_set_fails(&world, "AdministratorNotFound", "demo/no-such-secret").await;
}

#[tokio::test]
async fn the_administrator_is_not_asked_before_a_credential_of_the_secret_has_logged_in() {
    let world = world().await;
    let base = world.alternating_role();
    execute(&world, &format!("ALTER ROLE {base} PASSWORD 'by hand'")).await;
    let secret = world.alternating_users();
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "NoVersionLogsIn", "{error}");
    let admin = world.postgres().logins(&administrator(&world)).unwrap();
    assert_eq!(admin.accepted + admin.rejected, 0);
}

#[tokio::test]
async fn a_pending_version_for_a_third_user_changes_nothing() {
    let world = world().await;
    let secret = world.alternating_users();
    stage(&world, secret);
    let mut forged = current_document(&world).await;
    forged["username"] = world.role().into();
    put_pending(&world, secret, forged).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "AnotherUser", "_clone's turn");
}
