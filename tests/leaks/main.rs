//! No secret stands where it must not: everything runs at TRACE, and every text that it writes is searched for every secret.

#![cfg(all(test, target_os = "linux"))]

#[path = "../common/mod.rs"]
mod common;

mod application;
mod commands;
mod function;
mod processes;
mod run;
mod search;
mod stores;
mod types;

use common::{ask, execute};
use local::{postgres::Postgres, world::World};
use run::Run;
use search::{Kind, Place, Secrets, leaks};

/// The server logs each statement, its parameters and its parse tree.
const TALKATIVE: &str = "log_statement = 'all'\nlog_min_duration_statement = 0\nlog_min_messages = debug1\n\
                         log_error_verbosity = verbose\nlog_duration = on\ndebug_print_parse = on\n";
/// And keeps the text of each statement, where this server has the module.
const COUNTING: &str = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'all'\n\
                        pg_stat_statements.track_utility = on\n";

/// Whether this server has pg_stat_statements.
async fn has_statistics() -> bool {
    let postgres = Postgres::shared().await.unwrap();
    let superuser = postgres.superuser_client().await.unwrap();
    let question =
        "SELECT count(*) > 0 FROM pg_available_extensions WHERE name = 'pg_stat_statements'";
    superuser.query_one(question, &[]).await.unwrap().get(0)
}

/// Everything, with a server of this configuration.
async fn everything(conf: &str) -> (Secrets, Vec<Place>, World) {
    let t = std::time::Instant::now();
    let mut run = Run::begin(conf).await;
    println!("T begin {:?}", t.elapsed());
    run.drive.all_is_well().await;
    println!("T well {:?}", t.elapsed());
    run.rotatectl_succeeds().await;
    println!("T ctl {:?}", t.elapsed());
    run.drive.all_fails().await;
    println!("T fails {:?}", t.elapsed());
    run.rotatectl_fails().await;
    println!("T ctl fails {:?}", t.elapsed());
    run.a_person_repairs().await;
    println!("T repair {:?}", t.elapsed());
    run.end()
}

/// Secrets of every kind were made, and none stands in a place that must not hold it.
#[track_caller]
fn assert_no_leaks(secrets: &Secrets, places: &[Place]) {
    for (kind, least) in [
        (Kind::Password, 20),
        (Kind::Verifier, 20),
        (Kind::RotationToken, 5),
        (Kind::Key, 5),
        (Kind::Access, 6),
        (Kind::PrivateKey, 2),
    ] {
        let count = secrets.count(kind);
        println!("{count} of {kind:?}");
        assert!(count >= least, "{count} of {kind:?}");
    }
    let bytes: usize = places.iter().map(|place| place.text.len()).sum();
    println!("{} places, {bytes} bytes", places.len());
    let found = leaks(secrets, places);
    let count = found.len();
    assert!(found.is_empty(), "{count} leaks:\n{}", found.join("\n"));
}

/// No secret leaks but verifiers in the log of a server that logs every statement, and in its pg_stat_statements.
async fn assert_a_talkative_server_shows_only_verifiers(
    mut secrets: Secrets,
    mut places: Vec<Place>,
    world: &World,
    has_statistics: bool,
) {
    let log = world.postgres().log().unwrap();
    assert!(log.contains("ALTER ROLE"));
    // each verifier that was ever sent
    for after in log.split("SCRAM-SHA-256$").skip(1) {
        let end = after.find(['\'', '"', '\n', ' ', '\\']);
        secrets.add_verifier(&after[..end.unwrap_or(after.len())]);
    }
    if has_statistics {
        execute(world, "CREATE EXTENSION pg_stat_statements").await;
        let all = "SELECT string_agg(query, E'\\n') FROM pg_stat_statements";
        let statements: String = ask(world, all).await;
        assert!(statements.contains("ALTER ROLE"));
        places.push(Place::new("pg_stat_statements", statements).that_may_hold(&[Kind::Verifier]));
    }
    places.push(Place::new("the server's log", log).that_may_hold(&[Kind::Verifier]));
    assert_no_leaks(&secrets, &places);
}

// the world runs on while the test waits for processes
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make verify"]
async fn no_secret_leaks_and_only_verifiers_stand_in_the_log_of_all_statements() {
    let has_statistics = has_statistics().await;
    let conf = format!("{TALKATIVE}{}", if has_statistics { COUNTING } else { "" });
    let (secrets, places, world) = everything(&conf).await;
    assert_a_talkative_server_shows_only_verifiers(secrets, places, &world, has_statistics).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make verify"]
async fn no_secret_and_no_verifier_stands_in_the_log_of_a_server_with_default_settings() {
    let (secrets, mut places, world) = everything("").await;
    let log = world.postgres().log().unwrap();
    places.push(Place::new("the server's log", log));
    assert_no_leaks(&secrets, &places);
}

#[test]
#[ignore = "the process that the tests above start"]
fn the_application() {
    application::run();
}
