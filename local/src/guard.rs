//! Nothing is left behind, not even after a SIGKILL.
//!
//! A process cannot clean up after its own sudden death, and a destructor does not run in one. So each child that
//! outlives a moment has a guard: a small shell that reads from a pipe whose other end only we hold. When we are
//! gone, in whatever way, the pipe ends, and the guard ends the child and removes its folder. An orderly end takes
//! the same way: [`Guard`] is dropped, the pipe is closed.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Argument: folder (or nothing). Each line that comes is a signal and a process group, or empty, and replaces the one before.
/// A group that has ten seconds and still does not go is killed.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
PATH=$PATH:/usr/bin:/bin
signal= group=
while read -r next_signal next_group; do signal=$next_signal group=$next_group; done
gone() {
  tries=0
  while kill -s 0 -- "-$group" 2>/dev/null; do
    [ "$tries" -lt 200 ] || return 1
    sleep 0.05
    tries=$((tries + 1))
  done
}
if [ -n "$group" ]; then
  kill -s "$signal" -- "-$group" 2>/dev/null
  gone || { kill -s KILL -- "-$group" 2>/dev/null; gone; }
fi
[ -z "$1" ] || rm -rf "$1"
"#;

/// What watches over a folder, and over one child process at a time.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Will remove the folder when this is dropped or we are gone.
    pub(crate) fn over(folder: Option<&Path>) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C in a terminal reaches the group of whoever started us
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Will first send `signal` to this process, which leads a group of its own, and wait until the group is gone.
    pub(crate) fn watch(&mut self, process: u32, signal: &str) -> io::Result<()> {
        self.tell(&format!("{signal} {process}\n"))
    }

    /// The process that was watched has ended.
    pub(crate) fn rest(&mut self) -> io::Result<()> {
        self.tell("\n")
    }

    /// Has the guard do its work now. The child, if it is ours, is to be waited for meanwhile.
    pub(crate) fn release(&mut self) {
        self.pipe = None;
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(line.as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release();
        // nothing to be done about a shell that cannot be waited for
        let _ = self.shell.wait();
    }
}
