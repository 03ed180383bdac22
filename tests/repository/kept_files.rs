//! What git keeps: text of a size that a person reads.

use std::{fs, process::Command};

use super::root;

/// The largest file that is kept, in bytes; Cargo.lock is the largest one.
const LARGEST: usize = 512 * 1024;

#[test]
fn git_keeps_no_binary_and_no_large_file() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output();
    let listed = match listed {
        Ok(listed) if listed.status.success() => String::from_utf8(listed.stdout).unwrap(),
        // the sources of a release have no history
        _ => return skip("git lists no files here"),
    };
    let names = listed.split('\0').filter(|name| !name.is_empty());
    let wrong: Vec<_> = names
        .filter_map(|name| {
            let content = fs::read(root().join(name)).ok()?;
            let is_text = std::str::from_utf8(&content).is_ok() && !content.contains(&0);
            (!is_text || content.len() > LARGEST)
                .then(|| format!("{name}: {} bytes", content.len()))
        })
        .collect();
    assert_eq!(
        wrong,
        Vec::<String>::new(),
        "take them out of git: what can be made is not kept"
    );
}

fn skip(why: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "skipped: files that git keeps: {why}").unwrap();
}
