//! The page's SQL makes roles that rotate, and each of its statements is necessary.

use local::{invocation::FunctionError, postgres::Settings, world::World};
use postgres_protocol::password::scram_sha_256;

use super::{
    block,
    common::{
        self, ask, assert_error, assert_rejected, current, execute, failure, in_the_database,
        is_alive, log_in, options, outcome, release, revoke, rotate, stage_up_to, start,
    },
    fenced, run,
    secrets::{create, given},
};

pub(super) const KINDS: [&str; 5] = [
    "sql app",
    "sql administrator 13-15",
    "sql administrator 16-18",
    "sql clone 16-18",
    "sql rds",
];

/// The page's names of the application's role and the administrator.
pub(super) const APP: &str = "app";
pub(super) const ADMINISTRATOR: &str = "rotation_admin";

/// A statement, and the page's text about a rotation without it.
pub(super) struct Statement {
    pub(super) sql: String,
    fails: String,
    with: String,
}

/// A world on its own server: the page's roles have the same names in each world.
pub(super) async fn world() -> World {
    start(options().own_postgres(Settings::default())).await
}

fn statements(kind: &str) -> Vec<Statement> {
    let read = |line: &str| {
        let (sql, comment) = line.split_once("; -- ").or_else(|| line.split_once(';'))?;
        let (_, effect) = comment.split_once("without it, ")?;
        let (fails, with) = effect.split_once(" fails: ")?;
        Some(Statement {
            sql: sql.to_owned(),
            fails: fails.to_owned(),
            with: with.to_owned(),
        })
    };
    let block = block(kind);
    let read = |line| read(line).unwrap_or_else(|| panic!("what fails without {line}?"));
    block.lines().map(read).collect()
}

/// The kind of the block for this server: `sql administrator 13-15`.
async fn of_this_server(world: &World, kind: &str) -> Option<&'static str> {
    let release = release(world).await;
    let includes = |head: &str| {
        let (first, last) = head.strip_prefix(kind)?.trim().split_once('-')?;
        Some((first.parse().ok()?..=last.parse().ok()?).contains(&release))
    };
    let mut found = fenced().filter(|(head, _)| includes(head) == Some(true));
    let found = (found.next(), found.next());
    assert!(found.1.is_none(), "two blocks are for {release}");
    found.0.map(|(head, _)| head)
}

/// All SQL that makes the application's role and an administrator on this server.
pub(super) async fn of_a_pair(world: &World) -> Vec<Statement> {
    let administrators = of_this_server(world, "sql administrator").await.unwrap();
    let mut all = statements("sql app");
    all.extend(statements(administrators));
    all
}

/// Runs statements as psql does: it goes on after an error.
async fn type_in(world: &World, statements: &[Statement]) {
    for Statement { sql, .. } in statements {
        world.postgres().execute(sql).await.ok();
    }
}

/// The statement of psql's `\password`, with a verifier.
pub(super) fn set_password(role: &str) -> String {
    let verifier = scram_sha_256(password(role).as_bytes());
    format!("ALTER ROLE {role} PASSWORD '{verifier}'")
}

/// The first password of the page's roles.
pub(super) fn password(role: &str) -> String {
    format!("the first one of {role}")
}

/// Makes the page's roles, after it drops those of an earlier call.
pub(super) async fn make(world: &World) {
    remove(world).await;
    type_in(world, &of_a_pair(world).await).await;
    for role in [APP, ADMINISTRATOR] {
        execute(world, &set_password(role)).await;
    }
}

/// The clone first: the administrator granted its membership.
async fn remove(world: &World) {
    for role in [&format!("{APP}_clone"), ADMINISTRATOR, APP] {
        execute(world, &format!("DROP ROLE IF EXISTS {role}")).await;
    }
}

/// The administrator's and the application's secret, both named after `name`.
pub(super) async fn create_pair(world: &World, name: &str) -> String {
    let master = format!("{name}/admin");
    create(world, &master, &given(world, "json administrator", None)).await;
    let document = given(world, "json alternating users", Some(&master));
    create(world, name, &document).await;
    name.to_owned()
}

/// The result of this step when a statement is missing.
async fn what_fails(world: &World, secret: &str, step: &str) -> FunctionError {
    if step != "revokeSecret" {
        stage_up_to(world, secret, step).await;
        return failure(world, secret, step).await;
    }
    // a session to end
    let _open = log_in(world, &current(world, secret).await).await.unwrap();
    let rotation = rotate(world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    revoke(world, secret).await.unwrap_err()
}

#[tokio::test]
async fn the_pages_administrator_has_exactly_the_rights_to_rotate_and_revoke_two_users() {
    let world = world().await;
    make(&world).await;
    let database = in_the_database(&world).await;
    let owns = format!(
        "CREATE ROLE reports; CREATE TABLE report AS SELECT 7 AS number; GRANT SELECT ON report TO reports; \
         GRANT reports TO {APP}; ALTER ROLE {APP} CONNECTION LIMIT 9; ALTER ROLE {APP} SET work_mem TO '5MB'"
    );
    database.batch_execute(&owns).await.unwrap();
    let secret = create_pair(&world, "orders/db").await;
    let more = format!(
        "SELECT rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = '{ADMINISTRATOR}'"
    );
    assert!(!ask::<bool>(&world, &more).await);
    run(&world, &secret, "rotatectl doctor $SECRET").await;
    for user in [format!("{APP}_clone"), APP.to_owned()]
        .iter()
        .cycle()
        .take(4)
    {
        let before = current(&world, &secret).await;
        let open = log_in(&world, &before).await.unwrap();
        let rotation = rotate(&world, &secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        assert!(common::warnings(&rotation, "NotCopied").is_empty());
        let now = current(&world, &secret).await;
        assert_eq!(now["username"], **user);
        let session = log_in(&world, &now).await.unwrap();
        let row = session.query_one(
            "SELECT number, current_setting('work_mem') FROM report",
            &[],
        );
        let row = row.await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (7, "5MB"));
        let revoked = revoke(&world, &secret).await.unwrap();
        assert_eq!(revoked["outcome"], "revoked");
        assert!(!is_alive(&open).await);
        assert_rejected(log_in(&world, &before).await);
    }
}

/// No superuser: from PostgreSQL 16 on it reaches the roles that it made.
#[tokio::test]
async fn a_master_user_like_that_of_rds_runs_the_pages_statements_and_the_roles_rotate() {
    let world = world().await;
    let master = "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'the master''s'; \
                  GRANT pg_signal_backend TO master WITH ADMIN OPTION";
    execute(&world, master).await;
    let postgres = world.postgres();
    let master = postgres.connect("master", "the master's", world.dbname());
    let master = master.await.unwrap();
    let statements = of_a_pair(&world).await;
    let passwords = [APP, ADMINISTRATOR].map(set_password);
    for sql in statements.iter().map(|one| &one.sql).chain(&passwords) {
        master.batch_execute(sql).await.unwrap();
    }
    let secret = create_pair(&world, "orders/db").await;
    for _ in 0..2 {
        let rotation = rotate(&world, &secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        revoke(&world, &secret).await.unwrap();
    }
    log_in(&world, &current(&world, &secret).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn without_one_of_the_pages_statements_the_step_that_it_names_fails() {
    let world = world().await;
    let number = of_a_pair(&world).await.len();
    for left_out in 0..number {
        let mut statements = of_a_pair(&world).await;
        let Statement { sql, fails, with } = statements.remove(left_out);
        remove(&world).await;
        type_in(&world, &statements).await;
        for role in [APP, ADMINISTRATOR] {
            world.postgres().execute(&set_password(role)).await.ok();
        }
        let secret = create_pair(&world, &format!("without/{left_out}")).await;
        let error = what_fails(&world, &secret, &fails).await;
        assert_eq!(error.error_type, with, "without {sql}: {error}");
        if error.error_message.contains("as a superuser, run ") {
            // the message's advice repairs what is missing
            for cure in common::cures(&error.error_message) {
                execute(&world, cure).await;
            }
            match fails.as_str() {
                "revokeSecret" => drop(revoke(&world, &secret).await.unwrap()),
                step => drop(outcome(&world, &secret, step).await),
            }
        }
    }
}

#[tokio::test]
async fn a_clone_that_another_person_made_takes_its_turn_after_the_pages_grant() {
    let world = world().await;
    let Some(kind) = of_this_server(&world, "sql clone").await else {
        return; // CREATEROLE reaches it
    };
    make(&world).await;
    let clone = format!("CREATE ROLE {APP}_clone LOGIN; GRANT {APP} TO {APP}_clone");
    execute(&world, &clone).await;
    let secret = create_pair(&world, "orders/db").await;
    let grant = statements(kind);
    let [Statement { sql, fails, with }] = &grant[..] else {
        panic!("one statement")
    };
    let error = what_fails(&world, &secret, fails).await;
    assert_error(&error, with, &format!("{APP}_clone"));
    execute(&world, sql).await;
    outcome(&world, &secret, fails).await;
}

#[tokio::test]
async fn where_rds_restricts_who_sets_passwords_the_pages_grant_is_needed_and_is_enough() {
    let restricted = Settings {
        conf: "rds.restrict_password_commands = on".to_owned(),
        ..Settings::default()
    };
    let world = start(options().own_postgres(restricted)).await;
    make(&world).await;
    execute(&world, "CREATE ROLE rds_password").await;
    let secret = create_pair(&world, "orders/db").await;
    for Statement { sql, fails, with } in statements("sql rds") {
        let error = what_fails(&world, &secret, &fails).await;
        assert_error(&error, &with, "rds_password");
        execute(&world, &sql).await;
        outcome(&world, &secret, &fails).await;
    }
}
