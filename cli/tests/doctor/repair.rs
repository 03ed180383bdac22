//! `--repair`: asked before anything is changed, and nothing is stored that was not tried.

use super::*;

#[tokio::test]
async fn without_confirmation_nothing_is_changed() {
    let world = world(options()).await;
    let secret = world.single_user();
    let token = leave_over(&world, secret, 1).await;
    let before = call(&world, "DescribeSecret", json!({ "SecretId": secret })).await;
    for answer in ["", "n\n", "no\n", "\n"] {
        let said = doctor(&world, &[secret, "--repair"], answer).await;
        said.assert_wrong("labels", &token);
        assert!(
            said.stderr
                .contains(&format!("Remove AWSPENDING from {token}? [y/N]")),
            "{}",
            said.stderr
        );
    }
    let after = call(&world, "DescribeSecret", json!({ "SecretId": secret })).await;
    assert_eq!(after["VersionIdsToStages"], before["VersionIdsToStages"]);
}

#[tokio::test]
async fn each_kind_of_awspending_left_over_is_repaired_and_a_new_report_follows() {
    let world = world(options()).await;
    let secret = world.single_user();
    for steps in [0, 1, 2, 3] {
        leave_over(&world, secret, steps).await;
        let said = doctor(&world, &[secret, "--repair", "--yes", "--json"], "").await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let report: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(report["ok"], true);
        assert_mended(&world, secret).await;
    }
}

#[tokio::test]
async fn a_typed_password_that_the_server_rejects_is_not_stored() {
    let world = world(options()).await;
    let (secret, role) = (world.single_user(), world.role());
    execute(&world, &format!("ALTER ROLE {role} PASSWORD 'set by hand'")).await;
    let before = document(&world, secret, "AWSCURRENT").await;
    for (typed, why) in [
        ("not that one\n", "rejects that password"),
        ("\n", "no password was given"),
        ("", "no password was given"),
    ] {
        let said = doctor(&world, &[secret, "--repair", "--yes"], typed).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(why), "{}", said.stderr);
        assert_eq!(document(&world, secret, "AWSCURRENT").await, before);
    }
    let said = doctor(&world, &[secret, "--repair", "--yes"], "set by hand\n").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn a_repair_stores_the_same_document_with_another_password() {
    let world = world(options()).await;
    let (secret, role) = (world.single_user(), world.role());
    store(&world, secret, "application", json!({ "of": "ours" })).await;
    let before = document(&world, secret, "AWSCURRENT").await;
    execute(&world, &format!("ALTER ROLE {role} PASSWORD 'set by hand'")).await;
    doctor(&world, &[secret, "--repair", "--yes"], "set by hand\n").await;
    let mut after = document(&world, secret, "AWSCURRENT").await;
    assert_eq!(after["password"], "set by hand");
    after["password"] = before["password"].clone();
    assert_eq!(after.to_string(), before.to_string());
}

#[tokio::test]
async fn the_administrators_password_goes_to_an_unproven_server_only_if_a_person_agrees() {
    let world = world(options()).await;
    let (secret, role) = (world.alternating_users(), world.alternating_role());
    execute(&world, &format!("ALTER ROLE {role} PASSWORD 'by hand'")).await;
    let said = doctor(&world, &[secret, "--repair", "--yes"], "").await;
    said.assert_wrong("AWSCURRENT", "the password was changed by hand");
    let question = format!(
        "Set the password of {role} on localhost:{} to",
        world.postgres().port()
    );
    assert!(said.stderr.contains(&question), "{}", said.stderr);
    let logins = world.postgres().logins(&administrator(&world)).unwrap();
    assert_eq!(logins.accepted + logins.rejected, 0);
}

#[tokio::test]
async fn a_rejected_administrator_restores_no_password() {
    let world = world(options()).await;
    let (secret, role, admin) = (
        world.alternating_users(),
        world.alternating_role(),
        administrator(&world),
    );
    execute(
        &world,
        &format!("ALTER ROLE {role} PASSWORD 'by hand'; ALTER ROLE {admin} PASSWORD 'by hand'"),
    )
    .await;
    let said = doctor(&world, &[secret, "--repair"], "y\n").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("rejects the administrator"),
        "{}",
        said.stderr
    );
}
