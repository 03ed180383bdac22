//! The overlap: who logs in when, and what it costs.

use super::*;

#[tokio::test]
async fn the_users_take_turns_and_both_log_in_during_the_overlap() {
    let world = world().await;
    let base = world.alternating_role().to_owned();
    let clone = format!("{base}_clone");
    for (current, retired) in [(&clone, &base), (&base, &clone), (&clone, &base)] {
        let before = current_document(&world).await;
        let rotation = rotate(&world, world.alternating_users()).await;
        assert!(
            rotation.succeeded && rotation.attempts.len() == 1,
            "{rotation:?}"
        );
        let after = current_document(&world).await;
        assert_eq!(
            (after["username"].as_str(), before["username"].as_str()),
            (Some(&**current), Some(&**retired))
        );
        log_in(&world, &after).await.unwrap();
        log_in(&world, &before).await.unwrap();
        assert_eq!(after["overlap_seconds"], 86_400);
        let left = seconds_left(&world, retired).await.unwrap();
        assert!((86_000.0..=86_400.0).contains(&left), "{left}");
        assert_eq!(seconds_left(&world, current).await, None);
    }
}

/// API calls, accepted logins and rejected ones so far, of the administrator and of both users.
fn costs(world: &World) -> (usize, usize, usize) {
    let base = world.alternating_role();
    let roles = [
        base.to_owned(),
        format!("{base}_clone"),
        administrator(world),
    ];
    let counted = roles
        .iter()
        .map(|role| world.postgres().logins(role).unwrap());
    let (accepted, rejected) = counted.fold((0, 0), |sum, logins| {
        (sum.0 + logins.accepted, sum.1 + logins.rejected)
    });
    (world.secrets_manager().calls().len(), accepted, rejected)
}

#[tokio::test]
async fn a_rotation_makes_10_calls_and_3_logins_or_15_and_5_where_each_step_has_a_new_process() {
    for (world, expected) in [
        (warm_world().await, (10, 3, 0)),
        (world().await, (15, 5, 0)),
    ] {
        assert!(rotate(&world, world.alternating_users()).await.succeeded);
        let before = costs(&world);
        assert!(rotate(&world, world.alternating_users()).await.succeeded);
        let after = costs(&world);
        let spent = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        assert_eq!(spent, expected);
    }
}

#[tokio::test]
async fn after_the_window_the_server_refuses_the_old_password_and_open_sessions_continue() {
    let world = world_with_window("2s").await;
    let old = current_document(&world).await;
    let open = log_in(&world, &old).await.unwrap();
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    let base = world.alternating_role();
    // on a busy machine the window may be over by now
    loop {
        let login = log_in(&world, &old).await;
        if seconds_left(&world, base).await.unwrap() <= 0.0 {
            break;
        }
        login.unwrap();
    }
    assert_rejected(log_in(&world, &old).await);
    open.simple_query("SELECT 1").await.unwrap();
    session(&world).await;

    // the next rotation opens it again
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    let current = current_document(&world).await;
    assert_eq!(current["username"], base);
    log_in(&world, &current).await.unwrap();
}

#[tokio::test]
async fn the_window_can_be_unbounded_and_the_document_overrides_the_functions_setting() {
    let world = world_with_window("unbounded").await;
    let base = world.alternating_role();
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    assert_eq!(seconds_left(&world, base).await, None);
    let mut current = current_document(&world).await;
    assert!(current.get("overlap_seconds").is_none());

    current["overlap"] = "1h".into();
    put(&world, world.alternating_users(), current).await;
    assert!(rotate(&world, world.alternating_users()).await.succeeded);
    let left = seconds_left(&world, &format!("{base}_clone"))
        .await
        .unwrap();
    assert!((3500.0..=3600.0).contains(&left), "{left}");
    assert_eq!(current_document(&world).await["overlap_seconds"], 3600);
}

#[tokio::test]
async fn no_version_is_promoted_until_the_old_password_can_get_an_end_and_a_retry_repairs_it() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    stage_up_to(&world, secret, "finishSecret").await;
    let admin = administrator(&world);
    let alter = async |attribute: &str| {
        execute(&world, &format!("ALTER ROLE {admin} {attribute}")).await;
    };
    alter("NOCREATEROLE").await;
    let error = failure(&world, secret, "finishSecret").await;
    let cure = format!("GRANT \"{base}\" TO \"{admin}\" WITH ADMIN OPTION");
    assert_error(&error, "AdministratorForbidden", &cure);
    assert_ne!(version(&world, secret, "AWSCURRENT").await, TOKEN);
    assert_eq!(seconds_left(&world, base).await, None);

    alter("CREATEROLE").await;
    let again = outcome(&world, secret, "finishSecret").await;
    assert_eq!(again, "promoted");
    assert!(seconds_left(&world, base).await.is_some());
}

#[tokio::test]
async fn a_late_repetition_of_finishsecret_does_not_limit_the_current_user() {
    for promotion in Promotion::ALL {
        assert_a_late_repetition_bounds_nobody(&world_where(promotion).await).await;
    }
}

async fn assert_a_late_repetition_bounds_nobody(world: &World) {
    let secret = world.alternating_users();
    stage(world, secret);
    common::all_steps(world, secret).await;
    let next = "99999999-2222-4333-8444-555555555555";
    world.secrets_manager().stage(secret, next).unwrap();
    let deliver = async |step: &str, token: &str| {
        let event = json!({ "Step": step, "SecretId": secret, "ClientRequestToken": token });
        world.function().invoke(event).await.outcome.unwrap()
    };
    deliver("createSecret", next).await;
    deliver("setSecret", next).await;

    assert_eq!(
        deliver("finishSecret", TOKEN).await["outcome"],
        "already current"
    );

    assert_eq!(seconds_left(world, world.alternating_role()).await, None);
    deliver("testSecret", next).await;
    assert_eq!(deliver("finishSecret", next).await["outcome"], "promoted");
    assert_eq!(seconds_left(world, world.alternating_role()).await, None);
}

#[tokio::test]
async fn a_repeated_finishsecret_whose_read_lags_does_not_limit_the_current_user() {
    let world = world().await;
    let secret = world.alternating_users();
    stage(&world, secret);
    common::all_steps(&world, secret).await;
    let current = current_document(&world).await;
    // AWSCURRENT's value is that of the version before
    common::inject(&world, "GetSecretValue", Behavior::Lag);
    assert_eq!(
        outcome(&world, secret, "finishSecret").await,
        "already current"
    );
    let user = current["username"].as_str().unwrap();
    assert_eq!(seconds_left(&world, user).await, None);
}
