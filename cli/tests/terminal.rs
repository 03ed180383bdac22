//! What a person sees in a terminal, and is asked there: the command with a pseudo-terminal in place of a pipe.

#![cfg(test)]

mod common;

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::Command,
};

use common::{called, command, world};
use nix::pty::{Winsize, openpty};

/// A terminal of 80 columns, and the end that a person sits at.
fn terminal() -> (OwnedFd, File) {
    let size = Winsize {
        ws_row: 25,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).unwrap();
    (pty.slave, pty.master.into())
}

/// All that is shown until the command has ended.
async fn shown(
    mut command: Command,
    (terminal, mut person): (OwnedFd, File),
    types: &str,
) -> String {
    command
        .env("TERM", "xterm")
        .stdin(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap())
        .stdout(terminal);
    person.write_all(types.as_bytes()).unwrap();
    let watched = tokio::task::spawn_blocking(move || {
        let mut process = command.spawn().unwrap();
        drop(command); // its copy of the terminal, without which reading ends with the process
        let mut shown = Vec::new();
        // Linux says EIO where others say that it is the end
        let _ = person.read_to_end(&mut shown);
        process.wait().unwrap();
        String::from_utf8_lossy(&shown).into_owned()
    });
    watched.await.unwrap()
}

#[tokio::test]
async fn in_a_terminal_the_table_fits_its_width_and_what_wants_attention_is_coloured() {
    let world = world().await;
    let (secret, service) = (world.single_user(), world.secrets_manager());
    service.age(secret, 40).unwrap();
    common::change_password_by_hand(&world).await;
    service.rotate(secret).await.unwrap();

    let status = || command(&world, &["status", "--stuck-after", "0s"]);
    let coloured = shown(status(), terminal(), "").await;
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert!(coloured.contains("stuck"), "{coloured}");

    let mut plain = status();
    plain.env("NO_COLOR", "1");
    let plain = shown(plain, terminal(), "").await;
    assert!(
        !plain.contains('\u{1b}') && plain.contains("setSecret"),
        "{plain}"
    );
    let table = plain.lines().take_while(|line| !line.trim().is_empty());
    for line in table {
        assert!(line.trim_end().chars().count() <= 80, "{line}");
    }
}

#[tokio::test]
async fn a_rotation_that_is_followed_shows_its_steps_as_they_come() {
    let world = world().await;
    let rotate = command(&world, &["rotate", world.single_user(), "--wait"]);
    let seen = shown(rotate, terminal(), "").await;
    assert!(seen.contains('█') && seen.contains("rotated in"), "{seen}");
}

#[tokio::test]
async fn before_anything_is_ended_the_operator_is_asked_and_may_decline() {
    let world = world().await;
    for (answer, said, rotated) in [("n", "nothing was done", 0), ("y", "contained", 1)] {
        let command = command(&world, &["compromised", world.single_user()]);
        let seen = shown(command, terminal(), answer).await;
        assert!(seen.contains("Replace its credential now"), "{seen}");
        assert!(seen.contains(said), "{seen}");
        assert_eq!(called(&world, "RotateSecret"), rotated, "{seen}");
    }
}

#[tokio::test]
async fn before_a_secret_is_made_the_operator_is_asked_and_may_decline() {
    let world = world().await;
    let role = format!("app_of_{}", world.role());
    for (answer, said, created) in [
        ("n", "nothing was done", 0),
        ("y", "the secret is stored, arn:", 1),
    ] {
        let arguments = ["init", "app/db", "--username", &role, "--administrator"];
        let command = command(&world, &[&arguments[..], &[world.admin()]].concat());
        let seen = shown(command, terminal(), answer).await;
        assert!(seen.contains("Do that now?"), "{seen}");
        assert!(seen.contains(said), "{seen}");
        assert_eq!(called(&world, "CreateSecret"), created, "{seen}");
    }
}
