//! What follows a change, where a command does not end, and where another user chooses what the pid file is.

#![cfg(test)]

mod common;

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    process::Command,
};

use common::{
    create,
    folder::{Place, document, script},
    put, skipped, until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

fn is_running(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[tokio::test]
async fn a_pid_file_that_is_a_link_to_another_file_signals_nobody() {
    if !geteuid().is_root() {
        skipped("a pid file of another user: only root signals others");
        return;
    }
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    // the folder of another user, who may put any name there
    let folder = place.beside("run");
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(4711), None).unwrap();
    let of_root = place.beside("pid-of-root");
    fs::write(&of_root, process.id().to_string()).unwrap();
    let pid = folder.join("pid");
    let proc = format!("/proc/{}/stat", process.id());
    let links: [&dyn Fn(); 2] = [
        // begins with the number, and belongs to the process's user
        &|| symlink(&proc, &pid).unwrap(),
        &|| fs::hard_link(&of_root, &pid).unwrap(),
    ];
    for link in links {
        link();
        let agent = place.agent(&format!(
            "after = {{ signal = \"KILL\", pid_file = \"{}\" }}",
            pid.display()
        ));
        until(async || agent.log().contains("is a link").then_some(())).await;
        fs::remove_file(&pid).unwrap();
    }
    assert!(
        process.try_wait().unwrap().is_none(),
        "root's process was signalled for another user"
    );
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_be_killed_keeps_no_later_version_from_the_files() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (program, pid) = (place.beside("after"), place.beside("command"));
    // it leaves its group, as a command that has become root (sudo) leaves the agent's reach
    let leave = format!(
        "#!/usr/bin/env python3\nimport os, time\nos.setpgid(0, os.getpgid(os.getppid()))\nopen('{0}', 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(300)\n",
        pid.display()
    );
    script(&program, "");
    fs::write(&program, leave).unwrap();
    let agent = place.agent(&format!(
        "after = {{ command = [\"{}\"], within = \"1s\" }}",
        program.display()
    ));
    let started = until(async || {
        fs::read_to_string(&pid)
            .ok()
            .filter(|text| text.contains('\n'))
    })
    .await;
    put(&place.service, "orders/db", &document("orders", "two")).await;
    place.holds("pg_service.conf", "two").await;
    assert!(
        agent.log().contains("took longer than 1s"),
        "{}",
        agent.log()
    );
    let first = started.lines().next().unwrap();
    until(async || (!is_running(first)).then_some(())).await;
}

#[tokio::test]
async fn a_command_ends_with_all_that_it_started_if_the_agent_ends() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (program, child) = (place.beside("after"), place.beside("child"));
    script(
        &program,
        &format!(
            "sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait",
            child.display()
        ),
    );
    let agent = place.agent(&format!(
        "after = {{ command = [\"{}\"], within = \"5m\" }}",
        program.display()
    ));
    let started = until(async || fs::read_to_string(&child).ok()).await;
    kill(Pid::from_raw(agent.pid()), Signal::SIGTERM).unwrap();
    until(async || (!is_running(&started)).then_some(())).await;
}

#[tokio::test]
async fn a_command_that_succeeded_runs_once_even_if_that_cannot_be_stored() {
    let place = Place::new().await;
    create(&place.service, "orders/db", &document("orders", "one")).await;
    let (program, ran) = (place.beside("after"), place.beside("ran"));
    script(&program, &format!("echo ran >> {}", ran.display()));
    // as on a full disk
    fs::create_dir_all(place.directory().join(".told")).unwrap();
    let agent = place.agent(&format!(
        "after = {{ command = [\"{}\"] }}",
        program.display()
    ));
    let stored = "will be done again at the next start";
    until(async || agent.log().contains(stored).then_some(())).await;
    // a look at the folder follows each of these
    let asked = place.service.calls().len();
    until(async || (place.service.calls().len() > asked + 4).then_some(())).await;
    assert_eq!(fs::read_to_string(&ran).unwrap(), "ran\n");
    // another version is another change
    put(&place.service, "orders/db", &document("orders", "two")).await;
    until(async || (fs::read_to_string(&ran).unwrap() == "ran\nran\n").then_some(())).await;
}
