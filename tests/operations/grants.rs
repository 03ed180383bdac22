//! Each right that the page grants is revoked alone: exactly the operations that need it fail, and the error's advice repairs it.

use std::process::Output;

use local::{invocation::FunctionError, world::World};

use super::{
    common::{self, STEPS, cures, current, execute, log_in, revoke, rollback, rotate, stage},
    output,
    roles::{self, create_pair, of_a_pair},
    secrets::{create, given},
};

/// What an administrator does.
const OF_AN_ADMINISTRATOR: [&str; 6] = [
    "setSecret",
    "finishSecret",
    "rollbackSecret",
    "revokeSecret",
    "rotatectl doctor",
    "rotatectl init",
];

/// The operations that fail without this statement.
fn needs(sql: &str) -> &'static [&'static str] {
    match sql.split(" TO ").next().unwrap() {
        "CREATE ROLE app LOGIN" => &[
            "setSecret",
            "revokeSecret",
            "rotatectl doctor",
            "a single user's rotation",
        ],
        "CREATE ROLE rotation_admin LOGIN" | "ALTER ROLE rotation_admin CREATEROLE" => {
            &OF_AN_ADMINISTRATOR
        }
        // from PostgreSQL 16 on; once the clone exists, the server revokes the grant only together with the clone's membership
        "GRANT app" => &["setSecret"],
        "GRANT pg_signal_backend" => &["revokeSecret", "rotatectl doctor"],
        other => panic!("what needs {other}?"),
    }
}

/// The statement that revokes the right of this one, and the statement that grants it again.
fn taken_and_given(sql: &str) -> (String, String) {
    match sql
        .split_once("ROLE ")
        .map(|(_, rest)| rest.split_once(' '))
    {
        Some(Some((role, right))) => (
            format!("ALTER ROLE {role} NO{right}"),
            format!("ALTER ROLE {role} {right}"),
        ),
        _ => {
            let grant = sql.split(" WITH ").next().unwrap();
            let taken = grant
                .replacen("GRANT", "REVOKE", 1)
                .replacen(" TO ", " FROM ", 1);
            (taken, sql.to_owned())
        }
    }
}

#[tokio::test]
async fn without_one_of_the_pages_rights_only_its_own_step_fails_and_the_error_names_the_cure() {
    let world = roles::world().await;
    for (number, statement) in of_a_pair(&world).await.iter().enumerate() {
        roles::make(&world).await;
        execute(&world, "DROP ROLE IF EXISTS new_role").await;
        let without = Without {
            world: &world,
            sql: &statement.sql,
            secret: &create_pair(&world, &format!("without/{number}")).await,
        };
        let one = format!("{}/one", without.secret);
        create(&world, &one, &given(&world, "json single user", None)).await;

        stage(&world, without.secret);
        for step in STEPS {
            without.tries(step).await;
        }
        assert!(rotate(&world, without.secret).await.succeeded);
        without.tries("rollbackSecret").await;
        assert!(rotate(&world, without.secret).await.succeeded);
        let before = common::document(&world, without.secret, "AWSPREVIOUS")
            .await
            .unwrap();
        // a session to end
        let _open = log_in(&world, &before).await.unwrap();
        for operation in ["revokeSecret", "rotatectl doctor", "rotatectl init"] {
            without.tries(operation).await;
        }
        // from here on its password, not the pair's, is AWSCURRENT
        execute(&world, &roles::set_password(roles::APP)).await;
        stage(&world, &one);
        without.tries("a single user's rotation").await;
    }
}

/// A world in which one statement of the page is missing.
struct Without<'a> {
    world: &'a World,
    sql: &'a str,
    secret: &'a str,
}

impl Without<'_> {
    /// Revokes the right, does this, and grants the right again; after a failure, with the SQL in the error.
    async fn tries(&self, operation: &str) {
        let (taken, given) = taken_and_given(self.sql);
        if let Err(error) = self.world.postgres().execute(&taken).await {
            // from PostgreSQL 16 on, once the clone has its membership by this grant
            let said = format!("{error:?}");
            assert!(said.contains("dependent privileges"), "{taken}: {said}");
            self.done(operation).await.unwrap();
            return;
        }
        let done = self.done(operation).await;
        let fails = needs(self.sql).contains(&operation);
        assert_eq!(done.is_err(), fails, "{operation} after {taken}: {done:?}");
        let said = done.err().unwrap_or_default();
        let cures: Vec<_> = said.lines().flat_map(cures).collect();
        for cure in &cures {
            execute(self.world, cure).await;
        }
        if cures.is_empty() {
            let named = said.contains("grant LOGIN to the role") || operation == "rotatectl doctor";
            assert!(!fails || named, "{operation} after {taken}: {said}");
            execute(self.world, &given).await;
        }
        if fails {
            let again = self.done(operation).await;
            assert!(
                again.is_ok(),
                "{operation} after {taken} and {cures:?}: {again:?}"
            );
        }
        execute(self.world, &given).await;
    }

    /// The error, if it fails.
    async fn done(&self, operation: &str) -> Result<(), String> {
        let Self { world, secret, .. } = *self;
        let in_words = |error: FunctionError| error.to_string();
        let of_a_command = |Output {
                                status,
                                stdout,
                                stderr,
                            }| match status.success() {
            true => Ok(()),
            false => Err(String::from_utf8([stdout, stderr].concat()).unwrap()),
        };
        match operation {
            "revokeSecret" => revoke(world, secret).await.map(drop).map_err(in_words),
            "rollbackSecret" => rollback(world, secret).await.map(drop).map_err(in_words),
            "a single user's rotation" => {
                for step in STEPS {
                    let invoked = common::invoke(world, &format!("{secret}/one"), step).await;
                    invoked.outcome.map_err(in_words)?;
                }
                Ok(())
            }
            "rotatectl doctor" => {
                of_a_command(output(world, secret, "rotatectl doctor \"$SECRET\"").await)
            }
            "rotatectl init" => {
                let made = "rotatectl init \"$SECRET/new\" --username new_role --administrator \"$SECRET/admin\" --yes";
                of_a_command(output(world, secret, made).await)
            }
            step => common::invoke(world, secret, step)
                .await
                .outcome
                .map(drop)
                .map_err(in_words),
        }
    }
}

/// The application has no other right, and needs none of these for notifications.
#[tokio::test]
async fn the_pages_application_gets_notifications_without_any_right_of_its_own() {
    let world = roles::world().await;
    roles::make(&world).await;
    let secret = create_pair(&world, "orders/db").await;
    let nothing = "REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE demo FROM PUBLIC; GRANT CONNECT ON DATABASE demo TO app";
    common::in_the_database(&world)
        .await
        .batch_execute(nothing)
        .await
        .unwrap();
    let cached = rotating_secret::RotatingSecret::builder(&secret)
        .ttl(common::LONG)
        .build(rotating_secret::provider::Aws::from_clients([world.aws()]))
        .await
        .unwrap();
    let first = current(&world, &secret).await;
    rotating_secret::postgres::listen(&cached, world.tls().unwrap()).unwrap();
    let listens =
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND state = 'idle'";
    common::until("it listens", async || common::ask(&world, listens).await).await;
    let before = cached.current().unwrap().version().to_owned();
    assert!(rotate(&world, &secret).await.succeeded);
    // hours before its lifetime ends
    cached.changed_from(&before).await.unwrap();
    assert_ne!(
        current(&world, &secret).await["username"],
        first["username"]
    );
}
