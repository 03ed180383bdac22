//! Files that follow a secret: what is written, and when.

#![cfg(test)]

mod after;
mod asking;
#[path = "../common/mod.rs"]
mod common;
mod formats;
mod full;
mod read;
mod refused;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use common::{
    create,
    folder::{Place, document, script},
    put, skipped, until,
};
use nix::unistd::geteuid;
use rotating_secret::provider::{File, SecretProvider, Stage};
use secrecy::ExposeSecret;
use serde_json::json;

const PLAIN: &str = r#"
write = [
  { name = "username", format = "plain", key = "username" },
  { name = "password", format = "plain", key = "password" },
]
"#;

#[tokio::test]
async fn by_default_a_secret_becomes_a_service_file_that_only_the_agents_user_reads() {
    let place = Place::with_login().await;
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
    let place = Place::with_login().await;
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
    place.put("orders", "one").await;
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
    let place = Place::with_login().await;
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
    let place = Place::with_login().await;
    let agent = place.agent("write = [{ format = \"pgpass\" }, { format = \"json\" }]");
    place.holds("pgpass", "one").await;
    place.put("orders", "t-w-o\nthree").await;
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
    place.put("orders", "four").await;
    place.holds("pgpass", "four").await;
}

#[tokio::test]
async fn both_users_are_in_pgbouncers_list_while_both_log_in() {
    let place = Place::with_login().await;
    let list = "write = [{ format = \"userlist\" }]";
    let agent = place.agent(list);
    assert_eq!(
        place.holds("userlist.txt", "one").await,
        "\"orders\" \"one\"\n"
    );
    place.put("orders_clone", "two").await;
    let text = place.holds("userlist.txt", "two").await;
    assert_eq!(text, "\"orders_clone\" \"two\"\n\"orders\" \"one\"\n");
    // single user: the old password has ended
    place.put("orders_clone", "three").await;
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

#[tokio::test]
async fn files_of_a_secret_that_is_refused_stay_and_are_restored() {
    let place = Place::with_login().await;
    let agent = place.agent(PLAIN);
    place.holds("password", "one").await;
    let delete = json!({ "SecretId": "orders/db", "ForceDeleteWithoutRecovery": true });
    place.service.call("DeleteSecret", delete).await.unwrap();
    until(async || (agent.read("orders/db").await.status == 400).then_some(())).await;
    fs::remove_file(place.file("password")).unwrap();
    place.holds("password", "one").await;
}
