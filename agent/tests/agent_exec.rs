//! A child whose environment follows a secret.

#![cfg(test)]

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
    folder::{Place, SHORT, document, script},
    put, skipped, until,
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
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
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
async fn a_new_version_restarts_the_child_and_leaves_none_behind() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let told = place.beside("told");
    let text = format!(
        "echo $PGUSER $PGPASSWORD $$ >> {}; exec sleep 1000",
        told.display()
    );
    let mut exec = Exec::start(
        &place,
        &place.table(""),
        &["--secret", "orders/db", "--", "sh", "-c", &text],
    );
    text_of(&told, "orders one").await;
    // files of the same secret do not cause a second restart
    for (user, password) in [("clone", "two"), ("orders", "three")] {
        put(&place.service, "orders/db", &document(user, password)).await;
        let lines = text_of(&told, &format!("{user} {password}")).await;
        assert!(
            place
                .holds("pg_service.conf", password)
                .await
                .contains(user)
        );
        let newest = lines.lines().last().unwrap().rsplit_once(' ').unwrap().1;
        until(async || {
            (exec
                .children()
                .iter()
                .map(|(pid, _)| pid.to_string())
                .collect::<Vec<_>>()
                == [newest])
            .then_some(())
        })
        .await;
    }
    exec.signal(Signal::SIGTERM);
    assert_eq!(exec.ended().await, 143);
    assert_eq!(fs::read_to_string(&told).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_child_that_does_not_end_in_time_is_killed_and_restarted() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let told = place.beside("told");
    let text = format!(
        "trap '' TERM; echo $PGPASSWORD >> {}; while :; do sleep 0.05; done",
        told.display()
    );
    let arguments = [
        "--secret",
        "orders/db",
        "--stop-within",
        "200ms",
        "--",
        "sh",
        "-c",
        &text,
    ];
    let mut exec = Exec::start(&place, "", &arguments);
    text_of(&told, "one").await;
    put(&place.service, "orders/db", &document("orders", "two")).await;
    text_of(&told, "two").await;
    let [(child, _)] = exec.children()[..] else {
        panic!("{:?}", exec.children())
    };
    // after SIGTERM from outside the agent does not kill it: its manager decides that
    exec.signal(Signal::SIGTERM);
    put(&place.service, "orders/db", &document("orders", "three")).await;
    let asked = place.service.calls().len();
    until(async || (place.service.calls().len() > asked + 3).then_some(())).await;
    assert_eq!(exec.children().len(), 1);
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    assert_eq!(exec.ended().await, 137);
    assert_eq!(fs::read_to_string(&told).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn told_to_end_during_a_new_start_it_starts_no_other_child() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (told, go) = (place.beside("told"), place.beside("go"));
    let text = format!(
        "trap 'echo term >> {0}' TERM; echo $PGPASSWORD >> {0}; while [ ! -e {1} ]; do sleep 0.05; done; exit 9",
        told.display(),
        go.display()
    );
    let mut exec = Exec::start(
        &place,
        "",
        &[
            "--secret",
            "orders/db",
            "--stop-within",
            "10m",
            "--",
            "sh",
            "-c",
            &text,
        ],
    );
    text_of(&told, "one").await;
    put(&place.service, "orders/db", &document("orders", "two")).await;
    text_of(&told, "term").await;
    exec.signal(Signal::SIGTERM);
    text_of(&told, "term\nterm").await;
    fs::write(&go, "").unwrap();
    assert_eq!(exec.ended().await, 9);
    assert_eq!(fs::read_to_string(&told).unwrap(), "one\nterm\nterm\n");
}

#[tokio::test]
async fn with_a_signal_the_child_keeps_running_and_gets_the_signal_when_its_files_are_there() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (told, file) = (place.beside("told"), place.file("pg_service.conf"));
    let text = format!(
        "trap 'grep password {0} >> {1}' HUP; grep password {0} >> {1}; while :; do sleep 0.05; done",
        file.display(),
        told.display()
    );
    let exec = Exec::start(
        &place,
        &place.table(""),
        &["--signal", "HUP", "--", "sh", "-c", &text],
    );
    // it starts when the files are there
    text_of(&told, "password=one").await;
    let before = exec.children();
    for password in ["two", "three"] {
        put(&place.service, "orders/db", &document("orders", password)).await;
        text_of(&told, &format!("password={password}")).await;
    }
    assert_eq!(
        fs::read_to_string(&told).unwrap(),
        "password=one\npassword=two\npassword=three\n"
    );
    assert_eq!(exec.children()[0].0, before[0].0);
}

#[tokio::test]
async fn a_signal_does_not_wait_for_files_that_refuse_the_new_version() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "0")).await;
    let (told, log) = (place.beside("told"), place.beside("log"));
    let text = format!(
        "trap 'echo usr1 >> {0}' USR1; trap 'echo hup >> {0}' HUP; echo start >> {0}; while :; do sleep 0.05; done",
        told.display()
    );
    let mut command = Exec::command(
        &place,
        &place.table("write = [{ format = \"pgpass\" }]"),
        &[
            "--secret",
            "orders/db",
            "--signal",
            "HUP",
            "--",
            "sh",
            "-c",
            &text,
        ],
    );
    let log_file = fs::File::create(&log).unwrap();
    let exec = Exec(command.stderr(log_file).spawn().unwrap());
    text_of(&told, "start").await;
    // on a machine slower than the wait for the files HUP may come first: then the next one
    let refused = [
        (document("orders", "o\nne"), "password has"),
        (document("ord\ners", "two"), "username has"),
    ];
    for (text, why) in refused.iter().cycle().take(6) {
        fs::write(&told, "").unwrap();
        put(&place.service, "orders/db", text).await;
        until(async || {
            let log = fs::read_to_string(&log).unwrap();
            let mut lines = log.lines().rev();
            let last = lines.find(|line| line.contains("cannot be written"))?;
            last.contains(why).then_some(())
        })
        .await;
        exec.signal(Signal::SIGUSR1);
        text_of(&told, "usr1").await;
        if text_of(&told, "hup").await == "usr1\nhup\n" {
            return;
        }
    }
    panic!("each signal waited for the files");
}

#[tokio::test]
async fn a_version_that_comes_while_files_are_missing_reaches_the_child() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let told = place.beside("told");
    let own = format!(
        "[[files]]\nsecret = \"other\"\ndirectory = \"{}\"\n",
        place.directory().display()
    );
    let text = format!("echo $PGPASSWORD >> {}; exec sleep 1000", told.display());
    let _exec = Exec::start(
        &place,
        &own,
        &["--secret", "orders/db", "--", "sh", "-c", &text],
    );
    let reads = async |times: usize| {
        let asked = place.service.calls().len();
        until(async || (place.service.calls().len() >= asked + times).then_some(())).await;
    };
    // each round asks for both secrets
    reads(4).await;
    put(&place.service, "orders/db", &document("orders", "two")).await;
    reads(6).await;
    create(&place.service, "other", &document("orders", "any")).await;
    text_of(&told, "two").await;
}

#[tokio::test]
async fn a_version_that_comes_while_another_secret_cannot_be_read_reaches_the_child_later() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    create(&place.service, "mail/key", r#"{"key":"k-1"}"#).await;
    let (told, log) = (place.beside("told"), place.beside("log"));
    let text = format!(
        "echo $PGPASSWORD $KEY >> {}; exec sleep 1000",
        told.display()
    );
    let mut command = Exec::command(
        &place,
        "overlap_window = \"3s\"",
        &[
            "--secret",
            "orders/db",
            "--env",
            "KEY=mail/key:key",
            "--",
            "sh",
            "-c",
            &text,
        ],
    );
    let log_file = fs::File::create(&log).unwrap();
    let _exec = Exec(command.stderr(log_file).spawn().unwrap());
    text_of(&told, "one k-1").await;
    let call = async |operation| {
        let id = serde_json::json!({ "SecretId": "mail/key" });
        place.service.call(operation, id).await.unwrap();
    };
    call("DeleteSecret").await;
    // a version after the other, until the deleted secret is too old
    let mut version = 0;
    while !fs::read_to_string(&log)
        .unwrap()
        .contains("the child keeps the version before")
    {
        version += 1;
        let asked = place.service.calls().len();
        put(
            &place.service,
            "orders/db",
            &document("orders", &format!("two-{version}")),
        )
        .await;
        until(async || (place.service.calls().len() > asked + 4).then_some(())).await;
    }
    call("RestoreSecret").await;
    text_of(&told, &format!("two-{version} k-1")).await;
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
