//! Nothing is left behind, not even after a SIGKILL.
//!
//! A process cannot clean up after its own sudden death, and a destructor does not run in one. So each child that
//! outlives a moment has a guard: a small shell that reads from a pipe whose other end only we hold. When we are
//! gone, in whatever way, the pipe ends, and the guard ends the child and removes its folder. An orderly end takes
//! the same way: [`Guard`] is dropped, the pipe is closed.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Arguments: signal, process, folder (or nothing). It waits ten seconds at most for the process to be gone.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r _
kill -s "$1" "$2" 2>/dev/null
tries=0
while kill -0 "$2" 2>/dev/null && [ "$tries" -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
[ -z "$3" ] || rm -rf "$3"
"#;

/// What watches over one child process.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Will send `signal` to the process, and then remove the folder, when this is dropped or we are gone.
    pub(crate) fn over(process: u32, signal: &str, folder: Option<&Path>) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard", signal, &process.to_string()])
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C in a terminal reaches the group of whoever started us
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Has the guard do its work now. The child, if it is ours, is to be waited for meanwhile.
    pub(crate) fn release(&mut self) {
        self.pipe = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release();
        // nothing to be done about a shell that cannot be waited for
        let _ = self.shell.wait();
    }
}
