//! Nothing is wrong.

use super::*;

/// The report with what differs from run to run taken out.
fn recorded(world: &World, said: &Said) -> String {
    let port = world.postgres().port().to_string();
    let arn = world.secrets_manager().arn(world.admin()).unwrap();
    let stdout = said
        .stdout
        .replace(&port, "[PORT]")
        .replace(&arn, "[ADMIN_ARN]");
    // a machine may have localhost twice
    let stdout = stdout.replace("is ::1, 127.0.0.1 from", "is 127.0.0.1 from");
    let stdout = stdout.replace("is 127.0.0.1, ::1 from", "is 127.0.0.1 from");
    stdout
        .split_inclusive([' ', '\n'])
        .map(without_date)
        .collect()
}

/// `2026-11-21T10:29:54Z` at the beginning of a word.
fn without_date(word: &str) -> String {
    const DATE: &str = "0000-00-00T00:00:00Z";
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shape: String = word.chars().map(digits).collect();
    match shape.strip_prefix(DATE) {
        Some(_) => format!("[DATE]{}", &word[DATE.len()..]),
        None => word.to_owned(),
    }
}

/// On a server of its own, where names need no suffix.
async fn own_world() -> World {
    world(options().own_postgres(Settings::default())).await
}

#[tokio::test]
async fn a_healthy_secret_has_a_line_for_each_check() {
    let world = own_world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        rotated(&world, secret).await;
    }
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_ok();
    snapbox::assert_data_eq!(recorded(&world, &said), snapbox::file!["single_user.txt"]);
    let said = doctor(&world, &[world.alternating_users()], "").await;
    said.assert_ok();
    snapbox::assert_data_eq!(
        recorded(&world, &said),
        snapbox::file!["alternating_users.txt"]
    );
}

#[tokio::test]
async fn a_secret_that_has_rotated_is_healthy_wherever_awspending_is() {
    for promotion in Promotion::ALL {
        let world = world(options_where(promotion)).await;
        for secret in [world.single_user(), world.alternating_users()] {
            rotated(&world, secret).await;
            doctor(&world, &[secret], "").await.assert_ok();
        }
    }
}

#[tokio::test]
async fn the_faults_are_printed_before_the_cures() {
    let world = own_world().await;
    let secret = world.alternating_users();
    world.function().set_policy(Vec::new());
    execute(
        &world,
        "ALTER ROLE admin_of_orders NOCREATEROLE; REVOKE pg_signal_backend FROM admin_of_orders",
    )
    .await;
    let token = leave_over(&world, secret, 0).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.code, Some(2));
    let recorded = recorded(&world, &said).replace(&token, "[TOKEN]");
    snapbox::assert_data_eq!(recorded, snapbox::file!["broken.txt"]);
}

#[tokio::test]
async fn a_secret_that_never_rotated_is_healthy_too() {
    let world = world(options()).await;
    for secret in [world.single_user(), world.alternating_users()] {
        assert_mended(&world, secret).await;
    }
}

#[tokio::test]
async fn json_reports_the_same_with_a_stable_code_for_each_check() {
    let world = world(options()).await;
    execute(
        &world,
        &format!("ALTER ROLE {} NOCREATEROLE", administrator(&world)),
    )
    .await;
    let secret = world.alternating_users();
    let lines = doctor(&world, &[secret], "").await;
    let said = doctor(&world, &[secret, "--json"], "").await;
    assert_eq!(said.code, Some(2));
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(
        report["secret"],
        world.secrets_manager().arn(secret).unwrap()
    );
    let findings = report["findings"].as_array().unwrap();
    let verdicts: BTreeMap<&str, &str> = findings
        .iter()
        .map(|finding| {
            (
                finding["check"].as_str().unwrap(),
                finding["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(verdicts, lines.verdicts());
    let right = findings
        .iter()
        .find(|finding| finding["verdict"] == "wrong")
        .unwrap();
    let cure = format!("ALTER ROLE \"{}\" CREATEROLE;", administrator(&world));
    assert_eq!(right["cure"]["commands"], json!([{ "psql": cure }]));
}

#[cfg(target_os = "linux")] // elsewhere script takes other options
#[tokio::test]
async fn colours_appear_only_in_a_terminal_that_supports_them() {
    let world = world(options()).await;
    // script gives it a terminal; `doctor` has seen in every test that there are none in a pipe
    for (variables, coloured) in [
        ("TERM=xterm", true),
        ("TERM=xterm NO_COLOR=1", false),
        ("TERM=dumb", false),
    ] {
        let command = format!("env {variables} rotatectl doctor {}", world.single_user());
        let arguments = ["-qec", &command, "/dev/null"];
        let said = run_program(&world, "script", &arguments, "").await;
        assert!(said.stdout.contains("logs in as"), "{}", said.stdout);
        assert_eq!(
            said.stdout.contains("\u{1b}["),
            coloured,
            "{variables}: {}",
            said.stdout
        );
    }
}

#[tokio::test]
async fn an_absent_secret_cannot_be_examined() {
    let world = world(options()).await;
    let said = doctor(&world, &["demo/nobody"], "").await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr
            .contains("no secret \"demo/nobody\" in us-east-1"),
        "{}",
        said.stderr
    );
    assert_eq!(said.stdout, "");
}
