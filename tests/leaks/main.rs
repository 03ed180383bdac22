//! No secret is seen where it should not be: everything is done, at TRACE, and all that was written is searched for all that is secret.

#![cfg(all(test, target_os = "linux"))]

#[path = "../common/mod.rs"]
mod common;

mod application;
mod commands;
mod function;
mod processes;
mod search;
mod stores;
mod types;

use std::{collections::BTreeMap, fs};

use application::Application;
use commands::Commands;
use common::{ask, options_with, start};
use function::Drive;
use local::{
    postgres::{Postgres, Settings},
    world::World,
};
use processes::Watch;
use search::{Kind, Place, Secrets, leaks};
use secrecy::ExposeSecret;

/// The server writes each statement, with what it is given and what it makes of it.
const TALKATIVE: &str = "log_statement = 'all'\nlog_min_duration_statement = 0\nlog_min_messages = debug1\n\
                         log_error_verbosity = verbose\nlog_duration = on\ndebug_print_parse = on\n";
/// And counts it, where this server has the module.
const COUNTING: &str = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'all'\n\
                        pg_stat_statements.track_utility = on\n";

/// What a process is given to read the store with.
fn access(secrets: &mut Secrets) -> BTreeMap<&'static str, String> {
    let mut access = BTreeMap::from([("AWS_ACCESS_KEY_ID", "AKIAANYBODY".to_owned())]);
    for variable in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let secret = stores::for_a_header();
        secrets.add(Kind::Access, &secret);
        access.insert(variable, secret);
    }
    access
}

/// Whether statements can be counted here.
async fn counts_statements() -> bool {
    let question =
        "SELECT count(*) > 0 FROM pg_available_extensions WHERE name = 'pg_stat_statements'";
    let superuser = Postgres::shared()
        .await
        .unwrap()
        .superuser_client()
        .await
        .unwrap();
    superuser.query_one(question, &[]).await.unwrap().get(0)
}

/// Everything, on a server with this configuration: what is secret, where it might be, and the server's log.
async fn everything(conf: &str) -> (Secrets, Vec<Place>, World) {
    let mut secrets = Secrets::default();
    let watch = Watch::begin();
    let (of_the_function, of_others) = (access(&mut secrets), access(&mut secrets));
    let mut variables = vec![("LOG_LEVEL", "TRACE")];
    variables.extend(
        of_the_function
            .iter()
            .skip(1)
            .map(|(name, value)| (*name, value.as_str())),
    );
    let settings = Settings {
        conf: conf.to_owned(),
        ..Settings::default()
    };
    let world = start(
        options_with(&variables)
            .own_postgres(settings)
            .with_key_service(),
    )
    .await;
    // a rotation within an overlap is not refused
    world.key_service().unwrap().set_limit(99);
    let (one, two, key) = (
        world.single_user(),
        world.alternating_users(),
        world.api_key(),
    );
    let application = Application::start(&world, "the_application", &[one, two], &of_others).await;
    let mut commands = Commands::new(&of_others);
    let mut drive = Drive {
        world,
        secrets,
        answers: String::new(),
        token: String::new(),
    };

    drive.all_is_well().await;
    for arguments in [
        "status".to_owned(), "status --json".to_owned(),
        format!("doctor {one}"), format!("doctor {two} --json"), format!("doctor {key}"),
        format!("rotate {one} --yes --wait"), format!("rotate {two} {key} --yes --wait --force"),
        format!("rollback {two} --yes"), format!("revoke {one} --yes"), format!("revoke {two} --yes --json"),
        format!("compromised {one} --yes"), format!("compromised {two} --yes --json"), format!("compromised {key} --yes"),
        "init new/db --username leaks_new --administrator demo/admin --function secret-rotation --yes".to_owned(),
        "init new/other --username leaks_other --administrator demo/admin --single-user --yes --json".to_owned(),
        format!("drill {two} --yes --duration 1s --workers 1 --report drill.html"),
    ] {
        let code = commands.run(&drive.world, &arguments, "").await;
        drive.collect_verifiers().await;
        assert!(matches!(code, 0 | 2), "{arguments}: {code}: {}", commands.said());
    }
    drive.all_fails().await;
    for arguments in [
        "status",
        "status --json",
        "doctor malformed/0",
        "doctor malformed/8 --json",
        "doctor elsewhere/port",
        "rotate malformed/1 --yes --wait",
        "rotate elsewhere/host --yes --wait",
        "compromised malformed/2 --yes",
        "compromised elsewhere/port --yes --json",
        "revoke malformed/3 --yes",
        "rollback malformed/4 --yes",
        "init malformed/5 --username leaks_new --administrator demo/admin --yes",
        "init new/third --username leaks_new --administrator demo/admin --yes",
        "init new/fourth --username leaks_fourth --administrator malformed/6 --yes",
        "drill malformed/7 --yes --duration 1s --report malformed.html",
        "drill elsewhere/port --yes --duration 1s --report elsewhere.html",
    ] {
        commands.run(&drive.world, arguments, "").await;
        drive.collect_verifiers().await;
    }
    // a password that a person changed, and types
    let typed = drive.new_secret(Kind::Password);
    let role = drive.world.role().to_owned();
    let verifier = postgres_protocol::password::scram_sha_256(typed.as_bytes());
    common::execute(
        &drive.world,
        &format!("ALTER ROLE {role} PASSWORD '{verifier}'"),
    )
    .await;
    let wrong = drive.new_secret(Kind::Password);
    for (typed, code) in [(wrong, 1), (typed, 0)] {
        let repair = format!("doctor {one} --repair --yes");
        let ended = commands
            .run(&drive.world, &repair, &format!("{typed}\n"))
            .await;
        assert_eq!(ended, code, "{}", commands.said());
        drive.collect_verifiers().await;
    }

    let Drive {
        world,
        mut secrets,
        answers,
        ..
    } = drive;
    let mut places = application.end(&mut secrets);
    places.extend(commands.end());
    places.push(Place::new("the function's answers", answers));
    let log: Vec<String> = world
        .function()
        .log()
        .into_iter()
        .map(|line| line.text)
        .collect();
    assert!(
        log.iter()
            .any(|line| line.contains("\"TRACE\"") || line.contains("\"DEBUG\""))
    );
    places.push(Place::new("the function's log and metrics", log.join("\n")));
    places.push(Place::new(
        "the calls of the local world",
        format!("{:?}", world.secrets_manager().calls()),
    ));
    for (arguments, environment) in watch.end() {
        let name = String::from_utf8_lossy(&arguments).replace('\0', " ");
        places.push(Place::new(format!("the arguments of {name}"), arguments));
        let environment = Place::new(format!("the environment of {name}"), environment);
        // AWS itself gives a process its access in its environment
        places.push(environment.that_may_hold(&[Kind::Access]));
    }
    collect(&world, &mut secrets);
    (secrets, places, world)
}

/// All that the services have made, and were given.
fn collect(world: &World, secrets: &mut Secrets) {
    for value in world.secrets_manager().secrets() {
        secrets.add_value(value.expose_secret());
    }
    for key in world.key_service().unwrap().ever() {
        secrets.add(Kind::Key, key.expose_secret());
    }
    secrets.add(
        Kind::Password,
        world.postgres().superuser_password().expose_secret(),
    );
    let key = fs::read_to_string(world.postgres().folder().join("data/server.key")).unwrap();
    for line in key.lines().filter(|line| !line.starts_with('-')) {
        secrets.add(Kind::PrivateKey, line);
    }
}

/// All kinds of secrets were made, and none of them is where it must not be.
#[track_caller]
fn assert_no_leaks_of_any_kind(secrets: &Secrets, places: &[Place]) {
    for (kind, least) in [
        (Kind::Password, 20),
        (Kind::Verifier, 20),
        (Kind::RotationToken, 5),
        (Kind::Key, 5),
        (Kind::Access, 6),
        (Kind::PrivateKey, 2),
    ] {
        let count = secrets.count(kind);
        assert!(count >= least, "{count} of {kind:?}");
    }
    assert_no_leaks(secrets, places);
}

#[track_caller]
fn assert_no_leaks(secrets: &Secrets, places: &[Place]) {
    let found = leaks(secrets, places);
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
}

// the world goes on while processes are waited for
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes, and not seen green yet"]
async fn whatever_is_done_no_secret_is_written_anywhere_but_a_verifier_in_a_servers_log_of_all_statements()
 {
    let counts = counts_statements().await;
    let conf = format!("{TALKATIVE}{}", if counts { COUNTING } else { "" });
    let (mut secrets, mut places, world) = everything(&conf).await;
    let log = world.postgres().log().unwrap();
    println!(
        "{} bytes of the server's log; statements are counted: {counts}",
        log.len()
    );
    // each that was ever sent
    for after in log.split("SCRAM-SHA-256$").skip(1) {
        let end = after
            .find(['\'', '"', '\n', ' ', '\\'])
            .unwrap_or(after.len());
        secrets.add_verifier(&after[..end]);
    }
    if counts {
        common::execute(&world, "CREATE EXTENSION pg_stat_statements").await;
        let statements: String = ask(
            &world,
            "SELECT string_agg(query, E'\\n') FROM pg_stat_statements",
        )
        .await;
        assert!(statements.contains("ALTER ROLE"));
        places.push(Place::new("pg_stat_statements", statements).that_may_hold(&[Kind::Verifier]));
    }
    assert!(log.contains("ALTER ROLE"));
    places.push(Place::new("the server's log", log).that_may_hold(&[Kind::Verifier]));
    assert_no_leaks_of_any_kind(&secrets, &places);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes, and not seen green yet"]
async fn a_servers_log_as_it_comes_holds_no_verifier_either_not_even_of_what_it_refused() {
    let (secrets, mut places, world) = everything("").await;
    places.push(Place::new(
        "the server's log",
        world.postgres().log().unwrap(),
    ));
    assert_no_leaks_of_any_kind(&secrets, &places);
}

#[test]
#[ignore = "the process that the tests above start"]
fn the_application() {
    application::run();
}
