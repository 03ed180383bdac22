//! psql through real rotations: the function rotates, the agent writes, psql logs in.

#![cfg(test)]

mod common;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{folder::script, rotating::Rotating, skipped, tools::tool, until};
use local::world::World;
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

/// With psql, one login after the other.
async fn loses_no_login_in_ten_rotations(rotating: &Rotating, what: &str) {
    let psql = Psql::start(rotating.file.clone());
    psql.log_in(2).await;
    for _ in 0..10 {
        rotating.rotate().await;
        rotating.follows().await;
        // wait for a login with the new file: the next rotation changes the password in the old one
        psql.log_in(1).await;
    }
    psql.log_in(2).await;
    let (logins, failed) = psql.end();
    assert!(
        failed.is_empty(),
        "{} of {logins}: {:?}",
        failed.len(),
        failed.first()
    );
    println!("{what}: 0 of {logins} logins failed in 10 rotations");
}

/// A thread that runs psql, one login after the other.
struct Psql {
    logins: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<(Duration, String)>>,
}

impl Psql {
    fn start(file: PathBuf) -> Self {
        let (logins, ends) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counted, told, began) = (logins.clone(), ends.clone(), Instant::now());
        let thread = std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !told.load(Ordering::SeqCst) {
                let psql = Command::new("psql")
                    .args([
                        "-X",
                        "-w",
                        "-At",
                        "-c",
                        "SELECT current_user",
                        "service=default",
                    ])
                    .env_clear()
                    .env("PATH", std::env::var_os("PATH").unwrap())
                    .env("PGSERVICEFILE", &file)
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                if !psql.status.success() {
                    failed.push((
                        began.elapsed(),
                        String::from_utf8_lossy(&psql.stderr).into_owned(),
                    ));
                }
                counted.fetch_add(1, Ordering::SeqCst);
            }
            failed
        });
        Self {
            logins,
            ends,
            thread,
        }
    }

    /// Waits for this many logins that begin after now.
    async fn log_in(&self, times: usize) {
        let before = self.logins.load(Ordering::SeqCst);
        until(async || (self.logins.load(Ordering::SeqCst) > before + times).then_some(())).await;
    }

    /// Returns the number of logins, and the failed ones.
    fn end(self) -> (usize, Vec<(Duration, String)>) {
        self.ends.store(true, Ordering::SeqCst);
        let failed = self.thread.join().unwrap();
        (self.logins.load(Ordering::SeqCst), failed)
    }
}

fn has_psql() -> bool {
    let has = Command::new("psql").arg("--version").output().is_ok();
    if !has {
        skipped("psql through rotations: psql is not installed; apt-get install postgresql-client");
    }
    has
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in_through_ten_rotations_of_alternating_users_without_a_failure() {
    if !has_psql() {
        return;
    }
    let rotating = Rotating::start(World::alternating_users).await;
    loses_no_login_in_ten_rotations(&rotating, "alternating users").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_single_user_the_logins_that_fail_are_counted() {
    if !has_psql() {
        return;
    }
    let rotating = Rotating::start(World::single_user).await;
    let psql = Psql::start(rotating.file.clone());
    psql.log_in(2).await;
    let mut until_followed = Duration::ZERO;
    for _ in 0..10 {
        let began = Instant::now();
        rotating.rotate().await;
        rotating.follows().await;
        until_followed += began.elapsed();
        psql.log_in(2).await;
    }
    // logins work again after each rotation
    let (logins, failed) = psql.end();
    assert!(
        failed
            .iter()
            .all(|(_, said)| said.contains("password authentication failed")),
        "{failed:?}"
    );
    println!(
        "single user, ttl_seconds = 1: {} of {logins} logins failed in 10 rotations; from the rotation's begin to the file's change {:?} on average",
        failed.len(),
        until_followed / 10
    );
}

/// A running PgBouncer. Its files are in a folder of the test; its user may read them.
struct PgBouncer {
    child: Child,
    _folder: TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in_to_pgbouncer_through_ten_rotations_of_alternating_users_without_a_failure() {
    let has_pgbouncer = Command::new(tool("pgbouncer"))
        .arg("--version")
        .output()
        .is_ok();
    if !has_psql() {
        return;
    }
    if !has_pgbouncer {
        skipped("PgBouncer through rotations: it is not installed; apt-get install pgbouncer");
        return;
    }
    let nobody = geteuid()
        .is_root()
        .then(|| User::from_name("nobody").unwrap().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().canonicalize().unwrap().join(name);
    let (log, pid, reload) = (path("log"), path("pid"), path("reload"));
    // `after` ends when PgBouncer has read the list: only then is the next table written
    let text = format!(
        "[ -e {0} ] || exit 0\nbefore=$(grep -c SIGHUP {1})\nkill -HUP $(cat {0})\nuntil [ $(grep -c SIGHUP {1}) -gt $before ]; do sleep 0.01; done",
        pid.display(),
        log.display()
    );
    script(&reload, &text);
    let settings = path("pgbouncer.ini");
    let list = |world: &World, beside: &Path| {
        let (directory, server) = (beside.join("pgbouncer"), world.postgres());
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nunix_socket_dir = {}\n\
             auth_type = scram-sha-256\nauth_file = {}\nlogfile = {}\npidfile = {}\nserver_tls_sslmode = verify-full\nserver_tls_ca_file = {}\n",
            server.host(),
            server.port(),
            folder.path().display(),
            directory.join("current/userlist.txt").display(),
            log.display(),
            pid.display(),
            path("ca.pem").display()
        );
        fs::write(&settings, text).unwrap();
        fs::copy(world.ca_file(), path("ca.pem")).unwrap();
        // PgBouncer's user must be able to enter the test's folder
        fs::set_permissions(beside, fs::Permissions::from_mode(0o755)).unwrap();
        let owner = nobody
            .as_ref()
            .map_or(String::new(), |user| format!("owner = \"{}\"\n", user.name));
        format!(
            "[[files]]\nsecret = \"{}\"\ndirectory = \"{}\"\n{owner}write = [{{ format = \"userlist\" }}]\nafter = {{ command = [\"{}\"] }}\n",
            world.alternating_users(),
            directory.display(),
            reload.display()
        )
    };
    // a socket, not a port: another process may take a free port before PgBouncer starts
    let parameters = format!(", host = \"{}\", port = \"6432\"", folder.path().display());
    let rotating = Rotating::start_behind(World::alternating_users, list, &parameters).await;
    let mut command = Command::new(tool("pgbouncer"));
    command
        .arg("-q")
        .arg(&settings)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(user) = &nobody {
        for path in [folder.path(), &settings, &path("ca.pem")] {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let child = command.spawn().unwrap();
    let mut pgbouncer = PgBouncer {
        child,
        _folder: folder,
    };
    until(async || {
        assert!(
            pgbouncer.child.try_wait().unwrap().is_none(),
            "PgBouncer has ended"
        );
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.contains("process up").then_some(())
    })
    .await;
    loses_no_login_in_ten_rotations(&rotating, "PgBouncer, alternating users").await;
}
