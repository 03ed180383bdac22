//! The settings of the base role that the clone gets, and those that it does not get.

use super::*;

/// PostgREST and Supabase keep settings like this; only a superuser may set such a parameter for another role.
#[tokio::test]
async fn a_parameter_that_the_administrator_may_not_set_is_named_with_the_grant() {
    for (name, value) in [("app.tenant", "seven"), ("log_statement", "mod")] {
        let world = world().await;
        let base = world.alternating_role();
        execute(&world, &format!("ALTER ROLE {base} SET {name} = '{value}'")).await;
        let rotation = turn(&world).await;
        let said = warnings(&rotation, "NotCopied");
        assert!(
            said[0].contains(name) && !said[0].contains(value),
            "{said:?}"
        );
        assert_eq!(settings(&world, &clone(&world)).await, "");
        if release(&world).await < 15 {
            continue;
        }
        execute(&world, &cure(&said[0])).await;
        turn(&world).await;
        assert!(warnings(&turn(&world).await, "NotCopied").is_empty());
        assert_eq!(
            settings(&world, &clone(&world)).await,
            format!("{name}={value}")
        );
    }
}

#[tokio::test]
async fn an_attribute_that_the_clone_does_not_get_is_named_with_the_statement_that_gives_it() {
    for attribute in ["BYPASSRLS", "REPLICATION"] {
        let world = world().await;
        let base = world.alternating_role();
        execute(&world, &format!("ALTER ROLE {base} {attribute}")).await;
        if attribute == "REPLICATION" && release(&world).await < 16 {
            continue;
        }
        is_cured_as_it_says(&world, "NotCopied").await;
    }
}

/// Before PostgreSQL 16, only a superuser may alter a role with REPLICATION: the function sees that before any change.
#[tokio::test]
async fn a_role_that_only_a_superuser_alters_is_an_obstacle_whose_cure_works() {
    for (attribute, kind) in [
        ("REPLICATION", "RoleHasReplication"),
        ("SUPERUSER", "RoleIsSuperuser"),
    ] {
        let world = world().await;
        if attribute == "REPLICATION" && release(&world).await >= 16 {
            continue;
        }
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        execute(&world, &format!("ALTER ROLE {base} {attribute}")).await;
        stage_up_to(&world, secret, "setSecret").await;
        let error = fails(&world, secret, "setSecret").await;
        assert_eq!(error.error_type, kind, "{error}");
        execute(&world, &cure(&error.error_message)).await;
        outcome(&world, secret, "setSecret").await;
    }
}

/// A rotation of a superuser goes on, because a leaked password of a superuser is worse; it warns.
#[tokio::test]
async fn a_superuser_that_can_be_rotated_is_a_warning() {
    let world = world().await;
    let (single, pair) = (world.single_user(), world.alternating_users());
    let (role, base) = (world.role(), world.alternating_role());
    let sql = format!(
        "ALTER ROLE {role} SUPERUSER; ALTER ROLE {base} SUPERUSER; ALTER ROLE {} SUPERUSER",
        administrator(&world)
    );
    execute(&world, &sql).await;
    for (secret, user) in [(single, role), (pair, base)] {
        let said = warnings(&rotate(&world, secret).await, "RoleIsSuperuser");
        assert!(
            said[0].contains(&format!("{user} is a superuser: anyone who reads")),
            "{said:?}"
        );
        execute(&world, &cure(&said[0])).await;
        let said = warnings(&rotate(&world, secret).await, "RoleIsSuperuser");
        assert!(said.is_empty(), "{said:?}");
    }
}

#[tokio::test]
async fn a_single_user_that_replicates_is_an_obstacle_only_where_it_may_not_alter_itself() {
    let world = world().await;
    let secret = world.single_user();
    execute(&world, &format!("ALTER ROLE {} REPLICATION", world.role())).await;
    stage_up_to(&world, secret, "setSecret").await;
    if release(&world).await >= 16 {
        outcome(&world, secret, "setSecret").await;
        return;
    }
    let error = fails(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "RoleHasReplication", "{error}");
    execute(&world, &cure(&error.error_message)).await;
    outcome(&world, secret, "setSecret").await;
}

/// All parameters that any role may set for itself, in one rotation, with the values as the catalogs keep them.
#[tokio::test]
async fn every_setting_that_a_role_may_have_reaches_the_clone_as_it_is() {
    let world = world().await;
    let base = world.alternating_role();
    let sql = format!(
        "DO $$ DECLARE s record; BEGIN FOR s IN SELECT name, current_setting(name) AS value FROM pg_settings WHERE context = 'user' AND name NOT LIKE '%.%' \
         AND name NOT IN ('role', 'session_authorization', 'seed', 'transaction_isolation', 'transaction_read_only', \
                          'transaction_deferrable', 'search_path', 'local_preload_libraries') LOOP \
         BEGIN EXECUTE format('ALTER ROLE {base} SET %I TO %L', s.name, s.value); EXCEPTION WHEN OTHERS THEN NULL; END; \
         END LOOP; END $$; ALTER ROLE {base} SET search_path TO \"$user\", public, \"a, b\", \"c\"\"d\", 'it''s'"
    );
    execute(&world, &sql).await;
    let of_the_base = settings(&world, base).await;
    assert!(of_the_base.len() > 1000, "{of_the_base}");
    for _ in 0..3 {
        let rotation = turn(&world).await;
        let said = warnings(&rotation, "NotCopied");
        assert!(said.is_empty(), "{said:?}");
    }
    assert_eq!(settings(&world, &clone(&world)).await, of_the_base);
}

/// Settings that people use: each turn of each user does the same, without a warning.
#[tokio::test]
async fn ordinary_ways_to_keep_roles_are_the_same_for_both_users_without_a_warning() {
    for (made, done) in [
        (
            "ALTER ROLE admin SUPERUSER; ALTER ROLE base SET log_statement = 'mod'",
            "SHOW log_statement",
        ),
        (
            "ALTER ROLE base NOINHERIT; CREATE ROLE group_x; GRANT group_x TO base; CREATE TABLE t (); ALTER TABLE t OWNER TO group_x",
            "SET ROLE group_x; SELECT FROM t; RESET ROLE",
        ),
        (
            "ALTER ROLE base CREATEDB CREATEROLE",
            "CREATE ROLE made_x; DROP ROLE made_x",
        ),
        (
            "CREATE TABLE t AS SELECT 1 AS id; ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO base; \
          CREATE POLICY p ON t TO base USING (true)",
            "SELECT 1 / count(*) FROM t",
        ),
        (
            "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; \
          CREATE EVENT TRIGGER e_x ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION f()",
            "SELECT 1",
        ),
        (
            "REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO base, admin, orders",
            "SELECT 1",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE base GRANT SELECT ON TABLES TO orders; ALTER ROLE base VALID UNTIL 'infinity'",
            "CREATE TABLE made (); DROP TABLE made",
        ),
        (
            "ALTER TABLE stock OWNER TO base; ALTER ROLE base CONNECTION LIMIT 2",
            "ALTER TABLE stock ADD x int; ALTER TABLE stock DROP x",
        ),
        (
            "CREATE ROLE owner_x; GRANT owner_x TO base; ALTER ROLE base IN DATABASE shop SET role TO owner_x; ALTER TABLE stock OWNER TO owner_x",
            "ALTER TABLE stock ADD x int; ALTER TABLE stock DROP x",
        ),
    ] {
        let world = world().await;
        let (base, admin) = (world.alternating_role(), administrator(&world));
        let named = |sql: &str| {
            sql.replace("orders", world.role())
                .replace("_x", &format!("_x_{base}"))
                .replace("ROLE base", &format!("ROLE {base}"))
                .replace("TO base", &format!("TO {base}"))
                .replace("ROLE admin", &format!("ROLE {admin}"))
                .replace(", admin", &format!(", {admin}"))
                .replace("shop", world.dbname())
        };
        let database = in_the_database(&world).await;
        database.batch_execute(&named(made)).await.unwrap();
        for _ in 0..3 {
            let rotation = turn(&world).await;
            let does = session(&world).await;
            does.batch_execute(&named(done))
                .await
                .unwrap_or_else(|error| panic!("{made}: {error:?}"));
            for kind in [
                "NotCopied",
                "NotReset",
                "CloneHasOwn",
                "ActingForbidden",
                "LoginRestored",
                "VerifyUntried",
            ] {
                let said = warnings(&rotation, kind);
                assert!(said.is_empty(), "{made}: {said:?}");
            }
        }
    }
}
