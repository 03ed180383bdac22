//! A child whose environment follows a secret.

#![cfg(test)]

mod changes;
#[path = "../common/mod.rs"]
mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
};

use common::{
    command, create,
    folder::{Place, SHORT, script},
    skipped, until,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// `exec` with these arguments, a lifetime of one second, and these lines in its settings.
struct Exec(Child);

impl Drop for Exec {
    fn drop(&mut self) {
        // SIGTERM ends its child too
        let _ = kill(self.pid(), Signal::SIGTERM);
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.0.wait();
        }
    }
}

impl Exec {
    fn command(place: &Place, own: &str, arguments: &[&str]) -> Command {
        let (awss, settings) = (place.beside("awss.toml"), place.beside("own.toml"));
        fs::write(&awss, format!("[capabilities.secrets_manager]\n{SHORT}")).unwrap();
        fs::write(
            &settings,
            format!("endpoint = \"{}\"\n{own}", place.endpoint),
        )
        .unwrap();
        let mut command = command();
        command
            .arg("exec")
            .arg("--config")
            .arg(awss)
            .arg("--settings")
            .arg(settings)
            .args(arguments);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    fn start(place: &Place, own: &str, arguments: &[&str]) -> Self {
        Self(
            Self::command(place, own, arguments)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    async fn ended(&mut self) -> i32 {
        until(async || self.0.try_wait().unwrap())
            .await
            .code()
            .unwrap()
    }

    fn children(&self) -> Vec<(i32, char)> {
        children_of(self.pid().as_raw())
    }
}

/// The child processes of this parent, each with its state.
fn children_of(parent: i32) -> Vec<(i32, char)> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let state = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = status.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        (fields.next()? == parent.to_string()).then_some((pid, state))
    };
    processes.filter_map(state).collect()
}

async fn text_of(path: &Path, part: &str) -> String {
    until(async || {
        fs::read_to_string(path)
            .ok()
            .filter(|text| text.contains(part))
    })
    .await
}

#[tokio::test]
async fn a_child_gets_the_secrets_and_not_what_opens_the_agent_and_aws() {
    let place = Place::with_login().await;
    let arn = create(&place.service, "mail/key", r#"{"key":"k-1","retries":3}"#).await;
    let environment = |arguments: &[&str]| {
        let chosen = [
            format!("--env=API_KEY={arn}:key"),
            "--env=RETRIES=mail/key:retries".to_owned(),
        ];
        let mut all = vec!["--secret", "orders/db", &chosen[0], &chosen[1]];
        all.extend(arguments);
        all.extend(["--", "env"]);
        let mut command = Exec::command(&place, "", &all);
        command
            .env("AWS_TOKEN", common::TOKEN)
            .env("AWS_SESSION_TOKEN", "any")
            .env("PGHOST", "pooler")
            .env("OTHER", "kept");
        let output = tokio::task::spawn_blocking(move || command.output());
        async move {
            let output = output.await.unwrap().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let said = String::from_utf8(output.stdout).unwrap();
            let pairs = said.lines().filter_map(|line| line.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>()
        }
    };
    let has = environment(&[]).await;
    for (name, value) in [
        ("PGUSER", "orders"),
        ("PGPASSWORD", "one"),
        ("PGPORT", "6432"),
        ("PGDATABASE", "shop"),
        ("PGSSLMODE", "verify-full"),
        ("API_KEY", "k-1"),
        ("RETRIES", "3"),
        // the operator's environment says where to log in
        ("PGHOST", "pooler"),
        ("OTHER", "kept"),
        ("AWS_REGION", "us-east-1"),
    ] {
        assert_eq!(has.get(name).map(String::as_str), Some(value), "{name}");
    }
    let credentials = [
        "AWS_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ];
    assert!(
        credentials.iter().all(|name| !has.contains_key(*name)),
        "{has:?}"
    );
    let has = environment(&["--keep-aws-credentials"]).await;
    assert!(
        credentials.iter().all(|name| has.contains_key(*name)),
        "{has:?}"
    );
}

#[tokio::test]
async fn it_ends_with_the_childs_own_status_and_says_why_no_child_ran() {
    let place = Place::new().await;
    create(&place.service, "orders/db", r#"{"key":"one\u0000two"}"#).await;
    let plain = place.beside("plain");
    fs::write(&plain, "no program").unwrap();
    let plain = plain.to_str().unwrap();
    for (arguments, status, told) in [
        (vec!["--", "sh", "-c", "exit 7"], 7, ""),
        (vec!["--", "sh", "-c", "kill -KILL $$"], 137, ""),
        (
            vec!["--", "/absent/program"],
            127,
            "/absent/program does not start",
        ),
        (vec!["--", plain], 126, "does not start"),
        (
            vec!["--secret", "absent", "--", "true"],
            125,
            "the secret absent cannot be read",
        ),
        (
            vec!["--secret", "orders/db", "--", "true"],
            125,
            "username is not in the document",
        ),
        (
            vec!["--env", "A=orders/db:absent", "--", "true"],
            125,
            "absent is not in the document",
        ),
        (
            vec!["--env", "A=orders/db:key", "--", "true"],
            125,
            "A has a NUL",
        ),
        (
            vec!["--env", "A=b", "--", "true"],
            2,
            "write NAME=SECRET:KEY",
        ),
        (vec!["--signal", "HANG", "--", "true"], 2, "no such signal"),
        (vec![], 2, "COMMAND"),
    ] {
        let mut exec = Exec::start(&place, "", &arguments);
        assert_eq!(exec.ended().await, status, "{arguments:?}");
        let mut said = String::new();
        exec.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(
            said.contains(told) && !said.contains("two"),
            "{arguments:?}: {said}"
        );
    }
}

#[tokio::test]
async fn the_signals_of_a_manager_reach_the_child() {
    let place = Place::new().await;
    let (told, program) = (place.beside("told"), place.beside("child"));
    let names = ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT", "WINCH"];
    let traps: Vec<String> = names
        .iter()
        .map(|name| format!("trap 'echo {name} >> {}' {name}", told.display()))
        .collect();
    script(
        &program,
        &format!(
            "{}\necho up >> {}\nwhile :; do sleep 0.05; done",
            traps.join("\n"),
            told.display()
        ),
    );
    let mut exec = Exec::start(&place, "", &["--", program.to_str().unwrap()]);
    text_of(&told, "up").await;
    for name in names {
        exec.signal(format!("SIG{name}").parse().unwrap());
        text_of(&told, &format!("{name}\n")).await;
    }
    let [(child, _)] = exec.children()[..] else {
        panic!("{:?}", exec.children())
    };
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    assert_eq!(exec.ended().await, 137);
}

#[tokio::test]
async fn in_a_container_nothing_is_left_of_processes_that_the_child_left_behind() {
    let has_namespaces = Command::new("unshare")
        .args(["--pid", "--fork", "true"])
        .output();
    if !has_namespaces.is_ok_and(|output| output.status.success()) {
        skipped("the first process of a container: no process may have its own namespace here");
        return;
    }
    let place = Place::new().await;
    let (told, go) = (place.beside("told"), place.beside("go"));
    // each orphan outlives its parent
    let text = format!(
        "for number in 1 2 3; do (sh -c 'sleep 0.1; echo ended >> {0}' &); done; until [ -e {1} ]; do sleep 0.05; done; exit 9",
        told.display(),
        go.display()
    );
    let mut outer = Exec(in_a_namespace(&place, &text).spawn().unwrap());
    text_of(&told, "ended\nended\nended\n").await;
    let [(first, _)] = outer.children()[..] else {
        panic!("{:?}", outer.children())
    };
    until(async || {
        let states = children_of(first);
        (states.len() == 1 && states[0].1 != 'Z').then_some(())
    })
    .await;
    fs::write(&go, "").unwrap();
    assert_eq!(outer.ended().await, 9);
    // the child's own status is kept, however soon it ends
    for _ in 0..20 {
        let mut outer = Exec(in_a_namespace(&place, "exit 9").spawn().unwrap());
        assert_eq!(outer.ended().await, 9);
    }
}

/// `exec` of this script, as the first process of a namespace.
fn in_a_namespace(place: &Place, text: &str) -> Command {
    let exec = Exec::command(place, "", &["--", "sh", "-c", text]);
    let mut command = Command::new("unshare");
    command
        .env_clear()
        .args(["--pid", "--fork", "--kill-child"])
        .arg(exec.get_program())
        .args(exec.get_args());
    for (name, value) in exec.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}
