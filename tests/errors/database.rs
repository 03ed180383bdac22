//! The database: its host, its TLS, its answers.

use local::world::Options;

use super::*;

/// A login gets a fifth of the time that is left without the reserve: between 1 s and 2 s, on a busy machine too.
fn with_little_time() -> Options {
    let mut options = options();
    options.function_timeout = std::time::Duration::from_secs(10);
    options
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_not_a_rejected_password() {
    let world = world().await;
    let (_held, port) = common::closed_port();
    let secret = created(&world, "port", json!(port)).await;
    for step in ["setSecret", "testSecret"] {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "DatabaseUnreachable", "security groups");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_ends_in_a_timeout_well_before_lambdas() {
    let world = start(with_little_time()).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = created(&world, "port", json!(silent.local_addr().unwrap().port())).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "DatabaseTimedOut", "no answer within 1.");
    // a server that lets no client in is more frequent than a busy one
    let first = error.error_message.split(": ").last().unwrap();
    assert!(first.starts_with("check that security groups"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_the_secret_says_so() {
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = start(options().own_postgres(settings)).await;
    let secret = created(&world, "host", json!("localhost")).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "TlsRefused", "\"ssl\": false");

    let plain = "demo/plain";
    let document = document_with(&world, "ssl", json!(false)).await;
    staged_secret(&world, plain, &document).await;
    all_steps(&world, plain).await;
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let settings = Settings {
        certificate_hosts: vec!["elsewhere.example".to_owned()],
        ..Settings::default()
    };
    let world = start(options().own_postgres(settings)).await;
    let secret = created(&world, "host", json!("localhost")).await;
    for step in ["setSecret", "testSecret"] {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "CertificateInvalid", "elsewhere.example");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_is_refused() {
    let world = start(options().without_ca_file()).await;
    let secret = created(&world, "host", json!("localhost")).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "CertificateInvalid", "TLS_CA_FILE");
}

#[tokio::test]
async fn an_absent_ca_file_is_reported_with_its_path() {
    let world = start(options_with(&[("TLS_CA_FILE", "/nowhere/ca.pem")])).await;
    let secret = created(&world, "host", json!("localhost")).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "TlsRootsUnreadable", "/nowhere/ca.pem");
}

#[tokio::test]
async fn if_no_version_logs_in_the_error_says_that_the_password_was_changed_by_hand() {
    let world = world().await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let role = world.role();
    execute(&world, &format!("ALTER ROLE {role} PASSWORD 'by hand'")).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "NoVersionLogsIn", "a role's with ALTER ROLE");
    let error = fails(&world, secret, "testSecret").await;
    assert_error(&error, "PendingRejected", "AWSCURRENT is untouched");
}

/// Secrets Manager sends finishSecret only after testSecret has succeeded; a person may send it without.
#[tokio::test]
async fn finish_secret_promotes_no_version_that_the_server_rejects() {
    for world in [world().await, warm_world().await] {
        for secret in [world.single_user(), world.alternating_users()] {
            stage_up_to(&world, secret, "setSecret").await;
            let error = fails(&world, secret, "finishSecret").await;
            assert_error(&error, "PendingRejected", "");
            all_steps(&world, secret).await;
        }
    }
}

/// A database without CONNECT, or a trigger that refuses the login, locks the application out as a wrong password does.
#[tokio::test]
async fn finish_secret_promotes_no_version_whose_login_the_server_refuses() {
    for world in [world().await, warm_world().await] {
        let (database, single) = (world.dbname().to_owned(), world.role().to_owned());
        let clone = format!("{}_clone", world.alternating_role());
        for (secret, role) in [
            (world.single_user(), single),
            (world.alternating_users(), clone),
        ] {
            stage_up_to(&world, secret, "testSecret").await;
            let refuse = format!(
                "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC, {role}; ALTER DATABASE {database} OWNER TO CURRENT_USER"
            );
            execute(&world, &refuse).await;
            let error = fails(&world, secret, "finishSecret").await;
            assert_error(&error, "DatabaseRefused", "42501");
            execute(
                &world,
                &format!("GRANT CONNECT ON DATABASE {database} TO PUBLIC"),
            )
            .await;
            all_steps(&world, secret).await;
        }
    }
}

/// Why a password is rejected is a question to the other user, who may have no connection left.
#[tokio::test]
async fn finish_secret_promotes_no_rejected_version_if_nobody_can_say_why() {
    let world = warm_world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    stage_up_to(&world, secret, "testSecret").await;
    let by_hand =
        format!("ALTER ROLE {base}_clone PASSWORD 'by hand'; ALTER ROLE {base} CONNECTION LIMIT 0");
    execute(&world, &by_hand).await;
    for step in ["finishSecret", "testSecret"] {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "PendingRejected", "");
    }
}

/// A lock on a table says nothing about the credential, and testSecret has succeeded elsewhere.
#[tokio::test]
async fn finish_secret_does_not_stop_if_verify_sql_finds_a_lock() {
    let mut options = options_with(&[("VERIFY_SQL", "SELECT id FROM orders")]);
    options.function_timeout = with_little_time().function_timeout;
    let world = start(options).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "finishSecret").await;
    let other = in_the_database(&world).await;
    other
        .batch_execute("BEGIN; LOCK TABLE orders")
        .await
        .unwrap();
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
}

/// Until the promotion no application logs in that uses AWSCURRENT only.
#[tokio::test]
async fn finish_secret_needs_no_server_if_a_single_user_is_rotated() {
    let world = world().await;
    let relay = Relay::to(world.postgres().port()).await;
    let secret = created(&world, "port", json!(relay.port)).await;
    for step in ["setSecret", "testSecret"] {
        outcome(&world, secret, step).await;
    }
    let (_held, closed) = common::closed_port();
    relay.lead_to(closed);
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
}

#[tokio::test]
async fn a_role_without_login_is_not_reported_as_a_wrong_password() {
    let world = world().await;
    let secret = created(&world, "host", json!("localhost")).await;
    execute(&world, &format!("ALTER ROLE {} NOLOGIN", world.role())).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "LoginForbidden", "grant LOGIN to the role");
}

#[tokio::test]
async fn an_absent_database_is_reported_with_the_servers_message() {
    let world = world().await;
    let secret = created(&world, "dbname", json!("nowhere")).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "DatabaseRefused", "3D000");
}

#[tokio::test]
async fn a_standby_is_reported_and_nothing_is_changed() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = start(options().on_postgres(primary)).await;
    standby.catch_up_with(world.postgres()).await.unwrap();
    let secret = created(&world, "port", json!(standby.port())).await;
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "DatabaseIsStandby", "writer's address");
}

#[tokio::test]
async fn nothing_is_sent_to_another_server_that_a_pending_version_names() {
    let world = world().await;
    let secret = world.single_user();
    stage(&world, secret);
    let forged = document_with(&world, "host", json!("attacker.example")).await;
    put_pending(&world, secret, forged).await;
    for step in common::STEPS {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "AnotherServer", "another host");
    }
}

#[tokio::test]
async fn a_change_that_waits_for_a_lock_fails_with_its_holder_and_does_not_happen_later() {
    let world = start(with_little_time()).await;
    let secret = created(&world, "host", json!("localhost")).await;
    let holder = world.postgres().superuser_client().await.unwrap();
    let sql = format!("BEGIN; ALTER ROLE {} CONNECTION LIMIT 50", world.role());
    holder.batch_execute(&sql).await.unwrap();
    let error = fails(&world, secret, "setSecret").await;
    assert_error(&error, "RoleLocked", "pg_terminate_backend");

    // the server has given up the statement too: it has no effect when the lock is free
    let role = world.role();
    let waiting = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = '{role}' AND state <> 'idle'"
    );
    while ask(&world, &waiting).await {}
    let before = snapshot(&world, secret).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(snapshot(&world, secret).await, before);
}
