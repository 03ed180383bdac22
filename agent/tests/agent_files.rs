//! Files that follow a secret: what is written, when and how, and what runs afterwards.

#![cfg(test)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    process::{Command, Stdio},
};

use common::{
    Agent, command, create,
    folder::{Place, SHORT, document, script},
    put, skipped, until,
};
use nix::unistd::{Uid, geteuid};
use rotating_secret::provider::{File, SecretProvider, Stage};
use secrecy::ExposeSecret;

const PLAIN: &str = r#"
write = [
  { name = "username", format = "plain", key = "username" },
  { name = "password", format = "plain", key = "password" },
]
"#;

#[tokio::test]
async fn by_default_a_secret_becomes_a_service_file_that_only_the_agents_user_reads() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let _agent = place.agent("");
    let text = place.holds("pg_service.conf", "one").await;
    assert_eq!(
        text,
        "[default]\nuser=orders\npassword=one\nhost=db.example.com\nport=6432\ndbname=shop\nsslmode=verify-full\n"
    );
    let is = fs::metadata(place.file("pg_service.conf")).unwrap();
    assert_eq!((is.mode() & 0o7777, is.uid()), (0o600, geteuid().as_raw()));
    // every user may enter the folders, but only the agent may write there
    for folder in [place.directory(), place.file("")] {
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o7777, 0o755);
    }
}

#[tokio::test]
async fn each_format_holds_what_its_reader_expects() {
    let place = Place::new().await;
    let text = document("orders", "o\"n:e\\");
    create(&place.service, "orders/db", &text).await;
    let _agent = place.agent(
        r#"
write = [
  { format = "pg_service", service = "orders", parameters = { sslmode = "require", connect_timeout = "5" } },
  { format = "pgpass" },
  { format = "userlist" },
  { format = "json" },
  { name = "whole", format = "plain" },
  { name = "port", format = "plain", key = "port" },
  { format = "env", values = { DB_USER = "username", DB_PORT = "port" } },
]"#,
    );
    let service = place.holds("pg_service.conf", "[orders]").await;
    assert!(
        service.ends_with("dbname=shop\nconnect_timeout=5\nsslmode=require\n"),
        "{service}"
    );
    let read = |name: &str| fs::read_to_string(place.file(name)).unwrap();
    assert_eq!(
        read("pgpass"),
        "db.example.com:6432:*:orders:o\"n\\:e\\\\\n"
    );
    assert_eq!(read("userlist.txt"), "\"orders\" \"o\"\"n:e\\\"\n");
    assert_eq!((read("secret.json"), read("whole")), (text.clone(), text));
    assert_eq!(
        (read("port"), read(".env")),
        (
            "6432".to_owned(),
            "DB_PORT=6432\nDB_USER=orders\n".to_owned()
        )
    );
}

#[tokio::test]
async fn the_files_of_a_folder_are_of_one_version_however_it_is_read() {
    let place = Place::new().await;
    create(
        &place.service,
        "orders/db",
        &document("user-0", "password-0"),
    )
    .await;
    let _agent = place.agent(PLAIN);
    place.holds("password", "password-0").await;
    let current = place.directory().join("current");
    for version in 1..=4 {
        let text = document(&format!("user-{version}"), &format!("password-{version}"));
        put(&place.service, "orders/db", &text).await;
        until(async || {
            // like a program that opens the folder once
            let folder = current.canonicalize().unwrap();
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
            let (user, password) = (read("username"), read("password"));
            assert_eq!(user.strip_prefix("user"), password.strip_prefix("password"));
            password.ends_with(&version.to_string()).then_some(())
        })
        .await;
    }
    // the same way as the client crate
    let version = File::new("/")
        .fetch(current.to_str().unwrap(), Stage::Current)
        .await
        .unwrap();
    let rotating_secret::provider::Value::Text(text) = version.value else {
        panic!("no text")
    };
    assert_eq!(
        text.expose_secret(),
        r#"{"password":"password-4","username":"user-4"}"#
    );
}

#[tokio::test]
async fn what_did_not_change_is_not_written_again_and_what_was_changed_or_removed_is_put_back() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let ran = place.beside("ran");
    script(
        &place.beside("after"),
        &format!("echo ran >> {}", ran.display()),
    );
    let lines = format!(
        "{PLAIN}after = {{ command = [\"{}\"] }}",
        place.beside("after").display()
    );
    let agent = place.agent(&lines);
    let link = place.directory().join("current");
    let written = until(async || fs::read_link(&link).ok()).await;
    until(async || place.directory().join(".told").is_symlink().then_some(())).await;
    let renewed = |times: usize| {
        let (service, asked) = (&place.service, place.service.calls().len());
        async move { until(async || (service.calls().len() >= asked + times).then_some(())).await }
    };
    // the same secret with another version id
    put(&place.service, "orders/db", &document("orders", "one")).await;
    renewed(3).await;
    assert_eq!(fs::read_link(&link).unwrap(), written);
    // a new agent finds the right files, and that `after` has run
    drop(agent);
    let _agent = place.agent(&lines);
    renewed(3).await;
    assert_eq!(fs::read_link(&link).unwrap(), written);
    assert_eq!(fs::read_to_string(&ran).unwrap(), "ran\n");

    for spoil in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| fs::write(path, "other").unwrap(),
        |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
        |path: &Path| fs::write(path.with_file_name("more"), "").unwrap(),
    ] {
        let before = fs::read_link(&link).unwrap();
        spoil(&place.file("password"));
        until(async || (fs::read_link(&link).unwrap() != before).then_some(())).await;
        assert_eq!(fs::read_to_string(place.file("password")).unwrap(), "one");
        assert_eq!(
            fs::metadata(place.file("password")).unwrap().mode() & 0o777,
            0o600
        );
    }
}

#[tokio::test]
async fn files_are_given_to_their_owner_and_group() {
    if !geteuid().is_root() {
        skipped("files of another owner: only root gives files away");
        return;
    }
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let agent = place.agent("owner = \"4711:4712\"\nmode = \"0440\"");
    place.holds("pg_service.conf", "one").await;
    let of = |place: &Place| {
        let is = fs::metadata(place.file("pg_service.conf")).unwrap();
        (is.uid(), is.gid(), is.mode() & 0o7777)
    };
    assert_eq!(of(&place), (4711, 4712, 0o440));
    // its folder stays the agent's: the file's owner cannot replace the file
    assert_eq!(fs::metadata(place.file("")).unwrap().uid(), 0);
    drop(agent);
    // another owner in the settings means another file
    let _agent = place.agent("owner = \":4713\"");
    until(async || (of(&place) == (0, 4713, 0o600)).then_some(())).await;
}

#[tokio::test]
async fn what_a_format_cannot_hold_is_refused_without_its_value_and_the_files_keep_the_version_before()
 {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let agent = place.agent("write = [{ format = \"pgpass\" }, { format = \"json\" }]");
    place.holds("pgpass", "one").await;
    put(
        &place.service,
        "orders/db",
        &document("orders", "t-w-o\nthree"),
    )
    .await;
    let said =
        until(async || Some(agent.log()).filter(|log| log.contains("cannot be written"))).await;
    assert!(
        said.contains("pgpass cannot be written as pgpass: password has a line break"),
        "{said}"
    );
    assert!(!said.contains("t-w-o") && !said.contains("three"), "{said}");
    // one file cannot hold the version, so none is written
    for name in ["pgpass", "secret.json"] {
        assert!(
            fs::read_to_string(place.file(name))
                .unwrap()
                .contains("one"),
            "{name}"
        );
    }
    put(&place.service, "orders/db", &document("orders", "four")).await;
    place.holds("pgpass", "four").await;
}

#[tokio::test]
async fn both_users_are_in_pgbouncers_list_while_both_log_in() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let list = "write = [{ format = \"userlist\" }]";
    let agent = place.agent(list);
    assert_eq!(
        place.holds("userlist.txt", "one").await,
        "\"orders\" \"one\"\n"
    );
    put(
        &place.service,
        "orders/db",
        &document("orders_clone", "two"),
    )
    .await;
    let text = place.holds("userlist.txt", "two").await;
    assert_eq!(text, "\"orders_clone\" \"two\"\n\"orders\" \"one\"\n");
    // single user: the old password has ended
    put(
        &place.service,
        "orders/db",
        &document("orders_clone", "three"),
    )
    .await;
    assert_eq!(
        place.holds("userlist.txt", "three").await,
        "\"orders_clone\" \"three\"\n"
    );
    drop(agent);
    // the document gives a window: the old user's line ends with it
    let mut short: serde_json::Value = serde_json::from_str(&document("orders", "four")).unwrap();
    short["overlap_seconds"] = 3.into();
    let _agent = place.agent(list);
    put(&place.service, "orders/db", &short.to_string()).await;
    let path = place.file("userlist.txt");
    until(async || (fs::read_to_string(&path).unwrap() == "\"orders\" \"four\"\n").then_some(()))
        .await;
}

#[tokio::test]
async fn a_command_runs_without_a_shell_and_without_anything_of_the_agents() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (seen, program) = (place.beside("seen"), place.beside("after"));
    // one of the descriptors is the shell's script
    let look = format!(
        "{{ pwd; cat; echo \"$1\"; tr '\\0' '\\n' < /proc/self/environ; for fd in /proc/$$/fd/*; do readlink $fd; done | tr '\\n' ' '; }} > {0}.new; mv {0}.new {0}",
        seen.display()
    );
    script(&program, &look);
    let _agent = place.agent(&format!(
        "after = {{ command = [\"{}\", \"$(id) *\"] }}",
        program.display()
    ));
    let said = until(async || fs::read_to_string(&seen).ok()).await;
    let lines: Vec<&str> = said.lines().collect();
    let [folder, argument, environment @ .., descriptors] = &lines[..] else {
        panic!("{said}")
    };
    assert_eq!((*folder, *argument), ("/", "$(id) *"));
    let names: BTreeSet<&str> = environment
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    // the shell adds PWD and SHLVL
    assert!(
        names
            .iter()
            .all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)),
        "{said}"
    );
    // the command gets none of the agent's own descriptors
    for own in ["socket:", "anon_inode:", "/out"] {
        assert!(!descriptors.contains(own), "{said}");
    }
    assert!(descriptors.starts_with("/dev/null "), "{said}");
}

#[tokio::test]
async fn a_command_that_fails_is_a_warning_with_its_status_and_is_tried_again() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (program, tries) = (place.beside("after"), place.beside("tries"));
    let text = format!(
        "echo x >> {0}; [ $(wc -l < {0}) -gt 1 ] || exit 3",
        tries.display()
    );
    script(&program, &text);
    let mut agent = place.agent(&format!(
        "after = {{ command = [\"{}\"] }}",
        program.display()
    ));
    until(async || place.directory().join(".told").is_symlink().then_some(())).await;
    let log = agent.whole_log();
    assert!(log.contains("ended with status 3"), "{log}");
    assert_eq!(fs::read_to_string(&tries).unwrap(), "x\nx\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (program, child) = (place.beside("after"), place.beside("child"));
    // the loop has a limit: the test may end before it
    script(
        &program,
        &format!(
            "sleep 20 & echo $! > {0}.new; mv {0}.new {0}; wait",
            child.display()
        ),
    );
    let agent = place.agent(&format!(
        "after = {{ command = [\"{}\"], within = \"1s\" }}",
        program.display()
    ));
    let started = until(async || fs::read_to_string(&child).ok()).await;
    until(async || {
        agent
            .log()
            .contains("took longer than 1s and was ended")
            .then_some(())
    })
    .await;
    let status = format!("/proc/{}/status", started.trim());
    until(async || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    })
    .await;
    // the files are written anyway
    assert_eq!(agent.request("GET", "/ready", "").await.status, 200);
}

#[tokio::test]
async fn a_signal_goes_to_the_process_of_a_pid_file_at_each_change() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (told, pid) = (place.beside("told"), place.beside("pid"));
    let text = format!(
        "trap 'cat {} >> {}' USR1; echo $$ > {2}.new; mv {2}.new {2}; while :; do sleep 0.05; done",
        place.file("password").display(),
        told.display(),
        pid.display()
    );
    let mut process = Command::new("sh")
        .args(["-c", &text])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until(async || pid.exists().then_some(())).await;
    let _agent = place.agent(&format!(
        "{PLAIN}after = {{ signal = \"USR1\", pid_file = \"{}\" }}",
        pid.display()
    ));
    for text in ["one", "onetwo"] {
        until(async || (fs::read_to_string(&told).unwrap_or_default() == text).then_some(())).await;
        put(&place.service, "orders/db", &document("orders", "two")).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn only_processes_of_the_owner_of_a_pid_file_get_a_signal() {
    if !geteuid().is_root() {
        skipped("a pid file of another user: only root signals others");
        return;
    }
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = place.beside("pid");
    for (text, said) in [
        (process.id().to_string(), "does not"),
        ("-1".to_owned(), "no process's number"),
        ("0".to_owned(), "no process's number"),
        ("all".to_owned(), "no process's number"),
    ] {
        fs::write(&pid, text).unwrap();
        chown(&pid, Some(4711), None).unwrap();
        let agent = place.agent(&format!(
            "after = {{ signal = \"KILL\", pid_file = \"{}\" }}",
            pid.display()
        ));
        until(async || agent.log().contains(said).then_some(())).await;
    }
    assert!(
        process.try_wait().unwrap().is_none(),
        "root's process was signalled for another user"
    );
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn ready_names_the_files_that_are_missing_and_ping_does_not_wait() {
    let place = Place::new().await;
    let other = place.beside("other");
    let agent = place.agent(&format!(
        "{PLAIN}[[files]]\nsecret = \"absent\"\nrequired = false\ndirectory = \"{}\"",
        other.display()
    ));
    let ready = async || agent.request("GET", "/ready", "").await;
    let missing = ready().await;
    let names = ["username", "password"].map(|name| place.file(name).display().to_string());
    assert_eq!(
        (missing.status, missing.body),
        (503, format!("missing: {}", names.join(", ")))
    );
    assert_eq!(agent.request("GET", "/ping", "").await.status, 200);
    // a page in a browser sees no paths
    assert_eq!(
        agent
            .request("GET", "/ready", "Origin: https://evil.example\r\n")
            .await
            .status,
        403
    );
    create(&place.service, "orders/db", &document("orders", "one")).await;
    until(async || {
        Some(ready().await).filter(|ready| ready.status == 200 && ready.body == "ready")
    })
    .await;
    assert!(place.file("password").exists());
}

/// What the agent prints about these settings before it listens.
fn said_of(endpoint: &str, own: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, format!("endpoint = \"{endpoint}\"\n{own}")).unwrap();
    let mut command = command();
    command.env("AWS_TOKEN", common::TOKEN);
    let output = command.arg("--settings").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{own}\n{said}");
    said
}

#[tokio::test]
async fn no_secret_is_written_where_another_user_could_put_something_in_its_place() {
    let place = Place::new().await;
    let said = said_of(
        &place.endpoint,
        &place.table("\n[[files]]\nsecret = \"a\"\ndirectory = \"/proc/absent/out\""),
    );
    assert!(said.contains("/proc/absent"), "{said}");

    let (open, link) = (place.beside("open"), place.beside("link"));
    fs::create_dir(&open).unwrap();
    symlink(&open, &link).unwrap();
    let table = |path: &Path, more: &str| {
        format!(
            "[[files]]\nsecret = \"a\"\ndirectory = \"{}\"\n{more}",
            path.display()
        )
    };
    let of_mode = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
    for (path, mode, told) in [
        (link.clone(), 0o755, "symbolic link"),
        (link.join("out"), 0o755, "symbolic link"),
        (open.join("out"), 0o777, "mode 0777"),
        (open.join("out"), 0o775, "mode 0775"),
        // a sticky folder is accepted above the directory, but not as the directory
        (open.clone(), 0o1777, "mode 1777"),
    ] {
        of_mode(mode);
        let said = said_of(&place.endpoint, &table(&path, ""));
        assert!(said.contains(told), "{told}: {said}");
    }
    if geteuid().is_root() {
        of_mode(0o755);
        chown(&open, Some(4711), None).unwrap();
        let said = said_of(&place.endpoint, &table(&open.join("out"), ""));
        assert!(said.contains("belongs to user 4711"), "{said}");
        chown(&open, Some(Uid::effective().as_raw()), None).unwrap();
    }
    // a volume that containers share
    of_mode(0o777);
    create(&place.service, "a", &document("orders", "one")).await;
    let _agent = Agent::start(
        &place.endpoint,
        SHORT,
        &table(&open.join("out"), "shared_parent = true"),
    );
    until(async || {
        open.join("out/current/pg_service.conf")
            .exists()
            .then_some(())
    })
    .await;
    // one directory belongs to one agent
    let said = said_of(
        &place.endpoint,
        &table(&open.join("out"), "shared_parent = true"),
    );
    assert!(said.contains("another agent writes there"), "{said}");
}

#[tokio::test]
async fn nothing_is_written_through_what_another_user_has_put_there() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (directory, victim) = (place.directory(), place.beside("victim"));
    fs::create_dir(&directory).unwrap();
    fs::write(&victim, "untouched").unwrap();
    for name in ["current", ".next", ".told"] {
        symlink(&victim, directory.join(name)).unwrap();
    }
    let _agent = place.agent(PLAIN);
    place.holds("password", "one").await;
    // a link in place of an existing file
    let password = place.file("password");
    fs::remove_file(&password).unwrap();
    symlink(&victim, &password).unwrap();
    until(async || (!place.file("password").is_symlink()).then_some(())).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

#[tokio::test]
async fn every_mistake_in_the_tables_is_reported_before_anything_starts() {
    let said = |lines: &str| {
        said_of(
            "http://127.0.0.1:1",
            &format!("[[files]]\nsecret = \"a\"\n{lines}"),
        )
    };
    let there = "directory = \"/run/out\"\n";
    for (lines, told) in [
        ("", "missing field `directory`"),
        ("directory = \"out\"", "no absolute path"),
        ("directory = \"/run/../etc\"", "no absolute path"),
        ("directory = \"/run/./out\"", "no absolute path"),
        ("directory = \"/\"", "no absolute path"),
        (
            "directory = \"/run/out\"\n[[files]]\nsecret = \"b\"\ndirectory = \"/run/out\"",
            "that of another table",
        ),
        (&format!("{there}mode = \"0644\""), "none of 0400"),
        (&format!("{there}mode = \"four\""), "none of 0400"),
        (
            &format!("{there}owner = \"nobody-of-that-name\""),
            "knows no such user",
        ),
        (
            &format!("{there}owner = \"0:no-such-group\""),
            "knows no such group",
        ),
        (
            &format!("{there}mode = \"0640\"\nwrite = [{{ format = \"pgpass\" }}]"),
            "mode = \"0640\": libpq ignores a pgpass",
        ),
        (
            &format!("{there}write = [{{ format = \"xml\" }}]"),
            "unknown variant `xml`",
        ),
        (
            &format!("{there}write = [{{ nmae = \"a\" }}]"),
            "unknown field `nmae`",
        ),
        (
            &format!("{there}write = [{{ name = \"../a\" }}]"),
            "no file's name",
        ),
        (
            &format!("{there}write = [{{}}, {{}}]"),
            "another file has the same name",
        ),
        (
            &format!("{there}write = [{{ format = \"json\", key = \"a\" }}]"),
            "key = \"a\": it belongs to the format plain",
        ),
        (
            &format!("{there}write = [{{ format = \"env\", service = \"a\" }}]"),
            "service = \"a\": it belongs to the format pg_service",
        ),
        (
            &format!("{there}write = [{{ values = {{ A = \"a\" }} }}]"),
            "values: it belongs to the format env",
        ),
        (
            &format!("{there}write = [{{ format = \"env\", values = {{ A-B = \"a\" }} }}]"),
            "A-B is no variable's name",
        ),
        (
            &format!("{there}write = [{{ service = \"a]\" }}]"),
            "no service's name",
        ),
        (
            &format!("{there}write = [{{ parameters = {{ password = \"a\" }} }}]"),
            "password comes from the secret",
        ),
        (
            &format!("{there}write = [{{ parameters = {{ service = \"a\" }} }}]"),
            "libpq refuses service",
        ),
        (
            &format!("{there}after = {{ command = [] }}"),
            "command = []: it is empty",
        ),
        (
            &format!("{there}after = {{ command = [\"a\"], within = \"soon\" }}"),
            "within = \"soon\": write a time",
        ),
        (
            &format!("{there}after = {{ signal = \"HANG\", pid_file = \"/run/pid\" }}"),
            "signal = \"HANG\": it is no signal",
        ),
        (
            &format!("{there}after = {{ signal = \"HUP\" }}"),
            "signal and pid_file",
        ),
        (
            &format!("{there}after = {{ signal = \"HUP\", pid_file = \"/p\", command = [\"a\"] }}"),
            "signal and pid_file",
        ),
    ] {
        let said = said(lines);
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!Path::new("/run/out").exists());
}
