//! A new secret, from nothing to its first rotation.

use serde_json::json;
use snapbox::str;

use crate::{
    NEW, arguments, assert_logs_in, assert_nothing_was_made,
    common::{
        call, called, command, document, execute, json_of, log_in, rotatectl, rotated, run,
        stdout_of, within, world,
    },
    current, describe, init, new_role, settled,
};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[tokio::test]
async fn a_new_secret_of_two_users_can_rotate_at_once() {
    let world = world().await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &[])).await;
    ran.success()
        .stdout_eq(str![[r#"
app/db: the secret is stored, arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-[..]
app/db: the role app_of_orders_[..] is made on localhost:[..]
app/db: app_of_orders_[..] logs in on localhost:[..]

arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-[..]
  give the role what the application needs:
    =# GRANT … TO "app_of_orders_[..]";
  see whether all is well:
    $ rotatectl doctor app/db
  turn on rotation: add the ARN to the function's deployment (SecretArns), or run:
    $ aws secretsmanager rotate-secret --secret-id app/db --rotation-lambda-arn arn:aws:lambda:us-east-1:123456789012:function:NAME --rotation-rules 'ScheduleExpression=rate(30 days)' --no-rotate-immediately

"#]])
        .stderr_eq(str![[r#"
init app/db in account 123456789012, region us-east-1: store the secret (alternating users); make the role app_of_orders_[..] on localhost:[..], as admin_of_orders_[..]

"#]]);
    assert_logs_in(&world).await;
    let service = world.secrets_manager();
    service
        .configure_rotation(NEW, &world.function().arn(), 30)
        .unwrap();
    rotated(&world, NEW).await;
    for (label, user) in [
        ("AWSCURRENT", format!("{role}_clone")),
        ("AWSPREVIOUS", role),
    ] {
        let document = document(&world, NEW, label).await;
        assert_eq!(document["username"], user.as_str());
        log_in(&world, &document).await.unwrap();
    }
    let ran = rotatectl(&world, &["doctor", NEW]).await;
    ran.success();
}

#[tokio::test]
async fn a_single_user_rotates_too_and_its_document_names_no_administrator() {
    let world = world().await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &["--single-user"])).await;
    ran.success();
    let first = current(&world).await.unwrap();
    assert_eq!(first.get("masterarn"), None);
    log_in(&world, &first).await.unwrap();
    let service = world.secrets_manager();
    service
        .configure_rotation(NEW, &world.function().arn(), 30)
        .unwrap();
    rotated(&world, NEW).await;
    let second = current(&world).await.unwrap();
    assert_eq!(second["username"], role.as_str());
    assert_ne!(first["password"], second["password"]);
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn the_document_has_the_administrators_address_and_a_password_that_is_safe_in_a_url() {
    let world = world().await;
    let role = new_role(&world);
    run(init(&world, &role, &["--dbname", "postgres"]))
        .await
        .success();
    let mut document = current(&world).await.unwrap();
    let password = document["password"].take();
    let password = password.as_str().unwrap();
    assert_eq!(password.len(), 32);
    let safe = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    assert!(password.chars().all(safe));
    let expected = json!({
        "engine": "postgres",
        "host": world.postgres().host(),
        "port": world.postgres().port(),
        "username": role,
        "password": null,
        "dbname": "postgres",
        "masterarn": world.secrets_manager().arn(world.admin()),
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn with_a_function_rotation_is_turned_on_and_tested_but_not_run() {
    let world = world().await;
    let role = new_role(&world);
    let function = [
        "--function",
        "secret-rotation",
        "--schedule",
        "rate(10 days)",
    ];
    let ran = run(init(&world, &role, &function)).await.success();
    let said = stdout_of(&ran);
    let arn = world.function().arn();
    assert!(
        said.contains(&format!("app/db: {arn} rotates it, 10d")),
        "{said}"
    );
    assert!(!said.contains("turn on rotation"), "{said}");
    let described = describe(&world).await;
    assert_eq!(described["RotationEnabled"], true);
    assert_eq!(described["RotationLambdaARN"], arn.as_str());
    assert_eq!(
        described["RotationRules"]["ScheduleExpression"],
        "rate(10 days)"
    );
    settled(&world).await;
    assert_eq!(current(&world).await.unwrap()["username"], role.as_str());
    rotatectl(&world, &["doctor", NEW]).await.success();
    rotated(&world, NEW).await;
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn the_secret_has_the_given_key_and_the_given_replicas() {
    let world = world().await;
    let role = new_role(&world);
    let given = [
        "--kms-key",
        KEY,
        "--replica",
        "eu-west-1",
        "--replica",
        "eu-central-1",
    ];
    run(init(&world, &role, &given)).await.success();
    let described = describe(&world).await;
    assert_eq!(described["KmsKeyId"], KEY);
    let replicas = described["ReplicationStatus"].as_array().unwrap();
    let regions: Vec<_> = replicas.iter().map(|of| of["Region"].clone()).collect();
    assert_eq!(regions, ["eu-west-1", "eu-central-1"]);
}

#[tokio::test]
async fn the_next_steps_are_commands_that_can_be_run() {
    let world = world().await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &["--json"])).await;
    let said = json_of(&ran.success());
    let shell = |step: usize| said["next"][step]["command"]["shell"].as_str().unwrap();
    let rotate = shell(2).replace(":NAME", ":secret-rotation");
    for line in [rotate.as_str(), shell(1)] {
        let mut command = std::process::Command::new("sh");
        within(&mut command, world.endpoint()).args(["-c", line]);
        command.env("TLS_CA_FILE", world.ca_file());
        run(command).await.success();
        settled(&world).await;
    }
    let grant = said["next"][0]["command"]["psql"].as_str().unwrap();
    execute(&world, &grant.replace('…', "pg_monitor")).await;
    let rules = &describe(&world).await["RotationRules"];
    assert_eq!(rules["ScheduleExpression"], "rate(30 days)");
}

#[tokio::test]
async fn the_json_output_is_one_object() {
    let world = world().await;
    let role = new_role(&world);
    let ran = run(init(&world, &role, &["--json", "--single-user"])).await;
    let said = json_of(&ran.success());
    let described = describe(&world).await;
    assert_eq!(said["arn"], described["ARN"]);
    assert_eq!(said["username"], role.as_str());
    assert_eq!(said["strategy"], "single user");
    let made = json!({ "secret": true, "role": true, "rotation": false });
    assert_eq!(said["made"], made);
    let grant = format!("GRANT … TO \"{role}\";");
    assert_eq!(said["next"][0]["command"]["psql"], grant.as_str());
}

#[tokio::test]
async fn a_role_whose_name_needs_quotes_is_made_and_rotates() {
    let world = world().await;
    let role = format!("Orders \"x\"; -- ' {}", world.role());
    let ran = run(init(&world, &role, &["--function", "secret-rotation"])).await;
    let said = stdout_of(&ran.success());
    let grant = format!("GRANT … TO \"{}\";", role.replace('"', "\"\""));
    assert!(said.contains(&grant), "{said}");
    settled(&world).await;
    rotated(&world, NEW).await;
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_made() {
    let world = world().await;
    let role = new_role(&world);
    let asked: Vec<_> = arguments(&world, &role, &[]);
    let asked: Vec<_> = asked.into_iter().filter(|word| *word != "--yes").collect();
    let before = called(&world, "CreateSecret");
    let ran = run(command(&world, &asked)).await;
    ran.code(1).stdout_eq("").stderr_eq(str![[r#"
init app/db in account 123456789012, region us-east-1: store the secret (alternating users); make the role app_of_orders_[..] on localhost:[..], as admin_of_orders_[..]
rotatectl: cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes

"#]]);
    assert_eq!(called(&world, "CreateSecret"), before);
    assert_nothing_was_made(&world, &role).await;
}

#[tokio::test]
async fn the_new_secret_turns_tls_off_if_the_administrators_secret_does() {
    let world = world().await;
    let role = new_role(&world);
    let mut administrator = document(&world, world.admin(), "AWSCURRENT").await;
    administrator["ssl"] = false.into();
    let input = json!({ "SecretId": world.admin(), "SecretString": administrator.to_string() });
    call(&world, "PutSecretValue", input).await;
    run(init(&world, &role, &[])).await.success();
    assert_eq!(current(&world).await.unwrap()["ssl"], false);
}

#[tokio::test]
async fn control_characters_in_a_name_do_not_reach_the_terminal_in_the_question() {
    let world = world().await;
    let role = format!("\u{1b}[2J\n{}", new_role(&world));
    let ran = run(init(&world, &role, &[])).await.success();
    let output = ran.get_output();
    for said in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(said).contains('\u{1b}'));
    }
    let asked = String::from_utf8_lossy(&output.stderr);
    assert_eq!(asked.lines().count(), 1, "{asked}");
}
