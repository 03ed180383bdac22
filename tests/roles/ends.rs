//! No time bombs: the current credential has no `VALID UNTIL`, and a broken promise is reported.

use super::*;

async fn bounded(world: &World, role: &str) -> bool {
    let question = format!(
        "SELECT coalesce(isfinite(rolvaliduntil), false) FROM pg_roles WHERE rolname = '{role}'"
    );
    ask(world, &question).await
}

/// AWS's setSecret leaves the `VALID UNTIL` of our earlier rotation: the new credential logs in only until then.
#[tokio::test]
async fn finish_secret_removes_the_expiry_of_the_user_that_becomes_current() {
    for window in ["24h", "unbounded"] {
        let world = start(options_with(&[("OVERLAP_WINDOW", window)])).await;
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        turn(&world).await;
        stage_up_to(&world, secret, "testSecret").await;
        execute(&world, &format!("ALTER ROLE {base} VALID UNTIL 'tomorrow'")).await;
        outcome(&world, secret, "testSecret").await;
        let finished = invoke(&world, secret, "finishSecret").await;
        assert_eq!(finished.outcome.unwrap()["outcome"], "promoted");
        assert!(
            finished.log.iter().any(|line| line.contains("VALID UNTIL")),
            "{:?}",
            finished.log
        );
        assert!(!bounded(&world, base).await, "{window}");
    }
}

#[tokio::test]
async fn a_rotation_within_the_overlap_reports_the_end_of_the_promise() {
    let world = world().await;
    let secret = world.alternating_users();
    turn(&world).await;
    let until: String = ask(
        &world,
        &format!(
            "SELECT to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM pg_roles WHERE rolname = '{}'",
            world.alternating_role()
        ),
    )
    .await;
    stage_up_to(&world, secret, "setSecret").await;
    let set = invoke(&world, secret, "setSecret").await;
    let answer = set.outcome.unwrap();
    assert_eq!(answer["outcome"], "changed within an overlap");
    assert_eq!(answer["promised_until"], until);
    let said = |what: &str| set.log.iter().any(|line| line.contains(what));
    assert!(
        said("OverlapCutShort") && said("PromiseBroken"),
        "{:?}",
        set.log
    );
}

/// A timestamp of the log and of the answer has a year of four digits.
#[tokio::test]
async fn a_promise_beyond_the_year_9999_is_reported_as_the_last_second_of_that_year() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    turn(&world).await;
    execute(
        &world,
        &format!("ALTER ROLE {base} VALID UNTIL '12000-01-01'"),
    )
    .await;
    stage_up_to(&world, secret, "setSecret").await;
    let set = invoke(&world, secret, "setSecret").await;
    let answer = set.outcome.unwrap();
    assert_eq!(answer["promised_until"], "9999-12-31T23:59:59Z");
}

#[tokio::test]
async fn a_single_user_with_an_expiry_is_an_obstacle_whose_cure_works() {
    let world = world().await;
    let (secret, role) = (world.single_user(), world.role());
    execute(&world, &format!("ALTER ROLE {role} VALID UNTIL 'tomorrow'")).await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    assert_eq!(error.error_type, "PasswordEnds", "{error}");
    execute(&world, &cure(&error.error_message)).await;
    outcome(&world, secret, "setSecret").await;
}

#[tokio::test]
async fn an_administrator_removes_a_single_users_expiry() {
    let world = world().await;
    let (secret, role, admin) = (world.single_user(), world.role(), administrator(&world));
    let mut document = current(&world, secret).await;
    document["masterarn"] = world.admin().into();
    document["strategy"] = "single-user".into();
    put(&world, secret, document).await;
    let sql = format!(
        "ALTER ROLE {role} VALID UNTIL 'tomorrow'; GRANT {role} TO {admin} WITH ADMIN OPTION"
    );
    execute(&world, &sql).await;
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert_eq!(warnings(&rotation, "PasswordEnds").len(), 1);
    assert!(!bounded(&world, role).await);
}

#[tokio::test]
async fn a_role_without_login_gets_it_back_with_a_warning() {
    let world = world().await;
    turn(&world).await;
    execute(
        &world,
        &format!("ALTER ROLE {} NOLOGIN", world.alternating_role()),
    )
    .await;
    let rotation = turn(&world).await;
    assert_eq!(warnings(&rotation, "LoginRestored").len(), 1);
}
