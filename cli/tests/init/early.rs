//! What can be known before anything is stored is looked at before anything is stored.

use local::{postgres::Postgres, world::World};
use serde_json::json;

use crate::{
    NEW, assert_logs_in, assert_nothing_was_made,
    common::{
        administrator, call, called, command, document, execute, inject_error, options,
        options_with, put, rotated, run, start, stdout_of, within, world,
    },
    current, describe, init, new_role, settled,
};

const FUNCTION: [&str; 2] = ["--function", "secret-rotation"];

/// Refuses, says this, and has made nothing. Returns all that it said.
async fn refuses(world: &World, role: &str, more: &[&str], expected: &str) -> String {
    let ran = run(init(world, role, more)).await.code(1).stdout_eq("");
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(said.contains(expected), "{said}");
    assert_nothing_was_made(world, role).await;
    said
}

/// A database that nobody else on the tests' server has.
async fn new_database(world: &World) -> String {
    let name = format!("db_of_{}", world.role());
    execute(world, &format!("CREATE DATABASE {name}")).await;
    name
}

#[tokio::test]
async fn an_absent_database_is_reported_with_the_statement_that_creates_it() {
    let world = world().await;
    let role = new_role(&world);
    let typo = format!("typo_of_{}", world.role());
    let expected = format!("there is no database {typo}");
    let said = refuses(&world, &role, &["--dbname", &typo], &expected).await;
    let cure = said.trim().split_once("run ").unwrap().1;
    assert_eq!(cure, format!("CREATE DATABASE \"{typo}\""));
    execute(&world, cure).await;
    run(init(&world, &role, &["--dbname", &typo]))
        .await
        .success();
    assert_eq!(current(&world).await.unwrap()["dbname"], typo.as_str());
}

#[tokio::test]
async fn a_database_that_admits_no_role_is_reported_with_the_statement_that_grants_access() {
    let world = world().await;
    let role = new_role(&world);
    let dbname = new_database(&world).await;
    let close = format!("ALTER DATABASE {dbname} ALLOW_CONNECTIONS false");
    execute(&world, &close).await;
    let said = refuses(
        &world,
        &role,
        &["--dbname", &dbname],
        "allows no connections",
    )
    .await;
    let cure = said.trim().split_once("run ").unwrap().1;
    execute(&world, cure).await;
    run(init(&world, &role, &["--dbname", &dbname]))
        .await
        .success();
}

#[tokio::test]
async fn an_administrator_with_the_right_lets_the_role_connect() {
    let world = world().await;
    let role = new_role(&world);
    let dbname = new_database(&world).await;
    let revoke = format!("REVOKE CONNECT ON DATABASE {dbname} FROM PUBLIC");
    execute(&world, &revoke).await;
    let given = [&["--dbname", dbname.as_str()][..], &FUNCTION].concat();
    let said = refuses(&world, &role, &given, "may not connect to the database").await;
    let cure = said.trim().split_once("run ").unwrap().1;
    execute(&world, cure).await;
    let ran = run(init(&world, &role, &given)).await.success();
    let asked = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let expected = format!("make the role {role}, which may connect to {dbname}, on ");
    assert!(asked.contains(&expected), "{asked}");
    settled(&world).await;
    // the clone has it from its base
    for _ in 0..2 {
        rotated(&world, NEW).await;
        assert_logs_in(&world).await;
    }
}

#[tokio::test]
async fn a_stored_secret_for_an_absent_database_is_reported() {
    let world = world().await;
    let role = new_role(&world);
    let dbname = new_database(&world).await;
    let given = ["--dbname", dbname.as_str()];
    run(init(&world, &role, &given)).await.success();
    execute(&world, &format!("DROP DATABASE {dbname}")).await;
    let ran = run(init(&world, &role, &given)).await.code(1);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(said.contains("3D000"), "{said}");
    assert!(!said.contains("rotate again"), "{said}");
    assert!(said.contains("run this again"), "{said}");
}

#[tokio::test]
async fn a_schedule_that_the_service_would_refuse_is_refused_before_anything_is_asked() {
    let world = world().await;
    let role = new_role(&world);
    let before = world.postgres().logins(&administrator(&world)).unwrap();
    for schedule in ["rate(1 banana)", "rate(1 hour)", "cron(5 8 * * ? *)"] {
        let given = [&FUNCTION[..], &["--schedule", schedule]].concat();
        let said = refuses(&world, &role, &given, "for '--schedule <EXPRESSION>'").await;
        assert!(said.contains("rate(N hours) with 4 or more"), "{said}");
    }
    assert_eq!(called(&world, "GetSecretValue"), 0);
    let after = world.postgres().logins(&administrator(&world)).unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_schedule_that_only_the_service_refuses_is_reported_and_another_one_continues() {
    let world = world().await;
    let role = new_role(&world);
    let message = "The expression is refused.";
    inject_error(&world, "RotateSecret", "InvalidParameterException", message);
    let ran = run(init(&world, &role, &FUNCTION)).await.code(1);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let expected = format!(
        "Secrets Manager refuses to turn on rotation (InvalidParameterException: {message})"
    );
    assert!(said.contains(&expected), "{said}");
    assert!(!said.contains("not known"), "{said}");
    assert!(said.contains("another --schedule"), "{said}");
    let given = [&FUNCTION[..], &["--schedule", "cron(0 8 1 * ? *)"]].concat();
    run(init(&world, &role, &given)).await.success();
    settled(&world).await;
    let rules = &describe(&world).await["RotationRules"];
    assert_eq!(rules["ScheduleExpression"], "cron(0 8 1 * ? *)");
}

#[tokio::test]
async fn an_absent_function_is_found_before_anything_is_stored() {
    let world = world().await;
    let role = new_role(&world);
    for function in [
        "another",
        "arn:aws:lambda:us-east-1:123456789012:function:another",
    ] {
        let expected =
            format!("the function {function} does not exist here, and nothing was changed");
        refuses(&world, &role, &["--function", function], &expected).await;
    }
}

#[tokio::test]
async fn a_function_that_secrets_manager_may_not_invoke_is_reported_with_the_command_that_allows_it()
 {
    let world = world().await;
    let role = new_role(&world);
    world.function().set_policy(Vec::new());
    let expected = "Secrets Manager may not invoke the function";
    let said = refuses(&world, &role, &FUNCTION, expected).await;
    let allow = said.split("  ").nth(1).unwrap();
    let mut shell = std::process::Command::new("sh");
    within(&mut shell, world.endpoint()).args(["-c", allow]);
    run(shell).await.success();
    run(init(&world, &role, &FUNCTION)).await.success();
    settled(&world).await;
}

#[tokio::test]
async fn an_administrator_that_the_function_does_not_list_is_found_before_anything_is_stored() {
    let listed = options_with(&[(
        "ADMINISTRATOR_SECRETS",
        "arn:aws:secretsmanager:*:secret:others/*",
    )]);
    let world = start(listed).await;
    let role = new_role(&world);
    let expected =
        "is not in the ADMINISTRATOR_SECRETS of secret-rotation, and nothing was changed";
    refuses(&world, &role, &FUNCTION, expected).await;
    // a single user has no administrator
    let given = [&FUNCTION[..], &["--single-user"]].concat();
    run(init(&world, &role, &given)).await.success();
    settled(&world).await;
}

#[tokio::test]
async fn a_replica_in_the_secrets_own_region_or_in_a_repeated_or_empty_region_is_refused() {
    let world = world().await;
    let role = new_role(&world);
    for given in [
        &["--replica", "us-east-1"][..],
        &["--replica", "eu-west-1", "--replica", "eu-west-1"],
    ] {
        refuses(
            &world,
            &role,
            given,
            "regions other than the secret's, each once",
        )
        .await;
    }
    for given in ["Europe", "eu_west_1", "--yes"] {
        refuses(&world, &role, &["--replica", given], "'--replica <REGION>'").await;
    }
}

#[tokio::test]
async fn at_a_standby_nothing_is_stored_and_with_the_writers_address_it_continues() {
    let primary = Postgres::start(Default::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = start(options().on_postgres(primary)).await;
    standby.catch_up_with(world.postgres()).await.unwrap();
    let role = new_role(&world);
    let mut stored = document(&world, world.admin(), "AWSCURRENT").await;
    stored["port"] = standby.port().into();
    put(&world, world.admin(), &stored).await;
    let expected = "is a standby, which is read-only: store the writer's address in demo/admin";
    refuses(&world, &role, &FUNCTION, expected).await;
    stored["rotationport"] = world.postgres().port().into();
    put(&world, world.admin(), &stored).await;
    run(init(&world, &role, &FUNCTION)).await.success();
    settled(&world).await;
    let port = &current(&world).await.unwrap()["port"];
    assert_eq!(*port, json!(world.postgres().port()));
}

#[tokio::test]
async fn rotation_is_not_turned_on_for_a_stored_secret_that_logs_in_at_a_standby() {
    let primary = Postgres::start(Default::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = start(options().on_postgres(primary)).await;
    let role = new_role(&world);
    run(init(&world, &role, &[])).await.success();
    standby.catch_up_with(world.postgres()).await.unwrap();
    for secret in [world.admin(), NEW] {
        let mut stored = document(&world, secret, "AWSCURRENT").await;
        stored["port"] = standby.port().into();
        put(&world, secret, &stored).await;
    }
    let ran = run(init(&world, &role, &FUNCTION)).await.code(1);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(said.contains("is a standby"), "{said}");
    assert_eq!(called(&world, "RotateSecret"), 0);
}

#[tokio::test]
async fn a_stored_secret_of_a_superuser_is_refused_until_the_role_is_no_superuser() {
    let world = world().await;
    let role = new_role(&world);
    run(init(&world, &role, &[])).await.success();
    let before = current(&world).await;
    execute(&world, &format!("ALTER ROLE {role} SUPERUSER")).await;
    for given in [&[][..], &FUNCTION] {
        let ran = run(init(&world, &role, given)).await.code(1).stdout_eq("");
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(said.contains(&format!("{role} is a superuser")), "{said}");
        let cure = said.trim().split_once("run ").unwrap().1;
        assert_eq!(cure, format!("ALTER ROLE \"{role}\" NOSUPERUSER"));
    }
    assert_eq!(called(&world, "RotateSecret"), 0);
    assert_eq!(current(&world).await, before);
    execute(&world, &format!("ALTER ROLE {role} NOSUPERUSER")).await;
    run(init(&world, &role, &FUNCTION)).await.success();
    settled(&world).await;
}

#[tokio::test]
async fn a_name_may_begin_with_a_hyphen_and_an_option_is_not_read_as_a_name() {
    let world = world().await;
    let (role, dbname) = (format!("-x {}", world.role()), format!("-{}", world.role()));
    execute(&world, &format!("CREATE DATABASE \"{dbname}\"")).await;
    let administrator = world.admin();
    let given = [
        "init",
        NEW,
        "--administrator",
        administrator,
        "--yes",
        "--username",
    ];
    for option in ["--yes", "--single-user", "--dbname=x", "--region", "-h"] {
        let ran = run(command(&world, &[&given[..], &[option]].concat())).await;
        let ran = ran.code(1).stdout_eq("");
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        let expected = format!("invalid value '{option}' for '--username <ROLE>': it is an option");
        assert!(said.contains(&expected), "{said}");
    }
    let ran = run(init(
        &world,
        &role,
        &["--dbname", &dbname, "--function", "-y"],
    ))
    .await;
    let said = String::from_utf8(ran.code(1).get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("the function -y does not exist here"),
        "{said}"
    );
    let ran = run(init(&world, &role, &["--dbname", &dbname]))
        .await
        .success();
    let asked = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(
        asked.contains(&format!("make the role {role} on ")),
        "{asked}"
    );
    assert!(stdout_of(&ran).contains(&format!("GRANT … TO \"{role}\";")));
    assert_logs_in(&world).await;
}

/// What init says about another administrator's secret.
async fn says_of_administrator(world: &World, administrator: &str) -> String {
    let role = new_role(world);
    let words = ["init", NEW, "--username", &role, "--administrator"];
    let words = [&words[..], &[administrator, "--yes"]].concat();
    let ran = run(command(world, &words)).await.code(1).stdout_eq("");
    assert_nothing_was_made(world, &role).await;
    String::from_utf8(ran.get_output().stderr.clone()).unwrap()
}

#[tokio::test]
async fn an_absent_administrators_secret_is_named_and_a_similar_name_is_suggested() {
    let world = world().await;
    let said = says_of_administrator(&world, "demo/admn").await;
    let expected = "rotatectl: no secret \"demo/admn\" in us-east-1 (account 123456789012); did you mean \"demo/admin\"?\n";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn without_the_right_to_describe_an_absent_administrators_secret_is_still_named() {
    let world = world().await;
    inject_error(&world, "DescribeSecret", "AccessDeniedException", "not you");
    let said = says_of_administrator(&world, "demo/admn").await;
    let expected = "rotatectl: the administrator's secret, demo/admn, was not found";
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
async fn an_administrators_secret_without_a_value_is_not_called_absent() {
    let world = world().await;
    call(&world, "CreateSecret", json!({ "Name": "demo/empty" })).await;
    let said = says_of_administrator(&world, "demo/empty").await;
    let expected = "rotatectl: the administrator's secret, demo/empty, has no value: store one with host, username and password\n";
    assert_eq!(said, expected);
}
