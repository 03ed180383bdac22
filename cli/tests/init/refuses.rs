//! What exists differs from what this command would make: init reports it and changes nothing.

use serde_json::{Value, json};
use snapbox::str;

use crate::{
    NEW, assert_logs_in, assert_nothing_was_made,
    common::{
        administrator, call, called, command, document, execute, run, run_and_type, within, world,
    },
    current, describe, init, new_role, settled, verifier,
};

/// A secret of the new one's name, about this role.
async fn store(world: &local::world::World, role: &str, change: impl FnOnce(&mut Value)) {
    let mut stored = document(world, world.admin(), "AWSCURRENT").await;
    stored["username"] = role.into();
    stored["password"] = "someone's".into();
    stored["masterarn"] = world.secrets_manager().arn(world.admin()).into();
    change(&mut stored);
    let input = json!({ "Name": NEW, "SecretString": stored.to_string() });
    call(world, "CreateSecret", input).await;
}

#[tokio::test]
async fn an_existing_role_without_a_secret_keeps_its_password() {
    let world = world().await;
    let role = new_role(&world);
    execute(
        &world,
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'someone''s'"),
    )
    .await;
    let before = verifier(&world, &role).await;
    let ran = run(init(&world, &role, &[])).await;
    let ran = ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: the role app_of_orders_[..] exists on localhost:[..], but the secret app/db does not; nothing was changed, because an application may use the role's password: choose another --username, or store that password and run this again; store it in the console, or with this line in bash, which writes it to no file:  read -rsp 'password: ' PASSWORD; printf %s "$PASSWORD" | jq -Rs --argjson document '{[..]}' '$document + {password: .}' | aws secretsmanager create-secret --name app/db --secret-string file:///dev/stdin; unset PASSWORD

"#]]);
    assert_eq!(called(&world, "CreateSecret"), 0);
    assert_eq!(verifier(&world, &role).await, before);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let store = said.trim().split_once("to no file:  ").unwrap().1;
    let mut shell = std::process::Command::new("bash");
    within(&mut shell, world.endpoint()).args(["-c", store]);
    run_and_type(shell, "someone's\n").await.success();
    run(init(&world, &role, &[])).await.success();
    assert_logs_in(&world).await;
    assert_eq!(verifier(&world, &role).await, before);
}

#[tokio::test]
async fn an_existing_role_keeps_its_password_if_the_stored_one_differs() {
    let world = world().await;
    let role = new_role(&world);
    execute(
        &world,
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'another'"),
    )
    .await;
    let before = verifier(&world, &role).await;
    store(&world, &role, |_| {}).await;
    let ran = run(init(&world, &role, &[])).await;
    ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: localhost:[..] rejects app_of_orders_[..] with the password in the secret app/db (28P01), and nothing was changed, because an existing role keeps its password: store the role's password (rotatectl doctor app/db says how), or choose another name and another --username

"#]]);
    assert_eq!(verifier(&world, &role).await, before);
    assert_eq!(called(&world, "PutSecretValue"), 0);
}

#[tokio::test]
async fn a_secret_for_something_else_is_not_changed() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 6] = [
        ("host", |stored| stored["host"] = "elsewhere.invalid".into()),
        ("port", |stored| stored["port"] = 1.into()),
        ("dbname", |stored| stored["dbname"] = "another".into()),
        ("masterarn", |stored| stored["masterarn"] = Value::Null),
        ("strategy", |stored| {
            stored["strategy"] = "single-user".into()
        }),
        ("username", |stored| stored["username"] = "another".into()),
    ];
    for (field, change) in cases {
        let world = world().await;
        let role = new_role(&world);
        store(&world, &role, change).await;
        let before = current(&world).await;
        let ran = run(init(&world, &role, &[])).await.code(1);
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        let expected = format!(
            "the secret app/db exists with another {field} than in this command, and nothing was changed"
        );
        assert!(said.contains(&expected), "{field}: {said}");
        assert_eq!(current(&world).await, before);
        assert_eq!(verifier(&world, &role).await, None);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_or_has_no_value_is_reported() {
    for (value, said) in [
        (
            Some("no json"),
            "the secret app/db exists, and its AWSCURRENT version is not JSON",
        ),
        (None, "the secret app/db exists and has no value"),
    ] {
        let world = world().await;
        let role = new_role(&world);
        let input = json!({ "Name": NEW, "SecretString": value });
        call(&world, "CreateSecret", input).await;
        let ran = run(init(&world, &role, &[])).await.code(1);
        let stderr = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(verifier(&world, &role).await, None);
    }
}

#[tokio::test]
async fn a_secret_that_is_scheduled_for_deletion_is_reported_with_the_command_that_restores_it() {
    let world = world().await;
    let role = new_role(&world);
    run(init(&world, &role, &[])).await.success();
    call(&world, "DeleteSecret", json!({ "SecretId": NEW })).await;
    let ran = run(init(&world, &role, &[])).await;
    let ran = ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: the secret app/db is scheduled for deletion: restore it with  aws secretsmanager restore-secret --secret-id app/db  and run this again, or choose another name

"#]]);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let restore = said.split("  ").nth(1).unwrap();
    let mut shell = std::process::Command::new("sh");
    within(&mut shell, world.endpoint()).args(["-c", restore]);
    run(shell).await.success();
    run(init(&world, &role, &[])).await.success();
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn an_administrator_without_createrole_is_reported_with_the_statement_that_grants_it() {
    let world = world().await;
    let (role, administrator) = (new_role(&world), administrator(&world));
    execute(&world, &format!("ALTER ROLE {administrator} NOCREATEROLE")).await;
    let ran = run(init(&world, &role, &[])).await;
    let ran = ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: nothing was changed on localhost:[..]: the administrator admin_of_orders_[..] may not create and alter roles: as a superuser, run ALTER ROLE "admin_of_orders_[..]" CREATEROLE

"#]]);
    assert_nothing_was_made(&world, &role).await;
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let (_, cure) = said.split_once("run ").unwrap();
    execute(&world, cure).await;
    run(init(&world, &role, &[])).await.success();
}

#[tokio::test]
async fn a_name_that_the_server_refuses_is_found_before_anything_is_stored() {
    let world = world().await;
    for role in ["pg_app", "public", "none"] {
        let ran = run(init(&world, role, &[])).await.code(1);
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(said.contains("SQLSTATE 42939"), "{said}");
        assert_nothing_was_made(&world, role).await;
    }
}

#[tokio::test]
async fn a_name_whose_pair_would_not_rotate_is_found_before_anything_is_stored() {
    let world = world().await;
    let role = new_role(&world);
    execute(&world, &format!("CREATE ROLE {role}_clone")).await;
    let long = "x".repeat(58);
    let clone = format!("{}_clone", world.role());
    for (role, said) in [
        (
            role.as_str(),
            "_clone already, which would take turns with the new role",
        ),
        (&long, "is longer than the 63 bytes that PostgreSQL keeps"),
        (
            &clone,
            "give the new role a name that does not end in _clone",
        ),
    ] {
        let ran = run(init(&world, role, &[])).await.code(1);
        let stderr = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(said), "{stderr}");
        assert_nothing_was_made(&world, role).await;
    }
    run(init(&world, &role, &["--single-user"])).await.success();
}

#[tokio::test]
async fn a_secret_that_rotates_with_another_function_or_schedule_is_not_changed() {
    let world = world().await;
    let role = new_role(&world);
    let function = ["--function", "secret-rotation"];
    run(init(&world, &role, &function)).await.success();
    settled(&world).await;
    let before = describe(&world).await["RotationRules"].clone();
    for more in [
        &["--function", "another"][..],
        &["--function", "secret-rotation", "--schedule", "rate(1 day)"],
    ] {
        let ran = run(init(&world, &role, more)).await;
        ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: the secret app/db rotates with arn:aws:lambda:us-east-1:123456789012:function:secret-rotation, 30d, and nothing was changed: give the same --function and --schedule, or change them with  aws secretsmanager rotate-secret

"#]]);
    }
    assert_eq!(describe(&world).await["RotationRules"], before);
    // without --schedule, the error says how it rotates
    let ran = run(command(&world, &crate::arguments(&world, &role, &[]))).await;
    let said = crate::common::stdout_of(&ran.success());
    assert!(said.contains("secret-rotation rotates it, 30d"), "{said}");
}
