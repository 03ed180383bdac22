//! What follows a change: a command or a signal.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{chown, symlink},
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

use super::{
    PLAIN,
    common::{
        Agent,
        folder::{Place, script},
        skipped, until,
    },
};

fn is_running(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[tokio::test]
async fn a_command_runs_without_a_shell_and_without_anything_of_the_agents() {
    let place = Place::with_login().await;
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
    let place = Place::with_login().await;
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

/// An agent whose command has started another process and waits for it, and that process's id.
async fn agent_that_waits_for_a_child(place: &Place, within: &str) -> (Agent, String) {
    let (program, child) = (place.beside("after"), place.beside("child"));
    // the child has a limit: the test may end before it
    script(
        &program,
        &format!(
            "sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait",
            child.display()
        ),
    );
    let agent = place.agent(&format!(
        "after = {{ command = [\"{}\"], within = \"{within}\" }}",
        program.display()
    ));
    let started = until(async || fs::read_to_string(&child).ok()).await;
    (agent, started)
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let place = Place::with_login().await;
    let (agent, started) = agent_that_waits_for_a_child(&place, "1s").await;
    until(async || {
        agent
            .log()
            .contains("took longer than 1s and was killed")
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
    let place = Place::with_login().await;
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
        place.put("orders", "two").await;
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
    let place = Place::with_login().await;
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
async fn a_pid_file_that_is_a_link_to_another_file_signals_nobody() {
    if !geteuid().is_root() {
        skipped("a pid file of another user: only root signals others");
        return;
    }
    let place = Place::with_login().await;
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
    let place = Place::with_login().await;
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
    place.put("orders", "two").await;
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
    let place = Place::with_login().await;
    let (agent, started) = agent_that_waits_for_a_child(&place, "5m").await;
    kill(Pid::from_raw(agent.pid()), Signal::SIGTERM).unwrap();
    until(async || (!is_running(&started)).then_some(())).await;
}

#[tokio::test]
async fn a_command_that_succeeded_runs_once_even_if_that_cannot_be_stored() {
    let place = Place::with_login().await;
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
    place.put("orders", "two").await;
    until(async || (fs::read_to_string(&ran).unwrap() == "ran\nran\n").then_some(())).await;
}
