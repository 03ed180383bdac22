//! Nothing is wrong.

use super::*;

/// The report with what differs from run to run taken out.
fn recorded(world: &World, said: &Said) -> String {
    let date = |word: &str| {
        let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let shape: String = word.chars().map(digits).collect();
        shape.starts_with("0000-00-00T00:00:00Z")
    };
    let port = world.postgres().port().to_string();
    let arn = world.secrets_manager().arn(world.admin()).unwrap();
    let ipv6 = "is ::1, 127.0.0.1 from";
    let stdout = said
        .stdout
        .replace(&port, "[PORT]")
        .replace(&arn, "[ADMIN_ARN]");
    let stdout = stdout
        .replace(ipv6, "is 127.0.0.1 from")
        .replace("is 127.0.0.1, ::1 from", "is 127.0.0.1 from");
    let lines = stdout.lines().map(|line| {
        let words: Vec<&str> = line
            .split(' ')
            .map(|word| {
                if date(word) {
                    if word.ends_with(',') {
                        "[DATE],"
                    } else {
                        "[DATE]"
                    }
                } else {
                    word
                }
            })
            .collect();
        words.join(" ") + "\n"
    });
    lines.collect()
}

/// On a server of its own, where names need no suffix.
async fn own_world() -> World {
    world(options().own_postgres(local::postgres::Settings::default())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_with_which_nothing_is_wrong_has_a_line_for_each_check() {
    let world = own_world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        assert!(
            world
                .secrets_manager()
                .rotate(secret)
                .await
                .unwrap()
                .succeeded
        );
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

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_never_rotated_is_as_healthy() {
    let world = world(options()).await;
    for secret in [world.single_user(), world.alternating_users()] {
        assert_mended(&world, secret).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_tells_the_same_with_a_stable_word_for_each_check() {
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

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_shown_when_they_are_asked_for() {
    let world = world(options()).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotatectl"));
    command.args(["doctor", world.single_user()]);
    let said = run(&world, &mut command, "");
    assert!(!said.stdout.contains('\u{1b}'));
    // `run` takes CLICOLOR_FORCE away, so a shell sets it
    let forced = format!("CLICOLOR_FORCE=1 rotatectl doctor {}", world.single_user());
    let said = run(&world, Command::new("sh").args(["-c", &forced]), "");
    assert!(said.stdout.contains("\u{1b}[32mok"), "{}", said.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_cannot_be_examined() {
    let world = world(options()).await;
    let said = doctor(&world, &["demo/nobody"], "").await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr
            .contains("secretsmanager:DescribeSecret: there is no such thing"),
        "{}",
        said.stderr
    );
    assert_eq!(said.stdout, "");
}
