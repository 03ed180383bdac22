//! What the catalogs say of the roles, and what else knows their password.

use std::process::Stdio;

use super::*;

/// Runs as the superuser in the secrets' database.
async fn in_the_database(world: &World, sql: &str) {
    let password = world.postgres().superuser_password().expose_secret();
    let client = world
        .postgres()
        .connect(Postgres::SUPERUSER, password, world.dbname());
    client.await.unwrap().batch_execute(sql).await.unwrap();
}

/// Each line that is printed for a check, run as it stands.
async fn follow_all(world: &World, said: &Said, check: &str) {
    let commands = said.commands(check);
    assert!(!commands.is_empty(), "{}", said.stdout);
    for command in commands {
        follow(world, &command, "").await;
    }
}

#[tokio::test]
async fn a_current_user_that_will_be_locked_out_is_reported_with_the_statement_that_prevents_it() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    let base = world.alternating_role();
    execute(&world, &format!("ALTER ROLE {base} VALID UNTIL 'tomorrow'")).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["roles"]);
    follow_all(&world, &said, "roles").await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn an_obstacle_for_setsecret_is_reported_before_a_rotation_begins() {
    let world = world(options()).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let admin = administrator(&world);
    let sql = format!("CREATE ROLE {base}_clone; GRANT {base}_clone TO {admin} WITH ADMIN OPTION");
    execute(&world, &sql).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("roles", "is no member of");
    follow_all(&world, &said, "roles").await;
    assert_mended(&world, secret).await;
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_warns(&[]);

    execute(
        &world,
        &format!("ALTER ROLE {} VALID UNTIL 'tomorrow'", world.role()),
    )
    .await;
    let secret = world.single_user();
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("roles", "VALID UNTIL");
    follow_all(&world, &said, "roles").await;
    assert_mended(&world, secret).await;
}

/// The administrator that granted the membership is replaced, and its grant goes.
#[tokio::test]
async fn a_current_clone_without_its_membership_is_reported() {
    let world = world(options()).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    rotated(&world, secret).await;
    let admin = administrator(&world);
    let revoke = format!("REVOKE {base} FROM {base}_clone GRANTED BY {admin}");
    execute(&world, &revoke).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("roles", "does not act as the role that its settings name");
    execute(&world, &format!("GRANT {base} TO {base}_clone")).await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn an_error_of_verify_sql_is_reported_before_a_rotation_begins() {
    let world = world(options_with(&[("VERIFY_SQL", "SELECT FROM stock")])).await;
    doctor(&world, &[world.alternating_users()], "")
        .await
        .assert_ok();
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_only_wrong("roles", "permission denied for table stock");
}

#[tokio::test]
async fn copies_of_the_password_within_the_server_are_reported() {
    let world = world(options()).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let sql = format!(
        "CREATE FOREIGN DATA WRAPPER loopback; CREATE SERVER warehouse FOREIGN DATA WRAPPER loopback; \
         GRANT USAGE ON FOREIGN SERVER warehouse TO {base}; \
         CREATE USER MAPPING FOR {base} SERVER warehouse OPTIONS (user '{base}', password 'a copy')"
    );
    in_the_database(&world, &sql).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["roles"]);
    assert!(
        said.stdout.contains("warehouse") && !said.stdout.contains("a copy"),
        "{}",
        said.stdout
    );
}

/// Who replicates has the password too, somewhere else.
#[tokio::test]
async fn a_connection_that_replicates_as_the_user_is_reported() {
    let world = world(options()).await;
    let (secret, user) = (world.single_user(), world.role());
    execute(&world, &format!("ALTER ROLE {user} REPLICATION")).await;
    let password = common::password(&world, secret, "AWSCURRENT").await;
    let postgres = world.postgres();
    let (host, port, dbname) = (postgres.host(), postgres.port(), world.dbname());
    let replicates = format!(
        "host={host} port={port} user={user} dbname={dbname} replication=database application_name=subscriber sslmode=disable"
    );
    // it stays as long as its stdin is open
    let mut subscriber = Command::new("psql")
        .args(["--no-psqlrc", &replicates])
        .env("PGPASSWORD", password)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let superuser = postgres.superuser_client().await.unwrap();
    let question =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND usename = $1";
    let replicating = async || {
        superuser
            .query_one(question, &[&user])
            .await
            .unwrap()
            .get::<_, i64>(0)
    };
    let begun = async { while replicating().await == 0 {} };
    timeout(Duration::from_secs(60), begun).await.unwrap();
    // before PostgreSQL 16 the attribute itself stands in a rotation's way
    execute(&world, &format!("ALTER ROLE {user} NOREPLICATION")).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["roles"]);
    let what = format!("a connection that replicates (subscriber) uses {user}");
    assert!(said.stdout.contains(&what), "{}", said.stdout);
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[tokio::test]
async fn a_superuser_is_a_warning() {
    let world = world(options()).await;
    let (secret, role) = (world.single_user(), world.role());
    execute(&world, &format!("ALTER ROLE {role} SUPERUSER")).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["roles"]);
    let what = format!("{role} is a superuser: anyone who reads its secret has the whole server");
    assert!(said.stdout.contains(&what), "{}", said.stdout);
}

#[tokio::test]
async fn policies_and_defaults_that_use_session_user_are_reported_for_two_users() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    let sql = "CREATE TABLE audit (who text DEFAULT session_user); CREATE POLICY own ON audit USING (who = session_user)";
    in_the_database(&world, sql).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["roles"]);
    assert!(
        said.stdout.contains("the policy own of public.audit") && said.stdout.contains("audit.who"),
        "{}",
        said.stdout
    );
    doctor(&world, &[world.single_user()], "")
        .await
        .assert_warns(&[]);
}

#[tokio::test]
async fn an_expired_password_is_distinguished_from_a_wrong_one() {
    let world = world(options()).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    rotated(&world, secret).await;
    rotated(&world, secret).await;
    // AWSPREVIOUS logs in, and may read it
    execute(
        &world,
        &format!("ALTER ROLE {base} VALID UNTIL 'yesterday'"),
    )
    .await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("AWSCURRENT", "it has ended (VALID UNTIL)");
    let rotate = &said.commands("AWSCURRENT")[0];
    follow_rotation(&world, secret, rotate).await;
    doctor(&world, &[secret], "").await.assert_ok();
}

/// Someone stored a wrong password twice: the version that logs in no longer has a label.
#[tokio::test]
async fn a_good_password_in_a_version_without_a_label_is_found() {
    let world = world(options()).await;
    let secret = world.single_user();
    for wrong in ["a wrong one", "another wrong one"] {
        store(&world, secret, "password", wrong.into()).await;
    }
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("AWSCURRENT", "28P01");
    follow_all(&world, &said, "AWSCURRENT").await;
    assert_mended(&world, secret).await;
}

/// The session that proves the server is all that it may have.
#[tokio::test]
async fn a_user_with_one_connection_is_examined() {
    let world = world(options()).await;
    for (secret, role) in [
        (world.single_user(), world.role()),
        (world.alternating_users(), world.alternating_role()),
    ] {
        execute(&world, &format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
        doctor(&world, &[secret], "").await.assert_ok();
    }
}

/// A subscription of another user with a similar name does not belong to this user.
#[tokio::test]
async fn subscriptions_are_searched_for_a_user_of_any_name() {
    let world = world(options()).await;
    let (secret, admin) = (world.alternating_users(), administrator(&world));
    let name = format!("{} (a+b", world.alternating_role());
    let sql = format!(
        "CREATE ROLE \"{name}\" LOGIN PASSWORD 'first'; GRANT \"{name}\" TO {admin} WITH ADMIN OPTION"
    );
    execute(&world, &sql).await;
    let may = format!("GRANT SELECT ON pg_subscription TO {admin}");
    in_the_database(&world, &may).await;
    let mut document = document(&world, secret, "AWSCURRENT").await;
    document["username"] = name.as_str().into();
    document["password"] = "first".into();
    common::put(&world, secret, &document).await;
    for (as_user, told) in [(name.clone(), true), (format!("{name}-2"), false)] {
        let subscription = format!(
            "CREATE SUBSCRIPTION sub CONNECTION 'host=x user=''{as_user}'' password=a-copy' PUBLICATION p \
             WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false)"
        );
        in_the_database(&world, &subscription).await;
        let said = doctor(&world, &[secret], "").await;
        assert_eq!(
            said.stdout.contains("the subscription sub"),
            told,
            "{}",
            said.stdout
        );
        assert!(!said.stdout.contains("a-copy"), "{}", said.stdout);
        in_the_database(&world, "DROP SUBSCRIPTION sub").await;
    }
}

#[tokio::test]
async fn a_column_with_a_name_like_session_user_is_not_reported() {
    let world = world(options()).await;
    let sql = "CREATE TABLE audit (last_session_user text DEFAULT 'x'); CREATE POLICY own ON audit USING (last_session_user = current_user)";
    in_the_database(&world, sql).await;
    let said = doctor(&world, &[world.alternating_users()], "").await;
    said.assert_warns(&[]);
}
