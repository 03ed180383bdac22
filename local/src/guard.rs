//! Cleans up, even after a SIGKILL.
//!
//! No destructor runs when a process is killed. So each long-lived child has a guard: a small shell that reads from a pipe. Only this
//! process has the pipe's other end. When this process ends for any reason, the pipe closes; the guard then ends the child and
//! removes its folder. Dropping [`Guard`] closes the pipe too.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Argument: the folder, or nothing. Each input line replaces the one before: a signal and a process group, or an empty line.
/// A group that does not end within 10 s is killed.
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

/// Guards a folder, and one child process at a time.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Removes the folder when the guard is dropped or this process ends.
    pub(crate) fn over(folder: Option<&Path>) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C in a terminal reaches the whole group of this process
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Guards this process, which leads its own group. The cleanup first sends the group `signal`, and waits for its end.
    pub(crate) fn watch(&mut self, process: u32, signal: &str) -> io::Result<()> {
        self.tell(&format!("{signal} {process}\n"))
    }

    /// Records that the guarded process has ended.
    pub(crate) fn rest(&mut self) -> io::Result<()> {
        self.tell("\n")
    }

    /// Starts the cleanup. The caller must wait for its own child meanwhile.
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
        // nothing can be done about a failed wait
        let _ = self.shell.wait();
    }
}
