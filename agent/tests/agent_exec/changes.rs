//! What a new version does to the child.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use serde_json::json;

use super::{
    Exec,
    common::{
        create,
        folder::{Place, document},
        put, until,
    },
    text_of,
};

#[tokio::test]
async fn a_new_version_restarts_the_child_and_leaves_none_behind() {
    let place = Place::with_login().await;
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
        place.put(user, password).await;
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
    let place = Place::with_login().await;
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
    place.put("orders", "two").await;
    text_of(&told, "two").await;
    let [(child, _)] = exec.children()[..] else {
        panic!("{:?}", exec.children())
    };
    // after SIGTERM from outside the agent does not kill it: its manager decides that
    exec.signal(Signal::SIGTERM);
    place.put("orders", "three").await;
    let asked = place.service.calls().len();
    until(async || (place.service.calls().len() > asked + 3).then_some(())).await;
    assert_eq!(exec.children().len(), 1);
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    assert_eq!(exec.ended().await, 137);
    assert_eq!(fs::read_to_string(&told).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn told_to_end_during_a_new_start_it_starts_no_other_child() {
    let place = Place::with_login().await;
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
    place.put("orders", "two").await;
    text_of(&told, "term").await;
    exec.signal(Signal::SIGTERM);
    text_of(&told, "term\nterm").await;
    fs::write(&go, "").unwrap();
    assert_eq!(exec.ended().await, 9);
    assert_eq!(fs::read_to_string(&told).unwrap(), "one\nterm\nterm\n");
}

#[tokio::test]
async fn with_a_signal_the_child_keeps_running_and_gets_the_signal_when_its_files_are_there() {
    let place = Place::with_login().await;
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
        place.put("orders", password).await;
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
    let place = Place::with_login().await;
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
    place.put("orders", "two").await;
    reads(6).await;
    create(&place.service, "other", &document("orders", "any")).await;
    text_of(&told, "two").await;
}

#[tokio::test]
async fn a_version_that_comes_while_another_secret_cannot_be_read_reaches_the_child_later() {
    let place = Place::with_login().await;
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
        place.put("orders", &format!("two-{version}")).await;
        until(async || (place.service.calls().len() > asked + 4).then_some(())).await;
    }
    call("RestoreSecret").await;
    text_of(&told, &format!("two-{version} k-1")).await;
}

#[tokio::test]
async fn a_refused_secret_does_not_keep_the_versions_of_another_one_from_the_child() {
    let place = Place::with_login().await;
    create(&place.service, "mail/key", r#"{"key":"k-1"}"#).await;
    let told = place.beside("told");
    let text = format!(
        "echo $PGPASSWORD $API_KEY >> {}; exec sleep 1000",
        told.display()
    );
    let chosen = "API_KEY=mail/key:key";
    let arguments = [
        "--secret",
        "orders/db",
        "--env",
        chosen,
        "--",
        "sh",
        "-c",
        &text,
    ];
    let _exec = Exec::start(&place, "", &arguments);
    text_of(&told, "one k-1").await;
    let delete = json!({ "SecretId": "mail/key", "ForceDeleteWithoutRecovery": true });
    place.service.call("DeleteSecret", delete).await.unwrap();
    let asked = || {
        let calls = place.service.calls().into_iter();
        calls
            .filter(|call| call.secret.as_deref() == Some("mail/key"))
            .count()
    };
    let before = asked();
    // the second question comes after the first refusal
    until(async || (asked() >= before + 2).then_some(())).await;
    place.put("orders", "two").await;
    text_of(&told, "two k-1").await;
}
