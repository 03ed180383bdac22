//! A database may have another encoding than the administrator's, and roles, databases and their settings are of the whole server.

use super::*;

/// Runs this as the application, in a database without an encoding. `?` is a byte that is no text in UTF-8, `$` the base role.
async fn runs(world: &World, statement: &str) {
    let mut document = current(world, world.alternating_users()).await;
    document["dbname"] = "own".into();
    let client = log_in(world, &document).await.unwrap();
    let statement = statement.replace('$', world.alternating_role());
    let run = format!("DO $$BEGIN EXECUTE replace($s${statement}$s$, '?', E'\\xe9'); END$$");
    // a notice may quote the statement; the clone acts as the base, but only it may alter itself
    let itself = statement.contains("session_user");
    let role = if itself {
        "none"
    } else {
        world.alternating_role()
    };
    let as_it_is = format!("SET client_encoding = sql_ascii; SET role = {role}; {run}");
    client.batch_execute(&as_it_is).await.unwrap();
}

#[tokio::test]
async fn text_that_is_not_utf_8_does_not_prevent_a_rotation() {
    let world = start(options().own_postgres(local::postgres::Settings::default())).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    for database in ["own", "other"] {
        let create = format!(
            "CREATE DATABASE {database} OWNER {base} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        execute(&world, &create).await;
    }
    execute(&world, &format!("ALTER ROLE {base} CREATEDB CREATEROLE")).await;
    assert!(rotate(&world, secret).await.succeeded);
    let document = current(&world, secret).await;
    let database = document["dbname"].as_str().unwrap();
    let timezone = format!("ALTER ROLE $ IN DATABASE {database} SET timezone = '<?>0'");
    for statement in [
        timezone.as_str(),
        "ALTER ROLE $ SET search_path = '?'",
        "ALTER ROLE session_user SET default_tablespace = '?'",
        "ALTER DATABASE own SET role = '?'",
        "CREATE ROLE \"?\" ROLE $_clone",
        "ALTER DATABASE other RENAME TO \"?\"",
        "ALTER ROLE $ IN DATABASE \"?\" SET work_mem = '5MB'",
        "ALTER ROLE $ SET role = '?'",
        "ALTER ROLE session_user SET role = '?'",
    ] {
        runs(&world, statement).await;
        for _ in 0..2 {
            let rotation = rotate(&world, secret).await;
            if !rotation.succeeded {
                let why = rotation.attempts[0].steps.last().unwrap();
                panic!("{statement}: {:?}", why.invoked.outcome);
            }
            // a login reports these settings, the second from PostgreSQL 18 on; the driver of this test would refuse them
            for of in [
                format!("IN DATABASE {database} RESET timezone"),
                "RESET search_path".to_owned(),
            ] {
                execute(&world, &format!("ALTER ROLE {base} {of}")).await;
            }
            let new = log_in(&world, &current(&world, secret).await).await;
            new.unwrap_or_else(|error| panic!("locked out with {statement}: {error}"));
        }
    }
}

/// The transaction has altered the role to revoke, and its name is no text.
#[tokio::test]
async fn a_prepared_transaction_whose_name_is_not_utf_8_is_reported() {
    let mut options = common::with_prepared_transactions();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = start(options).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let create = format!(
        "CREATE DATABASE own OWNER {base} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    execute(&world, &create).await;
    let mut document = current(&world, secret).await;
    document["dbname"] = "own".into();
    let old = log_in(&world, &document).await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    let prepare =
        format!("BEGIN; ALTER ROLE {base} PASSWORD 'mine'; PREPARE TRANSACTION E'mine \\xe9'");
    old.batch_execute(&prepare).await.unwrap();
    let error = revoke(&world, secret).await.unwrap_err();
    assert_error(&error, "RoleLocked", "ROLLBACK PREPARED 'mine");
}
