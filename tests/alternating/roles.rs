//! The other role's objects, memberships and settings.

use super::*;

/// A superuser's session in the applications' database.
async fn superuser(world: &World) -> Client {
    let postgres = world.postgres();
    let password = postgres.superuser_password().expose_secret();
    let login = postgres.connect(Postgres::SUPERUSER, password, world.dbname());
    login.await.unwrap()
}

#[tokio::test]
async fn the_current_user_can_alter_the_objects_of_every_turn() {
    let world = world().await;
    for turn in 0..3 {
        let client = session(&world).await;
        let create = format!("CREATE TABLE turn_{turn} (id int)");
        client.batch_execute(&create).await.unwrap();
        let tables = (0..=turn).map(|turn| format!("turn_{turn}"));
        for table in tables.chain(["stock".to_owned()]) {
            let alter = format!("ALTER TABLE {table} ADD COLUMN of_turn_{turn} int");
            client.batch_execute(&alter).await.unwrap();
        }
        assert!(rotate(&world, world.alternating_users()).await.succeeded);
    }
}

#[tokio::test]
async fn with_an_owner_role_the_objects_of_either_user_belong_to_it() {
    let world = world().await;
    let (base, admin) = (world.alternating_role(), administrator(&world));
    let owner = format!("owner_of_{base}");
    let sql = format!(
        "CREATE ROLE {owner}; GRANT {owner} TO {base}; GRANT {owner} TO {admin} WITH ADMIN OPTION; \
         GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE stock OWNER TO {owner}"
    );
    superuser(&world).await.batch_execute(&sql).await.unwrap();
    let mut current = current_document(&world).await;
    current["ownerrole"] = owner.as_str().into();
    put(&world, world.alternating_users(), current).await;
    for turn in 0..2 {
        assert!(rotate(&world, world.alternating_users()).await.succeeded);
        let client = session(&world).await;
        let create = format!("CREATE TABLE owned_{turn} (id int)");
        client.batch_execute(&create).await.unwrap();
        let sql =
            format!("SELECT tableowner::text FROM pg_tables WHERE tablename = 'owned_{turn}'");
        let table_owner: String = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(table_owner, owner);
    }
}

#[tokio::test]
async fn at_every_rotation_the_other_user_gets_the_current_users_rights() {
    let world = world().await;
    let (base, admin) = (world.alternating_role(), administrator(&world));
    let clone = format!("{base}_clone");
    let settings = format!(
        "SELECT coalesce(string_agg(setting, ' ' ORDER BY setting), '') FROM pg_db_role_setting, unnest(setconfig) setting \
         WHERE setrole = '{clone}'::regrole AND setting NOT LIKE 'role=%'"
    );
    let sql = format!(
        "CREATE ROLE reports_{base}; GRANT reports_{base} TO {base}; GRANT reports_{base} TO {admin} WITH ADMIN OPTION; \
         ALTER ROLE {base} CONNECTION LIMIT 17; ALTER ROLE {base} SET search_path TO \"$user\", public; \
         ALTER ROLE {base} IN DATABASE {} SET work_mem TO '7MB'",
        world.dbname()
    );
    execute(&world, &sql).await;
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    let limit = format!("SELECT rolconnlimit FROM pg_roles WHERE rolname = '{clone}'");
    assert_eq!(ask::<i32>(&world, &limit).await, 17);
    assert_eq!(
        ask::<String>(&world, &settings).await,
        "search_path=\"$user\", public work_mem=7MB"
    );
    let member = format!("SELECT pg_has_role('{clone}', 'reports_{base}', 'MEMBER')");
    assert!(ask::<bool>(&world, &member).await);

    // two turns later the clone gets what has changed in between
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    // minutes, not a millisecond: the limit also applies to the function's own session as this user, which would fail on a busy machine
    let sql = format!(
        "ALTER ROLE {base} RESET search_path; ALTER ROLE {base} SET statement_timeout TO '17min'"
    );
    execute(&world, &sql).await;
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    assert_eq!(
        ask::<String>(&world, &settings).await,
        "statement_timeout=17min work_mem=7MB"
    );
}

#[tokio::test]
async fn a_clone_that_owns_objects_keeps_them_and_the_log_says_what_to_do() {
    let world = world().await;
    let (base, admin) = (world.alternating_role(), administrator(&world));
    let clone = format!("{base}_clone");
    let sql = format!(
        "CREATE ROLE {clone} LOGIN; GRANT {base} TO {clone}; GRANT {clone} TO {admin} WITH ADMIN OPTION; \
         CREATE TABLE of_aws (id int); ALTER TABLE of_aws OWNER TO {clone}"
    );
    superuser(&world).await.batch_execute(&sql).await.unwrap();
    let rotation = rotate(&world, world.alternating_users()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let steps = rotation.attempts[0].steps.iter();
    let log: Vec<&String> = steps.flat_map(|run| &run.invoked.log).collect();
    let warned = |line: &&String| line.contains("REASSIGN OWNED") && line.contains("\"WARN\"");
    assert!(log.iter().any(warned), "{log:?}");
    let alter = "ALTER TABLE of_aws ADD COLUMN more int";
    session(&world).await.batch_execute(alter).await.unwrap();
}
