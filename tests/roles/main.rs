//! Alternating users, with roles as people have them: the base is the truth, and the clone follows it.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod acts;
mod base;
mod copied;
mod ends;
mod obstacles;
mod own;
mod owner;
mod pair;
mod together;

use common::{
    administrator, ask, assert_error, current, execute, fails, failure, in_the_database, invoke,
    log_in, options, options_with, outcome, put, release, rotate, stage_up_to, start, warnings,
    world,
};
use local::{postgres::Settings, secrets_manager::Rotation, world::World};
use tokio_postgres::Client;

/// Rotates the two users; both must log in.
async fn turn(world: &World) -> Rotation {
    let secret = world.alternating_users();
    let rotation = rotate(world, secret).await;
    if !rotation.succeeded {
        let why = rotation.attempts[0].steps.last().unwrap();
        panic!("{:?}", why.invoked.outcome);
    }
    session(world).await;
    rotation
}

/// A session of the current user.
async fn session(world: &World) -> Client {
    let current = current(world, world.alternating_users()).await;
    log_in(world, &current).await.unwrap()
}

/// The role that the current user's sessions act as.
async fn acts_as(world: &World) -> String {
    let row = session(world)
        .await
        .query_one("SELECT current_user::text", &[])
        .await;
    row.unwrap().get(0)
}

fn clone(world: &World) -> String {
    format!("{}_clone", world.alternating_role())
}

/// The clone is current, as AWS's function makes it: with a password and a grant of the base.
async fn clone_of_awss(world: &World) {
    let (base, clone, admin) = (world.alternating_role(), clone(world), administrator(world));
    let sql = format!(
        "CREATE USER {clone} WITH LOGIN PASSWORD 'by-aws'; GRANT {base} TO {clone}; GRANT {clone} TO {admin} WITH ADMIN OPTION"
    );
    execute(world, &sql).await;
}

/// The same, and its document is current.
async fn current_clone_of_awss(world: &World) {
    clone_of_awss(world).await;
    let mut document = current(world, world.alternating_users()).await;
    document["username"] = clone(world).into();
    document["password"] = "by-aws".into();
    put(world, world.alternating_users(), document).await;
}

/// The settings of a role, in one line.
async fn settings(world: &World, role: &str) -> String {
    let question = format!(
        "SELECT coalesce(string_agg(setting, ' ' ORDER BY setting), '') FROM pg_db_role_setting, unnest(setconfig) setting \
         WHERE setrole = '{role}'::regrole AND setting NOT LIKE 'role=%'"
    );
    ask(world, &question).await
}

/// The superuser runs the SQL that an error or a warning advises.
fn cure(text: &str) -> String {
    text.rsplit_once("as a superuser, run ")
        .unwrap()
        .1
        .to_owned()
}

/// The clone's turn warns; the superuser runs the advised SQL, and the clone's next turn does not warn.
async fn is_cured_as_it_says(world: &World, kind: &str) {
    let said = warnings(&turn(world).await, kind);
    execute(world, &cure(&said[0])).await;
    turn(world).await;
    assert!(warnings(&turn(world).await, kind).is_empty());
}
