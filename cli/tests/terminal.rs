//! What a person sees in a terminal, and is asked there: the command with a pseudo-terminal in place of a pipe.

#![cfg(test)]

mod common;

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::Path,
    process::Command,
};

use common::{called, command, world};
use local::world::World;
use nix::pty::{Winsize, openpty};

/// A terminal of 80 columns, and the end that a person sits at.
fn terminal() -> (OwnedFd, File) {
    terminal_of(80)
}

fn terminal_of(columns: u16) -> (OwnedFd, File) {
    let size = Winsize {
        ws_row: 25,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).unwrap();
    (pty.slave, pty.master.into())
}

/// All that is shown until the command has ended.
async fn shown(command: Command, (terminal, mut person): (OwnedFd, File), types: &str) -> String {
    person.write_all(types.as_bytes()).unwrap();
    shown_until(command, (terminal, person), None).await
}

/// The same; once these words are shown, the person presses Ctrl-C.
async fn shown_until(
    mut command: Command,
    (terminal, mut person): (OwnedFd, File),
    mut words: Option<&'static str>,
) -> String {
    command
        .env("TERM", "xterm")
        .stdin(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap())
        .stdout(terminal);
    let watched = tokio::task::spawn_blocking(move || {
        let mut process = command.spawn().unwrap();
        drop(command); // its copy of the terminal, without which reading ends with the process
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        // Linux says EIO where others say that it is the end
        while let Ok(read @ 1..) = person.read(&mut piece) {
            shown.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&shown);
            if words.take_if(|words| text.contains(*words)).is_some() {
                let id = nix::unistd::Pid::from_raw(process.id().try_into().unwrap());
                nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
            }
        }
        process.wait().unwrap();
        String::from_utf8_lossy(&shown).into_owned()
    });
    watched.await.unwrap()
}

#[tokio::test]
async fn in_a_terminal_the_table_fits_its_width_and_urgent_rows_have_colour() {
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
async fn colours_appear_only_where_they_are_requested() {
    let world = world().await;
    let status = |color| {
        world
            .secrets_manager()
            .age(world.single_user(), 40)
            .unwrap();
        command(&world, &["status", "--color", color])
    };
    let piped = common::stdout_of(&common::run(status("always")).await);
    assert!(piped.contains('\u{1b}'), "{piped}");
    let seen = shown(status("never"), terminal(), "").await;
    assert!(
        !seen.contains('\u{1b}') && seen.contains("overdue"),
        "{seen}"
    );
}

/// Sessions as they are recorded, at both widths that people have.
#[tokio::test]
async fn results_are_as_recorded_at_80_and_at_120_columns() {
    let world = world().await;
    let (secret, service) = (world.single_user(), world.secrets_manager());
    common::change_password_by_hand(&world).await;
    service.rotate(secret).await.unwrap();
    // days, whose texts are as wide in each run; seconds would not be
    for secret in [secret, world.alternating_users(), world.admin()] {
        service.age(secret, 40).unwrap();
    }
    for width in [80, 120] {
        for (name, arguments) in [
            ("status", &["status"][..]),
            ("audit", &["audit"]),
            ("doctor", &["doctor", secret]),
            ("unknown", &["rotate", "demo/order/single"]),
        ] {
            let mut command = command(&world, arguments);
            command.env("NO_COLOR", "1");
            let seen = shown(command, terminal_of(width), "")
                .await
                .replace("\r\n", "\n");
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
            let file = folder.join(width.to_string()).join(format!("{name}.txt"));
            let recorded = snapbox::Data::read_from(&file, None);
            // a version, a moment, a role, a port: as wide as they are, so that the lines break where they did
            let seen = masked(&seen, &world);
            snapbox::assert_data_eq!(seen.clone(), recorded.raw());
            let lines = seen
                .lines()
                .filter(|line| !line.trim_start().starts_with(['$', '=']));
            for line in lines {
                assert!(line.chars().count() <= usize::from(width), "{line}");
            }
        }
    }
}

/// What differs from run to run, by letters of the same width.
fn masked(text: &str, world: &World) -> String {
    let role = world.role();
    let text = text.replace(world.dbname(), &"b".repeat(world.dbname().len()));
    let port = world.postgres().port().to_string();
    let text = text.replace(role, &"r".repeat(role.len()));
    let text = text.replace(&port, &"p".repeat(port.len()));
    let endpoint = world.endpoint().rsplit(':').next().unwrap().to_owned();
    let text = text.replace(&endpoint, &"e".repeat(endpoint.len()));
    // versions, moments
    let version =
        regex::Regex::new(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
    let text = version
        .replace_all(&text, "vvvvvvvv-vvvv-vvvv-vvvv-vvvvvvvvvvvv")
        .into_owned();
    let moment = regex::Regex::new(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?").unwrap();
    let text = moment.replace_all(&text, |found: &regex::Captures<'_>| {
        "d".repeat(found[0].len())
    });
    let address = regex::Regex::new("localhost is [0-9a-f.:, ]+ from here").unwrap();
    address
        .replace_all(&text, "localhost is ADDRESS from here")
        .into_owned()
}

#[tokio::test]
async fn a_followed_rotation_shows_its_steps_as_they_happen() {
    let world = world().await;
    let rotate = command(&world, &["rotate", world.single_user(), "--wait"]);
    let seen = shown(rotate, terminal(), "").await;
    assert!(seen.contains('█') && seen.contains("rotated in"), "{seen}");
}

#[tokio::test]
async fn compromised_asks_the_operator_first_and_no_leaves_everything_unchanged() {
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
async fn init_asks_the_operator_first_and_no_leaves_everything_unchanged() {
    let world = world().await;
    let role = format!("app_of_{}", world.role());
    for (answer, said, created) in [
        ("n", "nothing was done", 0),
        ("y", "the secret is stored, arn:", 1),
    ] {
        let arguments = ["init", "app/db", "--username", &role, "--administrator"];
        let command = command(&world, &[&arguments[..], &[world.admin()]].concat());
        let seen = shown(command, terminal(), answer).await;
        // a line that does not fit goes on below
        let seen = seen.replace("\r\n  ", " ");
        assert!(seen.contains("Do that now?"), "{seen}");
        assert!(seen.contains(said), "{seen}");
        assert_eq!(called(&world, "CreateSecret"), created, "{seen}");
    }
}

#[cfg(feature = "local")]
#[tokio::test]
async fn a_local_world_prints_the_lines_to_export_to_a_terminal() {
    let function = ["local", "up", "--port", "0", "--function", "/bin/true"];
    let command = common::at("http://127.0.0.1:1", &function);
    let seen = shown_until(command, terminal(), Some("Ctrl-C ends it")).await;
    for line in [
        "export AWS_ENDPOINT_URL=http://127.0.0.1:",
        "export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x",
        "export TLS_CA_FILE=/",
    ] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
}

#[tokio::test]
async fn an_error_on_the_command_line_fits_the_terminal() {
    let world = world().await;
    for (mistake, word) in [
        (&["audit", "--ignore", "nothing"][..], "possible values"),
        (&["init", "orders/db", "--kms-kex", "key"], "Usage:"),
    ] {
        let said = shown(command(&world, mistake), terminal(), "").await;
        assert!(said.contains(word), "{said}");
        for line in said.lines() {
            assert!(console::measure_text_width(line) <= 80, "{line:?}");
        }
    }
}
