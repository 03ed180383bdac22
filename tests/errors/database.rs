//! The database: its host, its TLS, its answers.

use super::*;

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_not_a_rejected_password() {
    let world = world().await;
    // bound but not listening: nobody else can take the port meanwhile
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let secret = created(&world, "port", json!(port)).await;
    for step in ["setSecret", "testSecret"] {
        assert_fails(
            &world,
            secret,
            step,
            "DatabaseUnreachable",
            "security groups",
        )
        .await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_ends_in_a_timeout_well_before_lambdas() {
    let mut options = common::options();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = World::start(options).await.unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = created(&world, "port", json!(silent.local_addr().unwrap().port())).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "DatabaseTimedOut",
        "no answer within 0.5 s",
    )
    .await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_the_secret_says_so() {
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = World::start(common::options().own_postgres(settings))
        .await
        .unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    assert_fails(&world, secret, "setSecret", "TlsRefused", "\"ssl\": false").await;

    let plain = "demo/plain";
    staged_secret(
        &world,
        plain,
        &document_with(&world, "ssl", json!(false)).await,
    )
    .await;
    for step in common::STEPS {
        outcome(&world, plain, step).await;
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let settings = Settings {
        certificate_hosts: vec!["elsewhere.example".to_owned()],
        ..Settings::default()
    };
    let world = World::start(common::options().own_postgres(settings))
        .await
        .unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    for step in ["setSecret", "testSecret"] {
        assert_fails(
            &world,
            secret,
            step,
            "CertificateInvalid",
            "elsewhere.example",
        )
        .await;
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_is_refused() {
    let world = World::start(common::options().without_ca_file())
        .await
        .unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "CertificateInvalid",
        "TLS_CA_FILE",
    )
    .await;
}

#[tokio::test]
async fn a_ca_file_that_is_not_there_is_told_by_its_path() {
    let mut options = common::options();
    options
        .function_env
        .push(("TLS_CA_FILE".to_owned(), "/nowhere/ca.pem".to_owned()));
    let world = World::start(options).await.unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "TlsRootsUnreadable",
        "/nowhere/ca.pem",
    )
    .await;
}

#[tokio::test]
async fn when_no_version_logs_in_the_password_was_changed_by_hand() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    world
        .postgres()
        .execute(&format!(
            "ALTER ROLE \"{}\" PASSWORD 'by hand'",
            world.role()
        ))
        .await
        .unwrap();
    assert_fails(
        &world,
        secret,
        "setSecret",
        "NoVersionLogsIn",
        "a role's with ALTER ROLE",
    )
    .await;
    assert_fails(
        &world,
        secret,
        "testSecret",
        "PendingRejected",
        "AWSCURRENT is untouched",
    )
    .await;
}

#[tokio::test]
async fn a_role_without_login_is_not_taken_for_a_wrong_password() {
    let world = world().await;
    let secret = created(&world, "host", json!("localhost")).await;
    world
        .postgres()
        .execute(&format!("ALTER ROLE \"{}\" NOLOGIN", world.role()))
        .await
        .unwrap();
    assert_fails(
        &world,
        secret,
        "setSecret",
        "LoginForbidden",
        "give the role LOGIN",
    )
    .await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_told_with_the_servers_words() {
    let world = world().await;
    let secret = created(&world, "dbname", json!("nowhere")).await;
    assert_fails(&world, secret, "setSecret", "DatabaseRefused", "3D000").await;
}

#[tokio::test]
async fn a_standby_takes_no_change() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = World::start(common::options().on_postgres(primary))
        .await
        .unwrap();
    standby.catch_up_with(world.postgres()).await.unwrap();
    let secret = created(&world, "port", json!(standby.port())).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "DatabaseIsStandby",
        "writer's address",
    )
    .await;
}

#[tokio::test]
async fn a_pending_version_that_names_another_server_is_sent_nothing() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    let forged = document_with(&world, "host", json!("attacker.example")).await;
    let input = json!({
        "SecretId": secret, "ClientRequestToken": TOKEN, "SecretString": forged, "VersionStages": ["AWSPENDING"]
    });
    world
        .secrets_manager()
        .call("PutSecretValue", input)
        .await
        .unwrap();
    for step in ["createSecret", "setSecret"] {
        assert_fails(&world, secret, step, "AnotherServer", "another host").await;
    }
}

#[tokio::test]
async fn a_change_that_waits_for_a_lock_ends_in_a_timeout_and_does_not_happen_later() {
    let mut options = common::options();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = World::start(options).await.unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    let holder = world.postgres().superuser_client().await.unwrap();
    let sql = format!("BEGIN; ALTER ROLE \"{}\" CONNECTION LIMIT 50", world.role());
    holder.batch_execute(&sql).await.unwrap();
    assert_fails(
        &world,
        secret,
        "setSecret",
        "DatabaseTimedOut",
        "no answer within 0.5 s",
    )
    .await;

    // the server has given the statement up too: with the lock gone, nothing comes of it
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'";
    while holder
        .query_one(waiting, &[&world.role()])
        .await
        .unwrap()
        .get::<_, i64>(0)
        > 0
    {
        tokio::task::yield_now().await;
    }
    let before = snapshot(&world, secret).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(snapshot(&world, secret).await, before);
}
