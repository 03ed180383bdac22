//! Attacks: by the application's own role, and by who may write the secret's value.

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use super::*;

/// A session as the application has it, of the version in force.
async fn application(world: &World, secret: &str) -> Client {
    log_in(world, &current(world, secret).await).await.unwrap()
}

async fn exists(world: &World, role: &str) -> bool {
    let question = format!("SELECT count(*) > 0 FROM pg_roles WHERE rolname = '{role}'");
    ask(world, &question).await
}

const RELEASE: &str = "SELECT current_setting('server_version_num')::int4 / 10000";

/// The application's role sets something for its own sessions.
async fn sets(world: &World, secret: &str, set: &str) {
    let client = application(world, secret).await;
    let user = current(world, secret).await["username"].clone();
    // loads what knows the setting, as any application does that calls a function
    let sql = format!(
        "DO 'BEGIN END'; SET role = none; ALTER ROLE {} SET {set}",
        user.as_str().unwrap()
    );
    client.batch_execute(&sql).await.unwrap();
}

/// The secret rotates twice, whatever its user has set. A release that does not know the setting is passed over.
async fn rotates_with(world: &World, secret: &str, set: &str) {
    if set.starts_with("idle_session") && ask::<i32>(world, RELEASE).await < 14 {
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

/// Whether the password of the alternating users' base role has an end.
async fn is_bounded(world: &World) -> bool {
    let question = format!(
        "SELECT coalesce(rolvaliduntil < 'infinity', false) FROM pg_roles WHERE rolname = '{}'",
        world.alternating_role()
    );
    ask(world, &question).await
}

/// AWSCURRENT is about a role that does not log in, AWSPREVIOUS about one that does.
async fn about(world: &World, secret: &str, victim: &str) {
    let mut forged = current(world, secret).await;
    forged["username"] = victim.into();
    forged["password"] = "unknown".into();
    put(world, secret, forged).await;
    stage_up_to(world, secret, "setSecret").await;
    let _ = invoke(world, secret, "setSecret").await;
}

#[tokio::test]
async fn a_previous_version_that_logs_in_does_not_have_a_third_role_cloned() {
    for of_the_administrator in [true, false] {
        let world = world().await;
        let secret = world.alternating_users();
        let victim = match of_the_administrator {
            true => administrator(&world),
            false => world.role().to_owned(),
        };
        about(&world, secret, &victim).await;
        let clone = format!("{victim}_clone");
        assert!(!exists(&world, &clone).await, "{clone}");
    }
}

#[tokio::test]
async fn a_previous_version_that_logs_in_does_not_have_a_third_roles_password_replaced() {
    let world = world().await;
    let others = current(&world, world.single_user()).await;
    let victim = format!("{}_clone", world.role());
    about(&world, world.alternating_users(), &victim).await;
    log_in(&world, &others).await.unwrap();
}

#[tokio::test]
async fn a_revocation_does_not_end_a_third_role() {
    let world = world().await;
    let secret = world.alternating_users();
    let others = current(&world, world.single_user()).await;
    let own = current(&world, secret).await;
    let mut forged = own.clone();
    forged["username"] = others["username"].clone();
    put(&world, secret, forged).await;
    put(&world, secret, own).await;
    let _ = revoke(&world, secret).await;
    log_in(&world, &others).await.unwrap();
}

#[tokio::test]
async fn a_repeated_finish_secret_does_not_bound_a_third_role() {
    let world = world().await;
    let secret = world.alternating_users();
    let others = current(&world, world.single_user()).await;
    let mut forged = current(&world, secret).await;
    forged["username"] = others["username"].clone();
    forged["overlap"] = "0s".into();
    stage_up_to(&world, secret, "finishSecret").await;
    put(&world, secret, forged).await;
    make_current(&world, secret, TOKEN).await;
    let _ = invoke(&world, secret, "finishSecret").await;
    log_in(&world, &others).await.unwrap();
}

#[tokio::test]
async fn an_owner_role_that_the_application_is_no_member_of_is_not_granted_to_it() {
    let world = world().await;
    let secret = world.alternating_users();
    for owner in [
        administrator(&world),
        "pg_execute_server_program".to_owned(),
    ] {
        let mut forged = current(&world, secret).await;
        forged["ownerrole"] = owner.as_str().into();
        put(&world, secret, forged).await;
        let _ = rotate(&world, secret).await;
        let clone = format!("{}_clone", world.alternating_role());
        let member = format!(
            "SELECT coalesce(bool_or(pg_has_role(oid, '{owner}', 'MEMBER')), false) FROM pg_roles WHERE rolname = '{clone}'"
        );
        assert!(!ask::<bool>(&world, &member).await, "{clone} is {owner}");
    }
}

/// Passes everything on to the server; where the administrator logs in, it says something of its own afterwards.
async fn relay(server: u16, administrator: String, says: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, server, administrator.clone(), says.clone()));
        }
    });
    port
}

async fn pass_on(
    mut client: TcpStream,
    server: u16,
    administrator: String,
    says: String,
) -> io::Result<()> {
    let startup = startup(&mut client).await?;
    let user = format!("\0{administrator}\0");
    let is_admin = startup
        .windows(user.len())
        .any(|bytes| bytes == user.as_bytes());
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    server.write_all(&startup).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        loop {
            let message = message(&mut from_server).await?;
            if message[0] == b'Z' && is_admin {
                return Ok::<_, io::Error>(true);
            }
            to_client.write_all(&message).await?;
        }
    };
    let taken = tokio::select! {
        end = answers => end,
        _ = io::copy(&mut from_client, &mut to_server) => Ok(false),
    }?;
    if taken {
        to_server.write_u8(b'Q').await?;
        to_server.write_u32(says.len() as u32 + 5).await?;
        to_server.write_all(says.as_bytes()).await?;
        to_server.write_u8(0).await?;
        // until it is done
        while message(&mut from_server).await?[0] != b'Z' {}
    }
    Ok(())
}

/// The administrator's secret is as RDS makes it: user and password.
#[tokio::test]
async fn a_secret_without_tls_does_not_have_the_administrators_login_passed_on_by_another_server() {
    let world = world().await;
    let secret = world.alternating_users();
    let admin = current(&world, world.admin()).await;
    let managed = json!({ "username": admin["username"], "password": admin["password"] });
    put(&world, world.admin(), managed).await;
    let taken = format!("taken_{}", world.role());
    let port = relay(
        world.postgres().port(),
        administrator(&world),
        format!("CREATE ROLE {taken}"),
    )
    .await;
    let mut forged = current(&world, secret).await;
    forged["rotationhost"] = "127.0.0.1".into();
    forged["rotationport"] = port.into();
    forged["ssl"] = false.into();
    put(&world, secret, forged).await;
    stage_up_to(&world, secret, "setSecret").await;
    let _ = invoke(&world, secret, "setSecret").await;
    assert!(!exists(&world, &taken).await);
}

/// What the application's role sets for itself, and what the administrator then may not, or cannot, set for the other one.
#[tokio::test]
async fn no_setting_of_the_applications_own_keeps_two_users_from_rotating() {
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
async fn no_setting_of_the_applications_own_keeps_a_single_user_from_rotating() {
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
async fn what_a_role_hashes_passwords_with_does_not_lock_it_out() {
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
async fn an_error_names_the_session_that_holds_the_lock() {
    let mut options = options();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = start(options).await;
    let secret = world.alternating_users();
    let client = application(&world, secret).await;
    let base = world.alternating_role();
    let lock =
        "SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext($1)), pg_backend_pid()";
    let row = client.query_one(lock, &[&base]).await.unwrap();
    let pid: i32 = row.get(1);
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert!(error.error_message.contains(&pid.to_string()), "{error}");
}

#[tokio::test]
async fn two_secrets_whose_rotations_have_the_same_token_do_not_take_each_other_for_themselves() {
    let world = warm_world().await;
    let (two, one) = (world.alternating_users(), world.single_user());
    stage(&world, two);
    stage(&world, one);
    for step in ["createSecret", "setSecret", "testSecret"] {
        outcome(&world, two, step).await;
        outcome(&world, one, step).await;
    }
    outcome(&world, two, "finishSecret").await;
    outcome(&world, one, "finishSecret").await;
    assert!(is_bounded(&world).await);
}

/// The current user may act as the other one, and holds its row.
#[tokio::test]
async fn an_error_names_the_session_that_holds_a_roles_row() {
    let mut options = options();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = start(options).await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let client = application(&world, secret).await;
    let base = world.alternating_role();
    let held = format!("BEGIN; ALTER ROLE {base} PASSWORD 'mine'");
    client.batch_execute(&held).await.unwrap();
    let row = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap();
    let pid: i32 = row.get(0);
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert!(error.error_message.contains(&pid.to_string()), "{error}");
}

/// The clone acts as the base role, so it may change that one's password.
#[tokio::test]
async fn what_the_old_user_sets_as_the_new_ones_password_ends_with_a_rotation_and_a_revocation() {
    let world = world().await;
    let secret = world.alternating_users();
    let base = world.alternating_role();
    assert!(rotate(&world, secret).await.succeeded);
    let leaked = application(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let evil = format!("ALTER ROLE {base} PASSWORD 'evil'");
    leaked.batch_execute(&evil).await.unwrap();
    let mut mine = current(&world, secret).await;
    mine["password"] = "evil".into();
    log_in(&world, &mine).await.unwrap();

    let refused = revoke(&world, secret).await.unwrap_err();
    assert_error(&refused, "CurrentRejected", "rotate first");
    assert!(rotate(&world, secret).await.succeeded);
    log_in(&world, &current(&world, secret).await)
        .await
        .unwrap();
    revoke(&world, secret).await.unwrap();
    common::assert_rejected(log_in(&world, &mine).await);
    // the session of the other user, which the next rotation ends with
    assert!(common::is_alive(&leaked).await);
    assert!(rotate(&world, secret).await.succeeded);
    revoke(&world, secret).await.unwrap();
    assert!(!common::is_alive(&leaked).await);
}

/// AWSCURRENT written once more is AWSPREVIOUS too; the other user's password is still within its window.
#[tokio::test]
async fn a_revocation_ends_the_other_user_though_the_same_version_was_stored_twice() {
    let world = world().await;
    let secret = world.alternating_users();
    let leaked = current(&world, secret).await;
    assert!(rotate(&world, secret).await.succeeded);
    let same = current(&world, secret).await;
    put(&world, secret, same).await;
    let _ = revoke(&world, secret).await;
    common::assert_rejected(log_in(&world, &leaked).await);
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
async fn a_setting_for_one_database_does_not_have_the_new_user_refused() {
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
async fn a_role_that_ends_the_functions_sessions_is_told_of() {
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

/// What the application sends on the channel, and what it does not read.
#[tokio::test]
async fn a_queue_of_notifications_that_nobody_reads_keeps_nothing_from_rotating() {
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

/// A process keeps the administrator's session between two steps; the application holds the lock in between.
#[tokio::test]
async fn a_lock_between_two_steps_does_not_have_the_old_password_outlive_its_window() {
    let mut options = common::warm(options());
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = start(options).await;
    let secret = world.alternating_users();
    let client = application(&world, secret).await;
    let base = world.alternating_role();
    stage_up_to(&world, secret, "finishSecret").await;
    let lock = "SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext($1))";
    client.query_one(lock, &[&base]).await.unwrap();
    let error = failure(&world, secret, "finishSecret").await;
    assert_error(&error, "RoleLocked", "pg_terminate_backend");
    drop(client);
    common::until("the lock is free", async || {
        let held = "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 \
                    AND database = (SELECT oid FROM pg_database WHERE datname = '$')";
        ask::<bool>(&world, &held.replace('$', world.dbname())).await
    })
    .await;
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
    assert!(is_bounded(&world).await);
}

#[tokio::test]
async fn a_bound_is_right_whatever_the_applications_role_sets() {
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

/// Who writes the value in the middle of a rotation names the user whose turn it is.
#[tokio::test]
async fn a_version_stored_in_the_middle_does_not_have_the_old_password_outlive_its_window() {
    let world = world().await;
    let secret = world.alternating_users();
    stage_up_to(&world, secret, "finishSecret").await;
    let pending = common::document(&world, secret, "AWSPENDING")
        .await
        .unwrap();
    let input = json!({
        "SecretId": secret, "SecretString": pending.to_string(), "VersionStages": ["MINE"]
    });
    let mine = call(&world, "PutSecretValue", input).await;
    make_current(&world, secret, mine["VersionId"].as_str().unwrap()).await;
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
    assert!(is_bounded(&world).await);
}

/// A role of another application is named as this one's clone would be, or as its base.
#[tokio::test]
async fn a_role_that_only_has_the_name_of_the_other_user_is_left_alone() {
    let world = world().await;
    let (secret, victim) = (world.alternating_users(), world.role());
    let others = current(&world, world.single_user()).await;
    let own = format!("{victim}_clone");
    execute(&world, &format!("CREATE ROLE {own} LOGIN PASSWORD 'known'")).await;
    let mut forged = current(&world, secret).await;
    forged["username"] = own.into();
    forged["password"] = "known".into();
    put(&world, secret, forged).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert_error(&error, "NoPair", "is no member of");
    log_in(&world, &others).await.unwrap();
}

/// An audit that is switched on for one of the two only would be no audit.
#[tokio::test]
async fn a_setting_that_only_a_superuser_can_have_made_is_not_left_out() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    execute(
        &world,
        &format!("ALTER ROLE {base} SET log_statement = 'all'"),
    )
    .await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert_error(
        &error,
        "AdministratorForbidden",
        "may not set log_statement",
    );
    let cure = error.error_message.rsplit_once("run ").unwrap().1;
    // the clone is not there yet, and the cure is for a superuser who makes it
    execute(
        &world,
        &format!("CREATE ROLE {base}_clone; GRANT {base} TO {base}_clone; {cure}"),
    )
    .await;
    let admin = administrator(&world);
    execute(
        &world,
        &format!("GRANT {base}_clone TO {admin} WITH ADMIN OPTION"),
    )
    .await;
    assert_eq!(outcome(&world, secret, "setSecret").await, "changed");
}

#[tokio::test]
async fn a_setting_that_is_left_out_is_named_in_the_log_without_its_value() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let set = format!("ALTER ROLE {base} SET app.signing_key = 'hidden-value'");
    execute(&world, &set).await;
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let steps = &rotation.attempts[0].steps;
    let log: String = steps
        .iter()
        .flat_map(|step| step.invoked.log.clone())
        .collect();
    assert!(log.contains("app.signing_key"), "{log}");
    assert!(!log.contains("hidden-value"), "{log}");
}
