//! Parameters that the application sets for its sessions or its database, and what it leaves in the server.

use super::*;

/// The application's role sets a parameter for its own sessions.
async fn sets(world: &World, secret: &str, set: &str) {
    let client = application(world, secret).await;
    let user = current(world, secret).await["username"].clone();
    // loads the module that defines the parameter, as any call of its functions does
    let sql = format!(
        "DO 'BEGIN END'; SET role = none; ALTER ROLE {} SET {set}",
        user.as_str().unwrap()
    );
    client.batch_execute(&sql).await.unwrap();
}

/// The secret rotates twice with this setting of its user. Releases without the parameter are skipped.
async fn rotates_with(world: &World, secret: &str, set: &str) {
    if set.starts_with("idle_session") && release(world).await < 14 {
        return;
    }
    sets(world, secret, set).await;
    for _ in 0..2 {
        let rotation = rotate(world, secret).await;
        if !rotation.succeeded {
            let why = rotation.attempts[0].steps.last().unwrap();
            panic!("{set}: {:?}", why.invoked.outcome);
        }
    }
}

/// Settings of the application's role that the administrator may not, or cannot, copy to the other role.
#[tokio::test]
async fn no_setting_of_the_application_prevents_the_rotation_of_two_users() {
    for set in [
        "plpgsql.check_asserts = off",
        "temp_tablespaces = nowhere",
        "role = none",
        "default_tablespace = nowhere",
        "default_text_search_config = nowhere",
        "default_table_access_method = nowhere",
        "idle_session_timeout = 1",
        "search_path = '\"$user\"', 'a,b', pg_temp",
        "password_encryption = md5",
        "exit_on_error = on",
        "array_nulls = off",
        "default_transaction_deferrable = on",
    ] {
        let world = world().await;
        rotates_with(&world, world.alternating_users(), set).await;
    }
}

#[tokio::test]
async fn no_setting_of_the_application_prevents_the_rotation_of_a_single_user() {
    for set in [
        "plpgsql.check_asserts = off",
        "temp_tablespaces = nowhere",
        "role = none",
        "idle_session_timeout = 1",
        "exit_on_error = on",
        "default_transaction_deferrable = on",
    ] {
        let world = world().await;
        let secret = world.single_user();
        rotates_with(&world, secret, set).await;
        let in_force = log_in(&world, &current(&world, secret).await).await;
        in_force.unwrap_or_else(|error| panic!("locked out with {set}: {error}"));
    }
}

#[tokio::test]
async fn the_password_hashing_setting_of_a_role_does_not_lock_it_out() {
    let world = start(options_with(&[("PASSWORD_HASHING", "server")])).await;
    let secret = world.single_user();
    sets(&world, secret, "password_encryption = md5").await;
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_that_the_database_sets_does_not_lock_a_single_user_out() {
    let world = world().await;
    let (secret, role) = (world.single_user(), world.role());
    let group = format!("CREATE ROLE {role}_group; GRANT {role}_group TO {role}");
    execute(&world, &group).await;
    let client = application(&world, secret).await;
    let set = format!("ALTER DATABASE {} SET role = {role}_group", world.dbname());
    client.batch_execute(&set).await.unwrap();
    both_rotate(&world).await;
    both_rotate(&world).await;
}

#[tokio::test]
async fn a_setting_for_one_database_does_not_block_the_new_user() {
    let world = world().await;
    let secret = world.alternating_users();
    for _ in 0..2 {
        let client = application(&world, secret).await;
        let user = current(&world, secret).await["username"].clone();
        let set = format!(
            "RESET role; SET role = none; ALTER ROLE {} IN DATABASE {} SET role = none",
            user.as_str().unwrap(),
            world.dbname()
        );
        client.batch_execute(&set).await.unwrap();
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
    }
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
}

/// The application ends the function's sessions of its own role as fast as it can.
#[tokio::test]
async fn a_role_that_ends_the_functions_sessions_is_reported() {
    let world = world().await;
    let secret = world.single_user();
    let client = application(&world, secret).await;
    stage_up_to(&world, secret, "setSecret").await;
    let ends = async {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE usename = current_user AND pid <> pg_backend_pid()";
        loop {
            client.query_one(end, &[]).await.unwrap();
        }
    };
    let set = async { invoke(&world, secret, "setSecret").await.outcome };
    tokio::select! {
        outcome = set => {
            if let Err(error) = outcome {
                assert!(error.error_message.contains("57P01") || error.error_message.contains("reach"), "{error}");
            }
        }
        () = ends => {}
    }
    log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_end_of_a_password_is_right_with_any_setting_of_the_applications_role() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "24h")])).await;
    let secret = world.alternating_users();
    for set in [
        "IntervalStyle = sql_standard",
        "extra_float_digits = -15",
        "timezone_abbreviations = 'India'",
        "lc_time = 'C'",
        "TimeZone = 'UTC+167'",
        "DateStyle = 'German, DMY'",
    ] {
        sets(&world, secret, set).await;
        let user = current(&world, secret).await["username"].clone();
        assert!(rotate(&world, secret).await.succeeded, "{set}");
        let hours: f64 = ask(
            &world,
            &format!(
                "SELECT (extract(epoch FROM rolvaliduntil - now()) / 3600)::float8 FROM pg_roles WHERE rolname = '{}'",
                user.as_str().unwrap()
            ),
        )
        .await;
        assert!((23.0..=24.0).contains(&hours), "{set}: {hours}");
    }
}

/// The application sends on the channel, and does not read from it.
#[tokio::test]
async fn a_full_queue_of_notifications_does_not_prevent_a_rotation() {
    let world = world().await;
    let secret = world.alternating_users();
    let client = application(&world, secret).await;
    client
        .batch_execute("LISTEN x; BEGIN; SELECT 1")
        .await
        .unwrap();
    let other = application(&world, secret).await;
    let fill =
        "SELECT count(pg_notify('x', repeat('x', 7000) || i)) FROM generate_series(1, 500) i";
    other.query_one(fill, &[]).await.unwrap();
    both_rotate(&world).await;
}

/// The clone's sessions would begin as a role that they may not become.
#[tokio::test]
async fn a_role_that_sets_its_session_authorization_still_rotates() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let client = application(&world, secret).await;
    let set = format!("ALTER ROLE {base} SET session_authorization = {base}");
    let _ = client.batch_execute(&set).await;
    for _ in 0..3 {
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        application(&world, secret).await;
    }
}

/// The old clone acts as the base, so it may set any parameter for the current user.
#[tokio::test]
async fn no_setting_that_the_old_user_makes_for_the_new_one_prevents_its_revocation() {
    for set in [
        "local_preload_libraries = nowhere",
        "transaction_timeout = 1",
        "statement_timeout = 1",
        "default_transaction_read_only = on",
        "restrict_nonsystem_relation_kind = 'view, foreign-table'",
        "search_path = nowhere",
    ] {
        let world = world().await;
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        assert!(rotate(&world, secret).await.succeeded);
        let leaked = application(&world, secret).await;
        let document = current(&world, secret).await;
        assert!(rotate(&world, secret).await.succeeded);
        let alter = format!("ALTER ROLE {base} SET {set}");
        // a release without the parameter
        if leaked.batch_execute(&alter).await.is_err() {
            continue;
        }
        revoke(&world, secret)
            .await
            .unwrap_or_else(|error| panic!("{set}: {error}"));
        assert!(!common::is_alive(&leaked).await);
        common::assert_rejected(log_in(&world, &document).await);
    }
}

/// The largest value that the server stores: more than the function's memory.
#[tokio::test]
async fn a_setting_that_would_fill_the_functions_memory_is_not_read() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let client = application(&world, secret).await;
    for set in ["search_path", "role"] {
        let long = "x".repeat(1_000_000);
        let sql = format!("SET role = none; ALTER ROLE {base} SET {set} TO '{long}'");
        client.batch_execute(&sql).await.unwrap();
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        let of_the_clone = format!(
            "SELECT max(length(setconfig::text)) FROM pg_db_role_setting WHERE setrole = '{base}_clone'::regrole"
        );
        assert!(ask::<i32>(&world, &of_the_clone).await < 1000);
        assert!(!format!("{rotation:?}").contains("xxxxxxxxxxxxxxxxxxxx"));
        assert!(rotate(&world, secret).await.succeeded);
    }
}

/// The old clone has set it for the base, the current user: no session of the base begins until the rotation to the other user.
#[tokio::test]
async fn an_absent_library_locks_the_application_out_only_until_a_rotation() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    assert!(rotate(&world, secret).await.succeeded);
    let leaked = application(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let set = format!("ALTER ROLE {base} SET local_preload_libraries = nowhere");
    leaked.batch_execute(&set).await.unwrap();
    let document = current(&world, secret).await;
    assert!(log_in(&world, &document).await.is_err());
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    application(&world, secret).await;
    let said = common::warnings(&rotation, "NotCopied");
    assert!(said[0].contains("local_preload_libraries"), "{said:?}");
}

/// They apply to the administrator's sessions too.
#[tokio::test]
async fn no_setting_of_the_applications_database_prevents_a_rotation_or_a_revocation() {
    for set in [
        "geqo_threshold = 2; geqo_pool_size = 2147483647",
        "geqo_threshold = 2; geqo_generations = 2147483647",
        "statement_timeout = 1; lock_timeout = 1; idle_in_transaction_session_timeout = 1; idle_session_timeout = 1; transaction_timeout = 1",
        "default_transaction_isolation = serializable; default_transaction_deferrable = on; default_transaction_read_only = on",
        "enable_nestloop = off; enable_hashjoin = off; enable_sort = off; cpu_operator_cost = 1e300; work_mem = 64; jit_above_cost = 0",
        "exit_on_error = on; transform_null_equals = on; array_nulls = off; bytea_output = escape; quote_all_identifiers = on; \
         client_encoding = SQL_ASCII; standard_conforming_strings = off; row_security = off; search_path = nowhere; DateStyle = 'German'; \
         role = pg_monitor; password_encryption = md5; scram_iterations = 2147483647; createrole_self_grant = 'set, inherit'; \
         check_function_bodies = off; client_min_messages = debug5; force_parallel_mode = on; debug_parallel_query = on; \
         max_parallel_workers_per_gather = 1024; stats_fetch_consistency = snapshot; client_connection_check_interval = 1; \
         restrict_nonsystem_relation_kind = 'view, foreign-table'; plan_cache_mode = force_generic_plan; event_triggers = off",
    ] {
        let world = world().await;
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        let dbname = world.dbname();
        assert!(rotate(&world, secret).await.succeeded);
        let leaked = current(&world, secret).await;
        execute(&world, &format!("ALTER DATABASE {dbname} OWNER TO {base}")).await;
        let client = application(&world, secret).await;
        // deferrable transactions wait for it
        let mut concurrent = application(&world, secret).await;
        let transaction = concurrent
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::Serializable)
            .start()
            .await
            .unwrap();
        transaction
            .batch_execute("CREATE TEMPORARY TABLE t ()")
            .await
            .unwrap();
        for set in set.split("; ") {
            // a release without the parameter, or a parameter for superusers
            let set = format!("ALTER DATABASE {dbname} SET {set}");
            let _ = client.batch_execute(&set).await;
        }
        let rotation = rotate(&world, secret).await;
        if !rotation.succeeded {
            let why = rotation.attempts[0].steps.last().unwrap();
            panic!("{set}: {} {:?}", why.step, why.invoked.outcome);
        }
        drop(transaction);
        revoke(&world, secret)
            .await
            .unwrap_or_else(|error| panic!("{set}: {error}"));
        common::assert_rejected(log_in(&world, &leaked).await);
    }
}
