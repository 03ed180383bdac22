//! What the application locks.

use super::*;

/// A world whose function waits a second for a lock.
async fn impatient(warm: bool) -> World {
    let mut options = match warm {
        true => common::warm(options()),
        false => options(),
    };
    options.function_timeout = std::time::Duration::from_secs(3);
    start(options).await
}

/// Takes the function's lock, and returns the process id of the session that holds it.
async fn holds_the_lock(world: &World, client: &Client) -> i32 {
    let lock =
        "SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext($1)), pg_backend_pid()";
    let base = world.alternating_role();
    client.query_one(lock, &[&base]).await.unwrap().get(1)
}

#[tokio::test]
async fn an_error_names_a_third_roles_session_that_holds_the_lock_and_the_statement_that_ends_it() {
    let world = impatient(false).await;
    let secret = world.alternating_users();
    let third = application(&world, world.single_user()).await;
    let pid = holds_the_lock(&world, &third).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    let user = world.role();
    assert_error(&error, "RoleLocked", &format!("process {pid} of {user}"));
    let cure = format!("SELECT pg_terminate_backend({pid})");
    assert!(error.error_message.contains(&cure), "{error}");
    execute(&world, &cure).await;
    outcome(&world, secret, "setSecret").await;
}

/// A process keeps the administrator's session between two steps; the application holds the lock in between.
#[tokio::test]
async fn a_lock_between_two_steps_does_not_extend_the_old_passwords_window() {
    let world = impatient(true).await;
    let secret = world.alternating_users();
    let client = application(&world, secret).await;
    stage_up_to(&world, secret, "finishSecret").await;
    holds_the_lock(&world, &client).await;
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
    assert!(is_bounded(&world).await);
}

/// The application's own transaction has altered the role to revoke, and locks its row.
#[tokio::test]
async fn an_open_transaction_on_the_role_blocks_neither_its_end_nor_its_turn() {
    let world = impatient(false).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let leaked = current(&world, secret).await;
    let old = application(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let alter = format!("BEGIN; ALTER ROLE {base} PASSWORD 'mine'");
    old.batch_execute(&alter).await.unwrap();
    let answer = revoke(&world, secret).await.unwrap();
    assert_eq!(answer["outcome"], "revoked");
    assert!(!common::is_alive(&old).await);
    common::assert_rejected(log_in(&world, &leaked).await);

    // the current session acts as the base role, so it may alter that role too
    let current = application(&world, secret).await;
    current.batch_execute(&alter).await.unwrap();
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    application(&world, secret).await;
}

#[tokio::test]
async fn many_sessions_that_wait_for_the_functions_lock_do_not_block_it() {
    let world = impatient(false).await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let first = application(&world, secret).await;
    holds_the_lock(&world, &first).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let next = application(&world, secret).await;
        let base = world.alternating_role().to_owned();
        crowd.spawn(async move {
            let lock = "SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext($1))";
            let _ = next.query_one(lock, &[&base]).await;
            // it holds the lock until its session is ended
            let _ = next.batch_execute("SELECT pg_sleep(600)").await;
        });
    }
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND NOT granted \
                   AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = '$')";
    let waiting = waiting.replace('$', world.dbname());
    common::until("they wait", async || {
        ask::<i64>(&world, &waiting).await == 4
    })
    .await;
    assert_eq!(revoke(&world, secret).await.unwrap()["outcome"], "revoked");
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    crowd.shutdown().await;
}

/// A single user can only alter itself, so one of its own sessions holds the lock.
#[tokio::test]
async fn a_single_users_own_locks_block_one_rotation_at_most() {
    let world = impatient(false).await;
    let (secret, role) = (world.single_user(), world.role());
    for held in [
        format!("BEGIN; ALTER ROLE {role} PASSWORD 'mine'"),
        format!("SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext('{role}'))"),
    ] {
        let client = application(&world, secret).await;
        client.batch_execute(&held).await.unwrap();
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{held}: {rotation:?}");
        application(&world, secret).await;
        assert!(!common::is_alive(&client).await);
    }
}

/// All other sessions go on.
#[tokio::test]
async fn no_session_of_another_user_is_ended_with_them() {
    let world = impatient(false).await;
    let secret = world.alternating_users();
    let bystander = application(&world, world.single_user()).await;
    let superuser = in_the_database(&world).await;
    assert!(rotate(&world, secret).await.succeeded);
    let (holder, other) = (
        application(&world, secret).await,
        application(&world, secret).await,
    );
    holds_the_lock(&world, &holder).await;
    assert_eq!(revoke(&world, secret).await.unwrap()["outcome"], "revoked");
    assert!(!common::is_alive(&holder).await);
    for session in [&bystander, &superuser, &other] {
        assert!(common::is_alive(session).await);
    }
}

/// The old clone alters itself, and commits when the function waits for it.
#[tokio::test]
async fn a_setting_that_the_application_alters_at_the_same_time_is_copied_too() {
    for deadlock in [false, true] {
        let world = world().await;
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        let clone = format!("{base}_clone");
        assert!(rotate(&world, secret).await.succeeded);
        let old = application(&world, secret).await;
        assert!(rotate(&world, secret).await.succeeded);
        execute(&world, &format!("ALTER ROLE {base} SET work_mem = '7MB'")).await;
        let alter =
            format!("BEGIN; SET LOCAL role = none; ALTER ROLE {clone} SET lock_timeout = '9s'");
        old.batch_execute(&alter).await.unwrap();
        stage_up_to(&world, secret, "setSecret").await;
        let waits = format!(
            "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted AND a.usename = '{}'",
            administrator(&world)
        );
        let set = outcome(&world, secret, "setSecret");
        let then = async {
            common::until("it waits", async || ask::<bool>(&world, &waits).await).await;
            let sql = match deadlock {
                false => "COMMIT".to_owned(),
                // for the role's row, which the function has locked
                true => format!("ALTER ROLE {clone} PASSWORD 'mine'; COMMIT"),
            };
            let _ = old.batch_execute(&sql).await;
        };
        let (set, ()) = tokio::join!(set, then);
        assert_eq!(set, "changed within an overlap");
        let kept = format!(
            "SELECT string_agg(c, ' ' ORDER BY c) FROM pg_db_role_setting, unnest(setconfig) c WHERE setrole = '{clone}'::regrole"
        );
        let kept: String = ask(&world, &kept).await;
        assert!(
            kept.ends_with(&format!("role={base} work_mem=7MB")),
            "{deadlock}: {kept}"
        );
    }
}

/// A prepared transaction has no session to end; the error says how to end it.
#[tokio::test]
async fn an_error_names_a_prepared_transaction_that_holds_the_role_and_the_statement_that_ends_it()
{
    let mut options = common::with_prepared_transactions();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = start(options).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let old = application(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let prepare =
        format!("BEGIN; ALTER ROLE {base} PASSWORD 'mine'; PREPARE TRANSACTION 'it''s mine'");
    old.batch_execute(&prepare).await.unwrap();
    let error = revoke(&world, secret).await.unwrap_err();
    let cure = "ROLLBACK PREPARED 'it''s mine'";
    assert_error(&error, "RoleLocked", cure);
    in_the_database(&world)
        .await
        .batch_execute(cure)
        .await
        .unwrap();
    revoke(&world, secret).await.unwrap();
}

/// The role with this name belongs to another application.
#[tokio::test]
async fn no_session_of_a_role_with_the_name_of_a_single_users_clone_is_ended() {
    let world = impatient(false).await;
    let (secret, role, admin) = (world.single_user(), world.role(), administrator(&world));
    let mut document = current(&world, secret).await;
    document["masterarn"] = world.admin().into();
    document["strategy"] = "single-user".into();
    common::put(&world, secret, &document).await;
    let sql = format!(
        "CREATE ROLE {role}_clone LOGIN PASSWORD 'own'; GRANT {role} TO {admin} WITH ADMIN OPTION"
    );
    execute(&world, &sql).await;
    let mut others = document.clone();
    others["username"] = format!("{role}_clone").into();
    others["password"] = "own".into();
    let bystander = log_in(&world, &others).await.unwrap();
    let own = format!("BEGIN; ALTER ROLE {role}_clone PASSWORD 'own'");
    bystander.batch_execute(&own).await.unwrap();
    let holder = application(&world, secret).await;
    let lock = "SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext($1))";
    holder.query_one(lock, &[&role]).await.unwrap();
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert!(common::is_alive(&bystander).await);
}

/// The owner of a database sets it for the administrator's session too, which would then end with its first error.
#[tokio::test]
async fn a_database_whose_sessions_end_with_an_error_does_not_hide_who_holds_a_lock() {
    let world = impatient(false).await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let own = format!("ALTER DATABASE {} OWNER TO {base}", world.dbname());
    execute(&world, &own).await;
    assert!(rotate(&world, secret).await.succeeded);
    let client = application(&world, secret).await;
    let set = format!("ALTER DATABASE {} SET exit_on_error = on", world.dbname());
    client.batch_execute(&set).await.unwrap();
    holds_the_lock(&world, &client).await;
    assert_eq!(revoke(&world, secret).await.unwrap()["outcome"], "revoked");
}
