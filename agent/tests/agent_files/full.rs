//! A full disk, and a limit on the size of files.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

use super::common::{
    Agent, TOKEN, behind,
    folder::{Place, SHORT, document},
    skipped, until,
};

/// An agent that writes to a small file system of its own, and where that is seen from here.
struct Small {
    place: Place,
    agent: Agent,
    disk: PathBuf,
}

impl Small {
    /// `prepare` is a shell's text that may put files on the disk first.
    async fn start(prepare: &str) -> Option<Self> {
        if !geteuid().is_root() {
            skipped("a full disk: only root mounts a small file system");
            return None;
        }
        let place = Place::with_login().await;
        let mounted = place.beside("disk");
        fs::create_dir(&mounted).unwrap();
        let (disk, directory) = (mounted.display(), mounted.join("out"));
        let own = format!(
            "metrics_port = 0\n[[files]]\nsecret = \"orders/db\"\ndirectory = \"{}\"\n",
            directory.display()
        );
        let text = format!(
            "exec unshare --mount sh -c 'mount -t tmpfs -o size=64k,mode=755 none {disk} && cd {disk} && {prepare} cd / && exec \"$@\"' sh \"$@\""
        );
        let agent = Agent::start_with(&place.endpoint, SHORT, &own, |command| {
            command.env("AWS_TOKEN", TOKEN);
            behind(command, &text);
        });
        let disk = format!("/proc/{}/root{disk}", agent.pid()).into();
        Some(Self { place, agent, disk })
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut filler = fs::File::create(self.disk.join("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    fn service_file(&self) -> String {
        let file = self.disk.join("out/current/pg_service.conf");
        fs::read_to_string(file).unwrap_or_default()
    }

    async fn holds(&self, password: &str) {
        let line = format!("\npassword={password}\n");
        until(async || self.service_file().contains(&line).then_some(())).await;
    }

    /// Waits until this many writes have failed.
    async fn has_failed(&self, times: u32) {
        let log = self.agent.log();
        let port = log.split_once("http://localhost:").unwrap().1;
        let port: u16 = port.split_once("/metrics").unwrap().0.parse().unwrap();
        until(async || {
            let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let reply = super::common::exchange(&mut stream, request).await.unwrap();
            let series = "rotating_secret_agent_file_failures_total{step=\"write\"} ";
            let line = reply
                .body
                .lines()
                .find_map(|line| line.strip_prefix(series))?;
            (line.parse::<u32>().unwrap() >= times).then_some(())
        })
        .await;
    }

    /// Waits until the log has this text so many times: the line comes after the file, or the failure. It never has it more often.
    async fn has_said(&self, text: &str, times: usize) {
        let said = || self.agent.log().matches(text).count();
        until(async || (said() >= times).then_some(())).await;
        assert_eq!(said(), times, "{}", self.agent.log());
    }
}

#[tokio::test]
async fn on_a_full_disk_the_version_before_stays_whole_and_one_warning_lasts_until_there_is_room() {
    let Some(small) = Small::start("").await else {
        return;
    };
    small.holds("one").await;
    let whole = small.service_file();
    for (round, next) in [(1, "two"), (2, "three")] {
        let before = small.service_file();
        small.fill();
        small.place.put("orders", next).await;
        small.has_failed(3 * round).await;
        assert_eq!(small.service_file(), before);
        let warned = "the files cannot be written";
        small.has_said(warned, round as usize).await;
        fs::remove_file(small.disk.join("filler")).unwrap();
        small.holds(next).await;
    }
    assert_eq!(small.service_file(), whole.replace("one", "three"));
    small.has_said("the files have a new version", 3).await;
}

#[tokio::test]
async fn what_an_agent_that_was_killed_has_left_on_the_disk_does_not_keep_it_full() {
    let left =
        "mkdir -p out/.0123456789abcdef && head -c 64k /dev/zero > out/.0123456789abcdef/left;";
    let Some(small) = Small::start(left).await else {
        return;
    };
    small.holds("one").await;
    assert!(!Path::new(&small.disk.join("out/.0123456789abcdef")).exists());
}

#[tokio::test]
async fn a_version_above_the_limit_of_a_files_size_ends_no_agent_and_the_next_one_is_written() {
    let place = Place::with_login().await;
    let own = place.table("write = [{ format = \"json\" }]");
    let mut agent = Agent::start_with(&place.endpoint, SHORT, &own, |command| {
        command.env("AWS_TOKEN", TOKEN);
        // blocks of 512 or 1024 bytes
        behind(command, "ulimit -f 1; exec \"$@\"");
    });
    place.holds("secret.json", "one").await;
    place.put("orders", &"long".repeat(600)).await;
    until(async || {
        assert!(!agent.has_ended(), "{}", agent.log());
        let is_seen = agent.log().contains("the files cannot be written");
        is_seen.then_some(())
    })
    .await;
    let text = fs::read_to_string(place.file("secret.json")).unwrap();
    assert_eq!(text, document("orders", "one"));
    place.put("orders", "three").await;
    place.holds("secret.json", "three").await;
    assert!(!agent.has_ended());
}
