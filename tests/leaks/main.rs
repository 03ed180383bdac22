//! No secret stands where it must not: everything runs at TRACE, and every text that it writes is searched for every secret.

#![cfg(test)]
#![cfg(target_os = "linux")]

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

use std::io::Write;

use common::{ask, execute};
use local::{postgres::Postgres, world::World};
use run::Run;
use search::{Kind, Place, Secrets, leaks};

/// The server logs each statement, with its parameters.
const TALKATIVE: &str = "log_statement = 'all'\nlog_min_duration_statement = 0\nlog_min_messages = debug1\n\
                         log_error_verbosity = verbose\nlog_duration = on\n";
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

/// How much a run does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What `make test` has time for.
    Share,
    Everything,
}

/// Everything that succeeds, and failures, with a server of this configuration.
async fn run(conf: &str, extent: Extent) -> (Secrets, Vec<Place>, World) {
    let mut run = Run::begin(conf).await;
    run.drive.all_is_well().await;
    run.rotatectl_succeeds().await;
    if extent == Extent::Everything {
        run.drive.fails_late().await;
    }
    run.drive.fails_soon().await;
    run.rotatectl_fails().await;
    run.a_person_repairs().await;
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
async fn assert_a_talkative_server_shows_only_verifiers(extent: Extent) {
    let has_statistics = has_statistics().await;
    let conf = format!("{TALKATIVE}{}", if has_statistics { COUNTING } else { "" });
    let (mut secrets, mut places, world) = run(&conf, extent).await;
    let log = world.postgres().log().unwrap();
    assert!(log.contains("ALTER ROLE"));
    // each verifier that was ever sent
    for after in log.split("SCRAM-SHA-256$").skip(1) {
        let end = after.find(['\'', '"', '\n', ' ', '\\']);
        secrets.add_verifier(&after[..end.unwrap_or(after.len())]);
    }
    places.push(Place::new("the server's log", log).that_may_hold(&[Kind::Verifier]));
    if has_statistics {
        execute(&world, "CREATE EXTENSION pg_stat_statements").await;
        let all = "SELECT string_agg(query, E'\\n') FROM pg_stat_statements";
        let statements: String = ask(&world, all).await;
        assert!(statements.contains("ALTER ROLE"));
        places.push(Place::new("pg_stat_statements", statements).that_may_hold(&[Kind::Verifier]));
    } else {
        // not eprintln: cargo shows that only for a test that fails
        let line = "skipped: pg_stat_statements: this server does not have it";
        writeln!(std::io::stderr(), "{line}").unwrap();
    }
    assert_no_leaks(&secrets, &places);
}

// the world runs on while the test waits for processes
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaks_and_only_verifiers_stand_in_a_log_of_all_statements() {
    assert_a_talkative_server_shows_only_verifiers(Extent::Share).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: make verify"]
async fn no_secret_leaks_if_every_store_service_and_server_fails() {
    assert_a_talkative_server_shows_only_verifiers(Extent::Everything).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: make verify"]
async fn no_secret_and_no_verifier_stands_in_a_log_with_default_settings() {
    let (secrets, mut places, world) = run("", Extent::Everything).await;
    let log = world.postgres().log().unwrap();
    places.push(Place::new("the server's log", log));
    assert_no_leaks(&secrets, &places);
}

#[test]
#[ignore = "the process that the tests above start"]
fn the_application() {
    application::run();
}
