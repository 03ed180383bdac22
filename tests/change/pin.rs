//! Owners set parameters for their roles and databases: none of them affects a session that changes a role.

use super::*;

/// The roles that log in, and the database.
fn everywhere(world: &World, set: &str) -> String {
    let base = world.alternating_role();
    let mut sql = format!("ALTER DATABASE {} SET {set};", world.dbname());
    for role in [world.role(), base, &administrator(world)] {
        sql += &format!("ALTER ROLE {role} SET {set};");
        sql += &format!(
            "ALTER ROLE {role} IN DATABASE {} SET {set};",
            world.dbname()
        );
    }
    sql
}

/// Functions and operators that record who runs them, in the first schema of the search path.
const TRAP: &str = "
    CREATE SCHEMA trap;
    GRANT USAGE ON SCHEMA trap TO PUBLIC;
    CREATE TABLE trap.ran (who text);
    GRANT INSERT ON trap.ran TO PUBLIC;
    CREATE FUNCTION trap.note() RETURNS void LANGUAGE sql AS 'INSERT INTO trap.ran VALUES (session_user)';
    CREATE FUNCTION trap.eq(name, name) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.nameeq($1, $2); END';
    CREATE FUNCTION trap.eq(name, text) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.nameeqtext($1, $2); END';
    CREATE FUNCTION trap.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.texteq($1, $2); END';
    CREATE FUNCTION trap.eq(oid, oid) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.oideq($1, $2); END';
    CREATE FUNCTION trap.eq(\"char\", \"char\") RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.chareq($1, $2); END';
    CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = trap.eq);
    CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = text, FUNCTION = trap.eq);
    CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.eq);
    CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.eq);
    CREATE OPERATOR trap.= (LEFTARG = \"char\", RIGHTARG = \"char\", FUNCTION = trap.eq);
    CREATE FUNCTION trap.plus(timestamptz, interval) RETURNS timestamptz LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.timestamptz_pl_interval($1, $2); END';
    CREATE OPERATOR trap.+ (LEFTARG = timestamptz, RIGHTARG = interval, FUNCTION = trap.plus);
    CREATE FUNCTION trap.gt(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.timestamptz_gt($1, $2); END';
    CREATE OPERATOR trap.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = trap.gt);
    CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS
        'BEGIN PERFORM trap.note(); RETURN pg_catalog.now(); END';
";

#[tokio::test]
async fn the_functions_sessions_run_nothing_that_a_role_or_a_database_puts_on_its_search_path() {
    let world = world().await;
    let client = in_the_database(&world).await;
    client.batch_execute(TRAP).await.unwrap();
    execute(
        &world,
        &everywhere(&world, "search_path = trap, pg_catalog"),
    )
    .await;
    both_rotate(&world).await;
    both_rotate(&world).await;
    let secret = world.alternating_users();
    revoke(&world, secret).await.unwrap();

    let ran = "SELECT coalesce(string_agg(DISTINCT who, ', '), 'nobody') FROM trap.ran";
    let ran: String = client.query_one(ran, &[]).await.unwrap().get(0);
    assert_eq!(ran, "nobody");

    // the trap works: the application's own session falls into it
    let application = log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
    application
        .query("SELECT FROM pg_roles WHERE rolname = 'x'::name", &[])
        .await
        .unwrap();
    let ran: i64 = client
        .query_one("SELECT count(*) FROM trap.ran", &[])
        .await
        .unwrap()
        .get(0);
    assert!(ran > 0);
}

#[tokio::test]
async fn the_end_of_a_password_is_right_under_any_date_style_and_time_zone() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "24h")])).await;
    // India's time, and its abbreviation is read as Israel's
    let set = everywhere(&world, "DateStyle = 'SQL, DMY'")
        + &everywhere(&world, "TimeZone = 'Asia/Kolkata'");
    execute(&world, &set).await;
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    let base = world.alternating_role();
    let hours: f64 = ask(
        &world,
        &format!(
            "SELECT (extract(epoch FROM rolvaliduntil - now()) / 3600)::float8 FROM pg_roles WHERE rolname = '{base}'"
        ),
    )
    .await;
    assert!((23.0..=24.0).contains(&hours), "{hours}");
}

#[tokio::test]
async fn no_statement_setting_of_a_role_or_a_database_prevents_a_rotation() {
    for set in [
        "statement_timeout = 1",
        "lock_timeout = 1",
        "idle_in_transaction_session_timeout = 1",
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "standard_conforming_strings = off",
        "synchronous_commit = off",
        "row_security = off",
        "transaction_timeout = 1",
    ] {
        let world = world().await;
        if set.starts_with("transaction_timeout") && common::release(&world).await < 17 {
            continue;
        }
        let base = world.alternating_role();
        // testSecret's session has the application's parameters, so these are set where neither role logs in
        let mut sql = String::new();
        for role in [world.role(), base, &administrator(&world)] {
            sql += &format!("ALTER ROLE {role} SET {set};");
        }
        execute(&world, &sql).await;
        for secret in [world.single_user(), world.alternating_users()] {
            stage_up_to(&world, secret, "testSecret").await;
            make_current(&world, secret, TOKEN).await;
            let outcome = outcome(&world, secret, "finishSecret").await;
            assert_eq!(outcome, "already current", "{set}");
        }
    }
}

#[tokio::test]
async fn a_role_that_acts_as_another_one_by_default_replaces_its_own_password() {
    let world = world().await;
    let role = world.role();
    let group = format!(
        "CREATE ROLE {role}_group; GRANT {role}_group TO {role}; ALTER ROLE {role} SET role = {role}_group"
    );
    execute(&world, &group).await;
    both_rotate(&world).await;
}

#[tokio::test]
async fn an_administrator_keeps_the_rights_that_its_own_role_setting_gives() {
    let world = world().await;
    let (admin, base) = (administrator(&world), world.alternating_role());
    execute(
        &world,
        &format!(
            "CREATE ROLE {admin}_group CREATEROLE; GRANT {admin}_group TO {admin}; GRANT {base} TO {admin}_group WITH ADMIN OPTION;
             GRANT pg_signal_backend TO {admin}_group;
             ALTER ROLE {admin} NOCREATEROLE NOINHERIT; ALTER ROLE {admin} SET role = {admin}_group"
        ),
    )
    .await;
    let secret = world.alternating_users();
    both_rotate(&world).await;
    let open = log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
    both_rotate(&world).await;
    assert_eq!(revoke(&world, secret).await.unwrap()["sessions"], 1);
    drop(open);
}
