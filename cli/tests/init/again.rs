//! A run that ended anywhere can be repeated, and two runs at once have the same result.

use std::process::Child;

use local::{
    postgres::Postgres,
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};
use secrecy::ExposeSecret;
use serde_json::json;
use snapbox::cmd::OutputAssert;
use tokio_postgres::Client;

use crate::{
    NEW, arguments, assert_logs_in, begun,
    common::{
        administrator, called, command, execute, json_of, rotated, run, stdout_of, until_asked,
        world,
    },
    current, cut_off, describe, init, new_role, settled, verifier,
};

const FUNCTION: [&str; 2] = ["--function", "secret-rotation"];

/// Begins it, cuts it off where a request hangs, and lets the rest of the world forget that.
async fn cut_at(world: &World, role: &str, operation: &str, when: When) {
    let hang = Hang::default();
    let fault = Fault::on(operation, Behavior::Hang(when, hang.clone()));
    world.secrets_manager().inject(fault);
    let process = begun(init(world, role, &FUNCTION));
    hang.reached().await;
    cut_off(process);
}

/// Run once more it ends well, with the password that was stored before, and does nothing twice.
async fn assert_goes_on(world: &World, role: &str, made: [bool; 3]) {
    let before = current(world).await;
    let ran = run(init(world, role, &[&FUNCTION[..], &["--json"]].concat())).await;
    let said = json_of(&ran.success());
    let [secret, made_role, rotation] = made;
    let expected = json!({ "secret": secret, "role": made_role, "rotation": rotation });
    assert_eq!(said["made"], expected);
    settled(world).await;
    let after = current(world).await.unwrap();
    assert!(before.is_none_or(|before| before == after));
    assert_eq!(describe(world).await["RotationEnabled"], true);
    assert_logs_in(world).await;
    rotated(world, NEW).await;
    assert_logs_in(world).await;
}

#[tokio::test]
async fn a_second_run_continues_after_one_that_ended_before_the_secret_was_stored() {
    let world = world().await;
    let role = new_role(&world);
    cut_at(&world, &role, "CreateSecret", When::BeforeEffect).await;
    assert_eq!(current(&world).await, None);
    assert_goes_on(&world, &role, [true, true, true]).await;
}

#[tokio::test]
async fn a_second_run_continues_after_one_that_ended_after_the_secret_was_stored() {
    let world = world().await;
    let role = new_role(&world);
    cut_at(&world, &role, "CreateSecret", When::AfterEffect).await;
    assert!(current(&world).await.is_some());
    assert_eq!(verifier(&world, &role).await, None);
    assert_goes_on(&world, &role, [false, true, true]).await;
}

#[tokio::test]
async fn a_second_run_continues_after_one_that_ended_before_the_role_was_made() {
    let world = world().await;
    let role = new_role(&world);
    let held = hold_back(&world, &role).await;
    let process = begun(init(&world, &role, &FUNCTION));
    // its first look waits for the lock too
    waits(&world, 1).await;
    cut_off(process);
    drop(held);
    assert_eq!(verifier(&world, &role).await, None);
    assert_goes_on(&world, &role, [true, true, true]).await;
}

#[tokio::test]
async fn a_second_run_continues_after_one_that_ended_before_or_after_rotation_was_turned_on() {
    for (when, rotation) in [(When::BeforeEffect, true), (When::AfterEffect, false)] {
        let world = world().await;
        let role = new_role(&world);
        cut_at(&world, &role, "RotateSecret", when).await;
        assert!(verifier(&world, &role).await.is_some());
        assert_goes_on(&world, &role, [false, false, rotation]).await;
    }
}

#[tokio::test]
async fn if_everything_exists_it_says_so_and_needs_no_confirmation() {
    let world = world().await;
    let role = new_role(&world);
    run(init(&world, &role, &FUNCTION)).await.success();
    settled(&world).await;
    let logins = world.postgres().logins(&administrator(&world));
    let (created, rotated) = (
        called(&world, "CreateSecret"),
        called(&world, "RotateSecret"),
    );
    let words: Vec<_> = arguments(&world, &role, &FUNCTION)
        .into_iter()
        .filter(|word| *word != "--yes")
        .collect();
    let ran = run(command(&world, &words)).await.success();
    let said = stdout_of(&ran);
    assert!(
        said.starts_with("app/db: the secret exists, arn:"),
        "{said}"
    );
    assert!(
        said.contains(&format!("app/db: {role} logs in on ")),
        "{said}"
    );
    ran.stderr_eq("");
    assert_eq!(called(&world, "CreateSecret"), created);
    assert_eq!(called(&world, "RotateSecret"), rotated);
    // the administrator is not needed
    let now = world.postgres().logins(&administrator(&world));
    assert_eq!(now.unwrap(), logins.unwrap());
}

#[tokio::test]
async fn after_rotations_it_still_says_that_everything_exists_for_either_current_user() {
    let world = world().await;
    let role = new_role(&world);
    run(init(&world, &role, &FUNCTION)).await.success();
    settled(&world).await;
    rotated(&world, NEW).await;
    assert_eq!(
        current(&world).await.unwrap()["username"],
        format!("{role}_clone")
    );
    let ran = run(init(&world, &role, &FUNCTION)).await.success();
    let said = stdout_of(&ran);
    assert!(
        said.contains(&format!("{role}_clone logs in on ")),
        "{said}"
    );
    assert!(said.contains(&format!("GRANT … TO \"{role}\";")), "{said}");
}

#[tokio::test]
async fn a_role_that_was_dropped_before_the_first_rotation_is_made_with_the_stored_password() {
    let world = world().await;
    let role = new_role(&world);
    run(init(&world, &role, &[])).await.success();
    let before = current(&world).await;
    execute(&world, &format!("DROP ROLE {role}")).await;
    let ran = run(init(&world, &role, &[])).await.success();
    let said = stdout_of(&ran);
    assert!(
        said.contains(&format!("the role {role} is made on ")),
        "{said}"
    );
    let asked = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let expected = format!("make the role {role} with the stored password on ");
    assert!(asked.contains(&expected), "{asked}");
    assert_eq!(current(&world).await, before);
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn a_lost_answer_and_a_lagging_store_make_no_difference() {
    let world = world().await;
    let role = new_role(&world);
    let service = world.secrets_manager();
    service.inject(Fault::on("CreateSecret", Behavior::Drop(When::AfterEffect)));
    service.inject(
        Fault::on("GetSecretValue", Behavior::Lag)
            .secret(NEW)
            .times(2),
    );
    run(init(&world, &role, &[])).await.success();
    assert_logs_in(&world).await;
}

#[tokio::test]
async fn after_a_call_without_an_answer_it_says_that_the_outcome_is_unknown() {
    let world = world().await;
    let role = new_role(&world);
    let drop = Fault::on("CreateSecret", Behavior::Drop(When::BeforeEffect));
    world.secrets_manager().inject(drop.times(3));
    let ran = run(init(&world, &role, &[])).await.code(3);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("whether the secret is stored is unknown"),
        "{said}"
    );
    assert_goes_on(&world, &role, [true, true, true]).await;
}

#[tokio::test]
async fn of_two_simultaneous_runs_one_stores_the_secret_and_the_other_reports_what_it_found() {
    let world = world().await;
    let role = new_role(&world);
    let hang = Hang::default();
    let fault = Fault::on(
        "CreateSecret",
        Behavior::Hang(When::BeforeEffect, hang.clone()),
    );
    world.secrets_manager().inject(fault);
    let slow = begun(init(&world, &role, &[]));
    hang.reached().await;
    run(init(&world, &role, &[])).await.success();
    let stored = current(&world).await;
    hang.release();
    let ran = ended(slow).await.code(1);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains(
            "another person has made the secret app/db in the meantime, and nothing was changed here"
        ),
        "{said}"
    );
    assert_eq!(current(&world).await, stored);
    assert_logs_in(&world).await;
    run(init(&world, &role, &[])).await.success();
}

#[tokio::test]
async fn of_two_runs_that_continue_at_once_one_makes_the_role_and_both_succeed() {
    let world = world().await;
    let role = new_role(&world);
    cut_at(&world, &role, "CreateSecret", When::AfterEffect).await;
    let held = hold_back(&world, &role).await;
    let [one, other] = [(); 2].map(|()| begun(init(&world, &role, &["--json"])));
    waits(&world, 2).await;
    drop(held);
    let (one, other) = tokio::join!(ended(one), ended(other));
    let made = [one, other].map(|ran| json_of(&ran.success())["made"]["role"] == true);
    assert!(made[0] || made[1], "{made:?}");
    assert_logs_in(&world).await;
}

async fn ended(process: Child) -> OutputAssert {
    let output = tokio::task::spawn_blocking(move || process.wait_with_output());
    OutputAssert::new(output.await.unwrap().unwrap())
}

/// Holds the lock that a change of this role waits for, until it is dropped.
async fn hold_back(world: &World, role: &str) -> Client {
    // in the administrator's database, for such a lock is one database's
    let password = world.postgres().superuser_password().expose_secret();
    let connect = world
        .postgres()
        .connect(Postgres::SUPERUSER, password, world.dbname());
    let client = connect.await.unwrap();
    let sql = format!("SELECT pg_advisory_lock(hashtext('secret-rotation'), hashtext('{role}'))");
    client.batch_execute(&sql).await.unwrap();
    client
}

/// Waits until so many sessions of the administrator wait for a lock.
async fn waits(world: &World, sessions: i64) {
    let client = world.postgres().superuser_client().await.unwrap();
    let question =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'";
    let administrator = administrator(world);
    let wait = async || {
        let row = client.query_one(question, &[&administrator]).await;
        row.unwrap().get::<_, i64>(0) == sessions
    };
    until_asked("the administrator waits for a lock", wait).await;
}
