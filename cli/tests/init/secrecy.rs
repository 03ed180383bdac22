//! The password stands in Secrets Manager, and nowhere else.

use local::postgres::Settings;

use crate::{
    assert_logs_in,
    common::{execute, options, password, run, start},
    current, init, new_role,
};

#[tokio::test]
async fn no_password_is_in_an_output_an_argument_the_servers_log_or_its_statistics() {
    let world = start(
        options().own_postgres(Settings {
            conf:
                "log_statement = all\nlog_min_duration_statement = 0\nlog_min_messages = debug1\n\
               shared_preload_libraries = pg_stat_statements\npg_stat_statements.track = all\n\
               pg_stat_statements.track_utility = on"
                    .to_owned(),
            ..Settings::default()
        }),
    )
    .await;
    execute(&world, "CREATE EXTENSION pg_stat_statements").await;
    let role = new_role(&world);
    let mut told = String::new();
    for more in [&["--json"][..], &[]] {
        let mut command = init(&world, &role, more);
        for variable in ["RUST_LOG", "LOG_LEVEL"] {
            command.env(variable, "trace");
        }
        told += &format!("{command:?}");
        let ran = run(command).await.success();
        let output = ran.get_output();
        told += &String::from_utf8(output.stdout.clone()).unwrap();
        told += &String::from_utf8(output.stderr.clone()).unwrap();
    }
    assert_logs_in(&world).await;
    let log = world.postgres().log().unwrap();
    assert!(
        log.contains(&format!("CREATE ROLE \"{role}\" LOGIN")),
        "it is logged"
    );
    let client = world.postgres().superuser_client().await.unwrap();
    let rows = client
        .query("SELECT query FROM pg_stat_statements", &[])
        .await
        .unwrap();
    let statements: String = rows.iter().map(|row| row.get::<_, String>(0)).collect();
    assert!(statements.contains("CREATE ROLE"), "{statements}");
    let new = current(&world).await.unwrap();
    let administrators = password(&world, world.admin(), "AWSCURRENT").await;
    for secret in [new["password"].as_str().unwrap(), &administrators] {
        for (place, text) in [
            ("output", &told),
            ("log", &log),
            ("statistics", &statements),
        ] {
            assert!(!text.contains(secret), "a password is in the {place}");
        }
    }
    // the output holds no verifier either
    assert!(!told.contains("SCRAM-SHA-256$"), "{told}");
}
