//! Hostile names: any name of a role or a database, and any password, is rotated, and none is run as SQL.

#![cfg(test)]

mod common;

use std::cell::Cell;

use common::{STEPS, administrator, current, invoke, log_in, options_with, start};
use local::world::World;
use proptest::test_runner::{Config, TestRunner};

/// A world whose passwords may hold any character.
async fn world() -> World {
    start(options_with(&[("EXCLUDE_CHARACTERS", "")])).await
}

/// The server itself quotes and runs the statement: the code under test must not quote for its own test.
async fn run(world: &World, template: &str, arguments: &[&str]) {
    let client = world.postgres().superuser_client().await.unwrap();
    let literals = (1..=arguments.len())
        .map(|n| format!(", ${n}::text"))
        .collect::<String>();
    let question = format!("SELECT format('{template}'{literals})");
    let arguments: Vec<_> = arguments
        .iter()
        .map(|a| a as &(dyn tokio_postgres::types::ToSql + Sync))
        .collect();
    let sql: String = client
        .query_one(&question, &arguments)
        .await
        .unwrap()
        .get(0);
    client.batch_execute(&sql).await.unwrap();
}

async fn rotates(world: &World, number: usize, user: &str, password: &str, dbname: &str) {
    let administrator = administrator(world);
    run(world, "CREATE ROLE %I LOGIN PASSWORD %L", &[user, password]).await;
    let grant = "GRANT %I TO %I WITH ADMIN OPTION";
    run(world, grant, &[user, &administrator]).await;
    run(world, "CREATE DATABASE %I", &[dbname]).await;
    let set = "ALTER ROLE %I IN DATABASE %I SET search_path TO %I, public";
    run(world, set, &[user, dbname, user]).await;

    let mut document = current(world, world.alternating_users()).await;
    for (key, value) in [
        ("username", user),
        ("password", password),
        ("dbname", dbname),
    ] {
        document[key] = value.into();
    }
    let mut single = document.clone();
    single.as_object_mut().unwrap().remove("masterarn");
    // alternating users first: that keeps the base role's password
    for (secret, document) in [("alternating", document), ("single", single)] {
        // a single user with an end is refused
        let lift = "ALTER ROLE %I VALID UNTIL %L";
        run(world, lift, &[user, "infinity"]).await;
        let secret = format!("hostile/{secret}/{number}");
        common::staged_secret(world, &secret, &document.to_string()).await;
        for step in STEPS {
            let invoked = invoke(world, &secret, step).await;
            invoked
                .outcome
                .unwrap_or_else(|error| panic!("{secret}, {step}: {error}"));
        }
        let current = current(world, &secret).await;
        log_in(world, &current).await.unwrap();
    }
}

#[test]
fn any_name_of_a_role_or_a_database_and_any_password_is_rotated_in_both_strategies() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(world());
    let number = Cell::new(0);
    let hostile = || r#"[a-z'"\\ $;%_.:/@-]{1,12}[éß漢 \t'"]{0,6}"#;
    let config = Config {
        cases: 16,
        max_shrink_iters: 32,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(
            &(hostile(), "[ -~éß漢]{1,30}", hostile()),
            |(user, password, dbname)| {
                number.set(number.get() + 1);
                // names are unique in a cluster, and a role's may not begin with pg_
                let (user, dbname) = (
                    format!("r{}{user}", number.get()),
                    format!("d{}{dbname}", number.get()),
                );
                runtime.block_on(rotates(&world, number.get(), &user, &password, &dbname));
                Ok(())
            },
        )
        .unwrap();
}

#[tokio::test]
async fn names_that_look_like_sql_and_of_the_longest_length_are_rotated_too() {
    let world = world().await;
    for (number, user) in [
        "x\"; DROP ROLE admin; --".to_owned(),
        "$$; SELECT 1; $$".to_owned(),
        "E'\\' OR '1'='1".to_owned(),
        "é".repeat(28), // 56 bytes, 62 with the clone's suffix
        format!("{}x", "é".repeat(28)),
    ]
    .iter()
    .enumerate()
    {
        let dbname = format!("db \"{number}\" '$$'");
        rotates(&world, number, user, "pass'word\\", &dbname).await;
    }
}
