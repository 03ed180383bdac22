//! docs/tour.md: every command of it, in order, in a world that `rotatectl local up` has started.

#![cfg(test)]
#![cfg(feature = "local")]

mod common;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use common::{Up, within};
use local::executable;

/// The commands that a reader types: what is in the page's `sh` blocks.
fn blocks(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// `audit` finds something in a new world, and says so by its exit status.
fn expected(command: &str) -> i32 {
    if command.starts_with("rotatectl audit") {
        2
    } else {
        0
    }
}

#[test]
fn every_command_of_the_tour_does_what_the_page_says() {
    if Command::new("aws").arg("--version").output().is_err() {
        // not eprintln: cargo shows that only for a test that fails
        let line = "skipped: the tour: it needs the AWS CLI; make .tools/aws/bin/aws";
        writeln!(std::io::stderr(), "{line}").unwrap();
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/tour.md")).unwrap();
    let mut blocks = blocks(&page).into_iter();
    // tests/drill runs what make demo runs
    assert_eq!(blocks.next().unwrap().trim(), "make demo");
    assert!(blocks.next().unwrap().starts_with("export PATH="));
    assert_eq!(blocks.next().unwrap().trim(), "rotatectl local up");

    let function = executable::of_tests("--bin", "secret-rotation").unwrap();
    let up = Up::start(&["--function", function.to_str().unwrap()]);
    let exports = blocks.next().unwrap();
    let exports = exports
        .replace("http://127.0.0.1:4599", up.endpoint())
        .replace('…', up.ready["ca_file"].as_str().unwrap());
    // in place of the checkout: the drill writes its report into target/
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("target")).unwrap();
    let mut ran = 0;
    for command in blocks {
        let mut shell = Command::new("bash");
        within(&mut shell, "http://127.0.0.1:1")
            .args(["-euc", &format!("{exports}{command}")])
            .current_dir(folder.path())
            .stdin(Stdio::null());
        let output = shell.output().unwrap();
        let status = output.status.code();
        assert_eq!(status, Some(expected(&command)), "{command}{output:?}");
        ran += 1;
    }
    assert!(ran > 8, "only {ran} commands were found");
}
