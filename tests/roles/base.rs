//! What a database's administrator sets on the base role stays, and reaches the clone.

use super::*;

#[tokio::test]
async fn what_is_set_on_the_base_while_the_clone_is_current_stays_and_reaches_the_clone_at_its_turn()
 {
    let world = world().await;
    let base = world.alternating_role();
    turn(&world).await;
    let sql = format!(
        "ALTER ROLE {base} CONNECTION LIMIT 19; ALTER ROLE {base} SET work_mem TO '7MB'; \
         ALTER ROLE {base} IN DATABASE {} SET lock_timeout TO '11s'",
        world.dbname()
    );
    execute(&world, &sql).await;
    turn(&world).await;
    let limit = async |role: &str| {
        let question = format!("SELECT rolconnlimit FROM pg_roles WHERE rolname = '{role}'");
        ask::<i32>(&world, &question).await
    };
    assert_eq!(limit(base).await, 19);
    assert_eq!(
        settings(&world, base).await,
        "lock_timeout=11s work_mem=7MB"
    );
    turn(&world).await;
    assert_eq!(limit(&clone(&world)).await, 19);
    assert_eq!(
        settings(&world, &clone(&world)).await,
        "lock_timeout=11s work_mem=7MB"
    );
}

#[tokio::test]
async fn a_clone_of_awss_function_takes_nothing_from_the_base() {
    let world = world().await;
    let base = world.alternating_role();
    let sql =
        format!("ALTER ROLE {base} SET work_mem TO '7MB'; ALTER ROLE {base} CONNECTION LIMIT 19");
    execute(&world, &sql).await;
    clone_of_awss_in_force(&world).await;
    turn(&world).await;
    assert_eq!(settings(&world, base).await, "work_mem=7MB");
    let limit = format!("SELECT rolconnlimit FROM pg_roles WHERE rolname = '{base}'");
    assert_eq!(ask::<i32>(&world, &limit).await, 19);
}

#[tokio::test]
async fn a_role_that_is_granted_to_the_base_reaches_both_and_one_that_is_revoked_ends_for_both() {
    let world = world().await;
    let base = world.alternating_role();
    let payroll = format!("payroll_{base}");
    let sql = format!(
        "CREATE ROLE {payroll}; GRANT {payroll} TO {base}; CREATE TABLE salaries (id int); ALTER TABLE salaries OWNER TO {payroll}"
    );
    in_the_database(&world)
        .await
        .batch_execute(&sql)
        .await
        .unwrap();
    let reads = async || {
        let session = session(&world).await;
        session.batch_execute("SELECT FROM salaries").await.is_ok()
    };
    turn(&world).await;
    assert!(reads().await, "the clone");
    execute(&world, &format!("REVOKE {payroll} FROM {base}")).await;
    assert!(!reads().await, "the clone, at once");
    for _ in 0..3 {
        turn(&world).await;
        assert!(!reads().await);
    }
}

/// Each way in which the base role may be set to act as a group; each of its sessions does, and so does the clone's.
#[tokio::test]
async fn a_base_that_acts_as_a_role_has_a_clone_that_acts_as_it_too() {
    for set in [
        "ALTER ROLE base SET role TO group",
        "ALTER ROLE base IN DATABASE database SET role TO group",
        "ALTER DATABASE database SET role TO group",
        "ALTER ROLE base SET role TO none; ALTER DATABASE database SET role TO group",
        "ALTER ROLE base IN DATABASE database SET role TO none; ALTER ROLE base SET role TO group",
    ] {
        let world = world().await;
        let base = world.alternating_role();
        let group = format!("group_of_{base}");
        let sql = format!("CREATE ROLE {group}; GRANT {group} TO {base}; {set}");
        let sql = sql.replace("group;", &format!("{group};"));
        let sql = sql
            .replace("TO group", &format!("TO {group}"))
            .replace("group_of_base", &group);
        let sql = sql
            .replace("ROLE base", &format!("ROLE {base}"))
            .replace("DATABASE database", &format!("DATABASE {}", world.dbname()));
        execute(&world, &sql).await;
        let of_the_base = acts_as(&world).await;
        let none = set.contains("none");
        assert_eq!(of_the_base, if none { base } else { &group }, "{set}");
        for turn_of in ["the clone", "the base", "the clone"] {
            turn(&world).await;
            assert_eq!(acts_as(&world).await, of_the_base, "{turn_of}: {set}");
        }
    }
}

/// The server lets a role act as itself that is set to act as one it may not.
#[tokio::test]
async fn a_base_that_is_set_to_act_as_a_role_in_vain_rotates_with_a_warning_whose_cure_holds() {
    let world = world().await;
    let base = world.alternating_role();
    let group = format!("group_of_{base}");
    execute(
        &world,
        &format!("CREATE ROLE {group}; ALTER ROLE {base} SET role TO {group}"),
    )
    .await;
    let rotation = turn(&world).await;
    assert_eq!(acts_as(&world).await, *base);
    let said = warnings(&rotation, "ActsInVain");
    assert!(
        said[0].contains(&format!("GRANT \"{group}\" TO \"{base}\"")),
        "{said:?}"
    );
    turn(&world).await;
    execute(&world, &format!("GRANT {group} TO {base}")).await;
    let rotation = turn(&world).await;
    assert_eq!(acts_as(&world).await, group);
    assert!(warnings(&rotation, "ActsInVain").is_empty());
}

#[tokio::test]
async fn a_clone_with_grants_of_its_own_goes_on_as_itself_until_they_are_the_bases() {
    let world = world().await;
    let (base, clone) = (world.alternating_role().to_owned(), clone(&world));
    clone_of_awss(&world).await;
    let database = in_the_database(&world).await;
    let sql = format!("CREATE TABLE granted (id int); GRANT SELECT ON granted TO {clone}");
    database.batch_execute(&sql).await.unwrap();
    let rotation = turn(&world).await;
    session(&world)
        .await
        .batch_execute("SELECT FROM granted")
        .await
        .unwrap();
    assert_eq!(acts_as(&world).await, clone);
    let said = warnings(&rotation, "CloneHasOwn");
    let grant = format!("GRANT SELECT ON granted TO {base}");
    database.batch_execute(&grant).await.unwrap();
    database.batch_execute(&cure(&said[0])).await.unwrap();
    turn(&world).await;
    let rotation = turn(&world).await;
    assert!(warnings(&rotation, "CloneHasOwn").is_empty());
    assert_eq!(acts_as(&world).await, base);
    session(&world)
        .await
        .batch_execute("SELECT FROM granted")
        .await
        .unwrap();
}

#[tokio::test]
async fn default_privileges_of_a_clone_are_nothing_to_warn_of() {
    let world = world().await;
    clone_of_awss(&world).await;
    let sql = format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT SELECT ON TABLES TO PUBLIC",
        clone(&world)
    );
    in_the_database(&world)
        .await
        .batch_execute(&sql)
        .await
        .unwrap();
    let rotation = turn(&world).await;
    assert!(warnings(&rotation, "CloneHasOwn").is_empty());
    assert_eq!(acts_as(&world).await, *world.alternating_role());
}

#[tokio::test]
async fn a_membership_of_the_clones_own_is_named_with_the_statement_that_ends_it() {
    let world = world().await;
    let base = world.alternating_role();
    turn(&world).await;
    turn(&world).await;
    let sql = format!(
        "CREATE ROLE payroll_{base}; GRANT payroll_{base} TO {base}, {}",
        clone(&world)
    );
    execute(&world, &sql).await;
    let rotation = turn(&world).await;
    let said = warnings(&rotation, "CloneHasOwn");
    execute(&world, &cure(&said[0])).await;
    turn(&world).await;
    assert!(warnings(&turn(&world).await, "CloneHasOwn").is_empty());
}

/// PostgREST's and Supabase's way of keeping things; nobody but a superuser may set such a parameter for another role.
#[tokio::test]
async fn a_parameter_that_the_administrator_may_not_set_is_named_with_the_grant_that_lets_it() {
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
        let rotation = turn(&world).await;
        let said = warnings(&rotation, "NotCopied");
        execute(&world, &cure(&said[0])).await;
        turn(&world).await;
        assert!(warnings(&turn(&world).await, "NotCopied").is_empty());
    }
}

/// Before PostgreSQL 16 nobody but a superuser alters a role that replicates: it is found before anything is changed.
#[tokio::test]
async fn a_role_that_only_a_superuser_alters_is_an_obstacle_whose_cure_holds() {
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

/// From PostgreSQL 16 on a REVOKE takes away what the same grantor has granted, and only warns where that is nobody.
#[tokio::test]
async fn a_membership_of_the_clones_own_is_named_with_the_statement_that_ends_it_whoever_granted_it()
 {
    let world = world().await;
    let (base, admin) = (world.alternating_role(), administrator(&world));
    turn(&world).await;
    turn(&world).await;
    let payroll = format!("payroll_{base}");
    let sql = format!(
        "CREATE ROLE {payroll}; GRANT {payroll} TO {admin} WITH ADMIN OPTION; GRANT {payroll} TO {base}; SET ROLE {admin}; \
         GRANT {payroll} TO {}; RESET ROLE",
        clone(&world)
    );
    execute(&world, &sql).await;
    let rotation = turn(&world).await;
    let said = warnings(&rotation, "CloneHasOwn");
    execute(&world, &cure(&said[0])).await;
    turn(&world).await;
    assert!(warnings(&turn(&world).await, "CloneHasOwn").is_empty());
}

/// Where the role is gone, only the second of the two statements that are printed can be run.
#[tokio::test]
async fn a_role_that_is_acted_as_in_vain_is_named_with_the_statement_that_corrects_it_where_it_is_set()
 {
    for set in [
        "ALTER ROLE base SET role TO nobody",
        "ALTER ROLE base IN DATABASE shop SET role TO nobody",
    ] {
        let world = world().await;
        let base = world.alternating_role();
        let nobody = format!("nobody_{base}");
        execute(&world, &format!("CREATE ROLE {nobody}")).await;
        let set = set
            .replace("base", base)
            .replace("shop", world.dbname())
            .replace("nobody", &nobody);
        execute(&world, &set).await;
        execute(&world, &format!("DROP ROLE {nobody}")).await;
        let said = warnings(&turn(&world).await, "ActsInVain");
        let correct = said[0].rsplit_once("; ").unwrap().1;
        execute(&world, correct).await;
        turn(&world).await;
        let said = warnings(&turn(&world).await, "ActsInVain");
        assert!(said.is_empty(), "{set}: {said:?}");
    }
}

/// Somebody has set it on the clone; whom it says something about is the clone, not the base.
#[tokio::test]
async fn a_setting_of_the_clones_own_that_the_administrator_may_not_reset_is_named_with_the_statement_that_does()
 {
    let world = world().await;
    turn(&world).await;
    turn(&world).await;
    let clone = clone(&world);
    execute(
        &world,
        &format!("ALTER ROLE {clone} SET log_statement = 'mod'"),
    )
    .await;
    let said = warnings(&turn(&world).await, "NotReset");
    execute(&world, &cure(&said[0])).await;
    assert_eq!(settings(&world, &clone).await, "");
}

/// To grant the base that role, as it would be advised, would give one application what is another one's.
#[tokio::test]
async fn a_role_that_all_of_another_database_acts_as_is_nothing_to_warn_of() {
    let (world, other) = (world().await, world().await);
    let theirs = format!("theirs_{}", other.role());
    let sql = format!(
        "CREATE ROLE {theirs}; ALTER DATABASE {} SET role TO {theirs}",
        other.dbname()
    );
    execute(&other, &sql).await;
    let said = warnings(&turn(&world).await, "ActsInVain");
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(acts_as(&world).await, *world.alternating_role());
}

/// All that any role may set for itself, in one rotation, with the values as the catalogs keep them.
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

/// From PostgreSQL 16 on a membership need not let its member act as the role, and a plain GRANT leaves it so.
#[tokio::test]
async fn a_membership_that_does_not_let_the_base_act_so_is_named_with_the_grant_that_does() {
    let world = world().await;
    if release(&world).await < 16 {
        return;
    }
    let base = world.alternating_role();
    let group = format!("group_of_{base}");
    let sql = format!(
        "CREATE ROLE {group}; GRANT {group} TO {base} WITH SET FALSE; ALTER ROLE {base} SET role TO {group}"
    );
    execute(&world, &sql).await;
    let said = warnings(&turn(&world).await, "ActsInVain");
    let grant = cure(&said[0]);
    let grant = grant
        .trim_start_matches("one of ")
        .split(';')
        .next()
        .unwrap();
    execute(&world, grant).await;
    turn(&world).await;
    let said = warnings(&turn(&world).await, "ActsInVain");
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(acts_as(&world).await, group);
}

/// What people have; each turn of each user does the same, and nothing is warned of.
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
                "ActsInVain",
                "LoginRestored",
                "VerifyUntried",
            ] {
                let said = warnings(&rotation, kind);
                assert!(said.is_empty(), "{made}: {said:?}");
            }
        }
    }
}
