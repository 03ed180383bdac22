//! The arguments and environments of all processes that this test starts, read every few milliseconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Shorter than the life of any process that the test starts.
const PAUSE: Duration = Duration::from_millis(10);

/// Each pair of arguments and environment that was seen, once.
pub(crate) type Seen = BTreeSet<(Vec<u8>, Vec<u8>)>;

/// A thread that reads them until [`Watch::end`].
pub(crate) struct Watch {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let until = end.clone();
        let thread = thread::spawn(move || {
            let mut seen = Seen::new();
            while !until.load(Ordering::Relaxed) {
                look(&mut seen);
                thread::sleep(PAUSE);
            }
            seen
        });
        Self { end, thread }
    }

    pub(crate) fn end(self) -> Seen {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Reads those of this process and its descendants.
fn look(seen: &mut Seen) {
    for id in descendants() {
        // empty for a process that has just ended
        let read = |what: &str| fs::read(format!("/proc/{id}/{what}")).unwrap_or_default();
        seen.insert((read("cmdline"), read("environ")));
    }
}

fn descendants() -> BTreeSet<u32> {
    let ids = fs::read_dir("/proc").unwrap();
    let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let parents: BTreeMap<u32, u32> = ids.filter_map(|id| Some((id, parent(id)?))).collect();
    let mut found = BTreeSet::from([process::id()]);
    loop {
        let children = parents.iter().filter(|(_, parent)| found.contains(parent));
        let children: Vec<u32> = children.map(|(id, _)| *id).collect();
        let before = found.len();
        found.extend(children);
        if found.len() == before {
            return found;
        }
    }
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // the name may hold any character; after it come the state and the parent
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    rest.nth(1)?.parse().ok()
}

#[test]
fn the_arguments_and_the_environment_of_a_childs_child_are_seen() {
    // the shell prints a line once its child runs
    let script = "sleep 600 & echo; read -r _; kill $!";
    let mut child = process::Command::new("sh")
        .args(["-c", script, "an argument"])
        .env("PLANTED", "of the environment")
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let mut seen = Seen::new();
    look(&mut seen);
    drop(child.stdin.take());
    child.wait().unwrap();
    let shows = |text: &[u8], part: &str| String::from_utf8_lossy(text).contains(part);
    let of = |argument: &str| {
        seen.iter().any(|(arguments, environment)| {
            shows(arguments, argument) && shows(environment, "PLANTED=of the environment")
        })
    };
    assert!(of("an argument") && of("600"), "{seen:?}");
}
