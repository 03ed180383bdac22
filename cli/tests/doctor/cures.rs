//! A test breaks the world; doctor finds the fault, and its printed commands repair it without a change.

use super::*;

#[tokio::test]
async fn an_awspending_left_over_before_setsecret_is_removed() {
    let mut options = options();
    // a RotateSecret that is refused has what is pending attempted again, after an interval
    options.retry.interval = Duration::from_secs(3600);
    let world = world(options).await;
    for secret in [world.single_user(), world.alternating_users()] {
        for steps in [0, 1] {
            let token = leave_over(&world, secret, steps).await;
            let refused = world.secrets_manager().rotate(secret).await;
            assert!(refused.is_err(), "no rotation can begin");
            let said = doctor(&world, &[secret], "").await;
            said.assert_wrong("labels", &token);
            let [take_off, rotate] = &said.cure("labels");
            follow(&world, take_off, "").await;
            follow_rotation(&world, secret, rotate).await;
            assert_mended(&world, secret).await;
        }
    }
}

#[tokio::test]
async fn an_awspending_whose_password_the_database_has_becomes_awscurrent() {
    let world = world(options()).await;
    let secret = world.single_user();
    for steps in [2, 3] {
        let token = leave_over(&world, secret, steps).await;
        let said = doctor(&world, &[secret], "").await;
        said.assert_wrong("labels", &token);
        said.assert_wrong("AWSCURRENT", "rejects");
        assert_eq!(said.verdicts()["AWSPENDING"], "ok", "{}", said.stdout);
        let [promote] = &said.cure("labels");
        follow(&world, promote, "").await;
        assert_mended(&world, secret).await;
    }
}

#[tokio::test]
async fn with_two_users_an_awspending_left_over_after_setsecret_is_removed() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    leave_over(&world, secret, 2).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.checks("wrong"), ["labels"], "{}", said.stdout);
    let [take_off, rotate] = &said.cure("labels");
    follow(&world, take_off, "").await;
    follow_rotation(&world, secret, rotate).await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn a_rotation_in_flight_is_not_a_fault() {
    let world = world(options()).await;
    let secret = world.single_user();
    world
        .secrets_manager()
        .stage(secret, &Uuid::new_v4().to_string())
        .unwrap();
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["labels"]);
    assert_eq!(said.commands("labels"), []);
}

#[tokio::test]
async fn between_setsecret_and_finishsecret_it_is_not_a_fault_that_awscurrent_does_not_log_in() {
    let world = world(options()).await;
    let secret = world.single_user();
    let token = leave_over(&world, secret, 2).await;
    common::tag(&world, secret, "changed", "now").await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["AWSCURRENT", "labels"]);
    assert!(said.stdout.contains(&token));
}

/// What is printed for a credential that nobody has: a superuser sets one, and it is typed where it is asked for.
async fn set_and_store(world: &World, said: &Said, check: &str) {
    let password = Uuid::new_v4().simple().to_string();
    let [set, store] = &said.cure(check);
    assert!(
        matches!(set, Line::Psql(set) if set.starts_with("\\password")),
        "{set:?}"
    );
    follow(world, set, &format!("{password}\n{password}\n")).await;
    let said = follow(world, store, &format!("y\n{password}\n")).await;
    assert!(!said.stdout.contains(&password) && !said.stderr.contains(&password));
}

#[tokio::test]
async fn a_wrong_administrators_password_is_changed_in_the_database_and_stored() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    let administrator = administrator(&world);
    let sql = format!("ALTER ROLE {administrator} PASSWORD 'by hand'");
    execute(&world, &sql).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("administrator", &administrator);
    set_and_store(&world, &said, "administrator").await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn a_password_of_a_single_user_changed_by_hand_is_changed_in_the_database_and_stored() {
    let world = world(options()).await;
    let (secret, role) = (world.single_user(), world.role());
    execute(&world, &format!("ALTER ROLE {role} PASSWORD 'by hand'")).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("AWSCURRENT", "the password was changed by hand");
    set_and_store(&world, &said, "AWSCURRENT").await;
    assert_mended(&world, secret).await;
}

/// In the middle of a rotation that was given up: storing the value takes AWSPENDING off too.
#[tokio::test]
async fn one_cure_repairs_a_password_changed_by_hand_and_an_awspending_left_over() {
    let world = world(options()).await;
    let (secret, role) = (world.single_user(), world.role());
    leave_over(&world, secret, 2).await;
    execute(&world, &format!("ALTER ROLE {role} PASSWORD 'by hand'")).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(
        said.checks("wrong"),
        ["AWSCURRENT", "labels"],
        "{}",
        said.stdout
    );
    assert_eq!(said.commands("labels"), []);
    set_and_store(&world, &said, "AWSCURRENT").await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn the_administrator_restores_a_password_changed_by_hand_of_one_of_two_users() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    let role = world.alternating_role();
    let sql = format!("ALTER ROLE {role} PASSWORD 'by hand' VALID UNTIL '2000-01-01'");
    execute(&world, &sql).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.checks("wrong"), ["AWSCURRENT"], "{}", said.stdout);
    assert_eq!(
        said.verdicts()["administrator"],
        "skipped",
        "nobody has proven the server"
    );
    let before = document(&world, secret, "AWSCURRENT").await;
    let [repair] = &said.cure("AWSCURRENT");
    follow(&world, repair, "y\n").await;
    assert_eq!(document(&world, secret, "AWSCURRENT").await, before);
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn with_two_users_a_rotation_repairs_a_changed_password_while_the_other_user_logs_in() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let role = world.alternating_role();
    let sql = format!("ALTER ROLE {role}_clone PASSWORD 'by hand'");
    execute(&world, &sql).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.checks("wrong"), ["AWSCURRENT"], "{}", said.stdout);
    let [rotate] = &said.cure("AWSCURRENT");
    follow_rotation(&world, secret, rotate).await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn an_expired_certificate_is_reported_with_its_date_and_a_new_one_is_accepted() {
    let expired = Settings {
        certificate_days: -3,
        ..Settings::default()
    };
    let world = world(options().own_postgres(expired)).await;
    let secret = world.single_user();
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("certificate", "it has expired on 20");
    let logins = world.postgres().logins(world.role()).unwrap();
    assert_eq!(
        logins.accepted + logins.rejected,
        0,
        "nothing is sent to it"
    );

    let [reload] = &said.cure("certificate");
    for (days, verdict) in [(20, "warning"), (365, "ok")] {
        world.postgres().issue_certificate(days).unwrap();
        follow(&world, reload, "").await;
        // the server reloads when it gets around to it
        let said = until(&world, secret, "certificate", verdict).await;
        said.assert_ok();
    }
    assert_mended(&world, secret).await;
}
