//! The commit that this is built from, for the report; none where there is no checkout, as in a released archive.

use std::process::Command;

fn main() {
    // a worktree's HEAD stands elsewhere: cargo then asks at every build, which costs nothing
    println!("cargo::rerun-if-changed=../.git/HEAD");
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    let git = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    let commit = git.ok().filter(|output| output.status.success());
    if let Some(commit) = commit.and_then(|output| String::from_utf8(output.stdout).ok()) {
        println!("cargo::rustc-env=DRILL_COMMIT={}", commit.trim());
    }
}
