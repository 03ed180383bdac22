//! The administrator: guards, rights, and its session.

use super::*;

#[tokio::test]
async fn the_administrators_session_ends_with_the_rotation_and_by_the_server_if_the_rotation_never_ends()
 {
    let world = world().await;
    let secret = world.alternating_users();
    let administrator = format!("admin_of_{}", world.role());
    let open = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{administrator}'");
    assert!(rotate(&world, secret).await.succeeded);
    while ask::<i64>(&world, &open).await > 0 {
        tokio::task::yield_now().await;
    }

    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    outcome(&world, secret, "setSecret").await;
    assert_eq!(ask::<i64>(&world, &open).await, 1, "kept for finishSecret");
    let last = format!("SELECT query FROM pg_stat_activity WHERE usename = '{administrator}'");
    assert!(
        ask::<String>(&world, &last)
            .await
            .contains("idle_session_timeout"),
        "the server's own end"
    );
}

#[tokio::test]
async fn a_session_that_was_kept_and_has_been_closed_is_replaced_by_a_login() {
    let world = world().await;
    let secret = world.alternating_users();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    for step in &STEPS[..3] {
        outcome(&world, secret, step).await;
    }
    let administrator = format!("admin_of_{}", world.role());
    let close = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{administrator}'"
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
    let text = stored(world.secrets_manager(), world.admin(), "AWSCURRENT")
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let managed = json!({ "username": document["username"], "password": document["password"] });
    put(&world, world.admin(), &managed).await;
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
}

/// createSecret went right, and setSecret has to fail in this way.
async fn assert_set_fails(world: &World, error_type: &str, advice: &str) {
    let secret = world.alternating_users();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(world, secret, "createSecret").await;
    let before = common::snapshot(world, secret).await;
    let error = failure(world, secret, "setSecret").await;
    assert_eq!(error.error_type, error_type, "{error}");
    assert!(error.error_message.contains(advice), "{error}");
    assert_eq!(common::snapshot(world, secret).await, before);
    log_in(world, &document(world, "AWSCURRENT").await)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_administrator_without_createrole_is_an_error_that_names_the_grant() {
    let world = world().await;
    let admin = format!("admin_of_{}", world.role());
    world
        .postgres()
        .execute(&format!("ALTER ROLE {admin} NOCREATEROLE"))
        .await
        .unwrap();
    assert_set_fails(
        &world,
        "AdministratorForbidden",
        &format!("run ALTER ROLE \"{admin}\" CREATEROLE; GRANT "),
    )
    .await;
}

#[tokio::test]
async fn an_administrators_wrong_password_is_told_from_a_wrong_password_of_the_secrets() {
    let world = world().await;
    let admin = format!("admin_of_{}", world.role());
    world
        .postgres()
        .execute(&format!("ALTER ROLE {admin} PASSWORD 'by hand'"))
        .await
        .unwrap();
    assert_set_fails(&world, "AdministratorRejected", "\"masterarn\"").await;
}

#[tokio::test]
async fn an_administrator_of_another_cluster_changes_nothing() {
    let world = world().await;
    let other = Postgres::start(Settings::default()).await.unwrap();
    let admin = format!("admin_of_{}", world.role());
    other
        .execute(&format!(
            "CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD 'other'"
        ))
        .await
        .unwrap();
    other
        .execute(&format!("CREATE DATABASE {}", world.dbname()))
        .await
        .unwrap();
    let elsewhere = json!({
        "username": admin, "password": "other", "host": "localhost", "port": other.port(), "ssl": false
    });
    put(&world, world.admin(), &elsewhere).await;
    assert_set_fails(
        &world,
        "AnotherCluster",
        "correct the host of either secret",
    )
    .await;
}

#[tokio::test]
async fn a_masterarn_that_leads_nowhere_is_told_by_its_name() {
    let world = world().await;
    let mut current = document(&world, "AWSCURRENT").await;
    current["masterarn"] = "demo/nobody".into();
    put(&world, world.alternating_users(), &current).await;
    assert_set_fails(&world, "AdministratorNotFound", "demo/nobody").await;
}

#[tokio::test]
async fn the_administrator_is_not_asked_before_a_credential_of_the_secret_has_logged_in() {
    let world = world().await;
    let base = world.alternating_role();
    world
        .postgres()
        .execute(&format!("ALTER ROLE {base} PASSWORD 'by hand'"))
        .await
        .unwrap();
    let secret = world.alternating_users();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "NoVersionLogsIn", "{error}");
    let admin = world
        .postgres()
        .logins(&format!("admin_of_{}", world.role()))
        .unwrap();
    assert_eq!(admin.accepted + admin.rejected, 0);
}

#[tokio::test]
async fn a_pending_version_about_a_third_user_changes_nothing() {
    let world = world().await;
    let secret = world.alternating_users();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    let mut forged = document(&world, "AWSCURRENT").await;
    forged["username"] = world.role().into();
    let input = json!({
        "SecretId": secret, "ClientRequestToken": TOKEN, "SecretString": forged.to_string(),
        "VersionStages": ["AWSPENDING"]
    });
    world
        .secrets_manager()
        .call("PutSecretValue", input)
        .await
        .unwrap();
    let before = common::snapshot(&world, secret).await;
    let error = failure(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "AnotherUser", "{error}");
    assert!(error.error_message.contains("_clone's turn"), "{error}");
    assert_eq!(common::snapshot(&world, secret).await, before);
}

#[tokio::test]
async fn where_the_secret_names_a_standby_the_change_is_made_where_the_administrators_points() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = World::start(common::options().on_postgres(primary))
        .await
        .unwrap();
    standby.catch_up_with(world.postgres()).await.unwrap();
    let mut current = document(&world, "AWSCURRENT").await;
    current["port"] = standby.port().into();
    put(&world, world.alternating_users(), &current).await;

    let rotation = rotate(&world, world.alternating_users()).await;

    assert!(rotation.succeeded, "{rotation:?}");
    let after = document(&world, "AWSCURRENT").await;
    assert_eq!(after["port"], standby.port());
    log_in(&world, &after).await.unwrap();
    assert!(
        seconds_left(&world, world.alternating_role())
            .await
            .is_some()
    );
}
