//! What the other role has: objects, memberships, settings.

use super::*;

#[tokio::test]
async fn objects_of_every_turn_can_be_altered_by_whoever_is_current() {
    let world = world().await;
    for turn in 0..3 {
        let client = log_in(&world, &document(&world, "AWSCURRENT").await)
            .await
            .unwrap();
        client
            .batch_execute(&format!("CREATE TABLE turn_{turn} (id int)"))
            .await
            .unwrap();
        for table in (0..=turn)
            .map(|turn| format!("turn_{turn}"))
            .chain(["stock".to_owned()])
        {
            client
                .batch_execute(&format!(
                    "ALTER TABLE {table} ADD COLUMN of_turn_{turn} int"
                ))
                .await
                .unwrap();
        }
        assert!(rotate(&world, world.alternating_users()).await.succeeded);
    }
}

#[tokio::test]
async fn with_an_owner_role_what_either_user_creates_belongs_to_it() {
    let world = world().await;
    let (base, admin) = (
        world.alternating_role(),
        format!("admin_of_{}", world.role()),
    );
    let owner = format!("owner_of_{base}");
    world
        .postgres()
        .execute(&format!("CREATE ROLE {owner}; GRANT {owner} TO {base}; GRANT {owner} TO {admin} WITH ADMIN OPTION"))
        .await
        .unwrap();
    let superuser = world.postgres();
    let password = secrecy::ExposeSecret::expose_secret(superuser.superuser_password()).to_owned();
    let client = superuser
        .connect(Postgres::SUPERUSER, &password, world.dbname())
        .await
        .unwrap();
    client
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE stock OWNER TO {owner}"
        ))
        .await
        .unwrap();
    let mut current = document(&world, "AWSCURRENT").await;
    current["ownerrole"] = owner.as_str().into();
    put(&world, world.alternating_users(), &current).await;
    for turn in 0..2 {
        assert!(rotate(&world, world.alternating_users()).await.succeeded);
        let client = log_in(&world, &document(&world, "AWSCURRENT").await)
            .await
            .unwrap();
        client
            .batch_execute(&format!("CREATE TABLE owned_{turn} (id int)"))
            .await
            .unwrap();
        let sql =
            format!("SELECT tableowner::text FROM pg_tables WHERE tablename = 'owned_{turn}'");
        let table_owner: String = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(table_owner, owner);
    }
}

#[tokio::test]
async fn the_other_user_gets_what_the_current_one_has_at_every_rotation() {
    let world = world().await;
    let (base, admin) = (
        world.alternating_role(),
        format!("admin_of_{}", world.role()),
    );
    let clone = format!("{base}_clone");
    let settings = format!(
        "SELECT coalesce(string_agg(setting, ' ' ORDER BY setting), '') FROM pg_db_role_setting, unnest(setconfig) setting \
         WHERE setrole = '{clone}'::regrole AND setting NOT LIKE 'role=%'"
    );
    world
        .postgres()
        .execute(&format!(
            "CREATE ROLE reports_{base}; GRANT reports_{base} TO {base}; GRANT reports_{base} TO {admin} WITH ADMIN OPTION; \
             ALTER ROLE {base} CONNECTION LIMIT 17; ALTER ROLE {base} SET search_path TO \"$user\", public; \
             ALTER ROLE {base} IN DATABASE {} SET work_mem TO '7MB'",
            world.dbname()
        ))
        .await
        .unwrap();
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    let limit: i32 = ask(
        &world,
        &format!("SELECT rolconnlimit FROM pg_roles WHERE rolname = '{clone}'"),
    )
    .await;
    assert_eq!(limit, 17);
    assert_eq!(
        ask::<String>(&world, &settings).await,
        "search_path=\"$user\", public work_mem=7MB"
    );
    let member = format!("SELECT pg_has_role('{clone}', 'reports_{base}', 'MEMBER')");
    assert!(ask::<bool>(&world, &member).await);

    // two turns later the clone is made to follow what has changed meanwhile
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    world
        .postgres()
        .execute(&format!(
            "ALTER ROLE {base} RESET search_path; ALTER ROLE {base} SET statement_timeout TO '1ms'"
        ))
        .await
        .unwrap();
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    assert_eq!(
        ask::<String>(&world, &settings).await,
        "statement_timeout=1ms work_mem=7MB"
    );
}

#[tokio::test]
async fn a_clone_that_owns_objects_is_left_as_it_is_and_the_log_says_what_to_do() {
    let world = world().await;
    let base = world.alternating_role();
    let clone = format!("{base}_clone");
    let password =
        secrecy::ExposeSecret::expose_secret(world.postgres().superuser_password()).to_owned();
    let client = world
        .postgres()
        .connect(Postgres::SUPERUSER, &password, world.dbname())
        .await
        .unwrap();
    let admin = format!("admin_of_{}", world.role());
    client
        .batch_execute(&format!(
            "CREATE ROLE {clone} LOGIN; GRANT {base} TO {clone}; GRANT {clone} TO {admin} WITH ADMIN OPTION; \
             CREATE TABLE of_aws (id int); ALTER TABLE of_aws OWNER TO {clone}"
        ))
        .await
        .unwrap();
    let rotation = rotate(&world, world.alternating_users()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let log: Vec<&String> = rotation.attempts[0]
        .steps
        .iter()
        .flat_map(|run| &run.invoked.log)
        .collect();
    assert!(
        log.iter()
            .any(|line| line.contains("REASSIGN OWNED") && line.contains("\"WARN\"")),
        "{log:?}"
    );
    let client = log_in(&world, &document(&world, "AWSCURRENT").await)
        .await
        .unwrap();
    client
        .batch_execute("ALTER TABLE of_aws ADD COLUMN more int")
        .await
        .unwrap();
}
