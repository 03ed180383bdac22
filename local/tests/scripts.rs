//! The scripts behind `make`, with a cargo that only says what a test has it say.

#![cfg(test)]

mod common;

use std::{
    env,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, UNIX_EPOCH},
};

/// Runs a script, with these lines of shell in place of cargo.
fn run(script: &str, cargo: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    common::script(&folder, "cargo", cargo);
    let mut path = vec![folder.path().to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(format!("{}/scripts/{script}", env!("CARGO_MANIFEST_DIR")))
        .env("PATH", env::join_paths(path).unwrap())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_old_cargo_is_reported_with_the_command_to_type() {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    for (found, enough) in [
        ("1.63.0", false),
        ("1.94.0", false),
        (needed, true),
        ("1.100.0 (abc 2027-01-01)", true),
    ] {
        let (code, _, said) = run("setup.sh", &format!("echo 'cargo {found}'"));
        assert_eq!(code, Some(if enough { 0 } else { 1 }), "{found}: {said}");
        let told = said.contains(found) && said.contains(needed) && said.contains("rustup update");
        assert_eq!(told, !enough, "{found}: {said}");
    }
}

#[test]
fn without_rust_the_error_names_rustup_and_the_version_that_is_needed() {
    let tools = tempfile::tempdir().unwrap();
    for name in ["bash", "dirname", "sed"] {
        let found = env::split_paths(&env::var_os("PATH").unwrap())
            .map(|folder| folder.join(name))
            .find(|tool| tool.exists());
        symlink(found.unwrap(), tools.path().join(name)).unwrap();
    }
    for what in ["", "browser", "rust"] {
        let output = Command::new(format!("{}/scripts/setup.sh", env!("CARGO_MANIFEST_DIR")))
            .args(Some(what).filter(|what| !what.is_empty()))
            .env("PATH", tools.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        for word in [env!("CARGO_PKG_RUST_VERSION"), "https://rustup.rs"] {
            assert!(said.contains(word), "{what}: {said}");
        }
        // and no tool that only this script would miss
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
    }
}

#[test]
fn a_package_has_the_same_bytes_after_each_build_and_its_executable_runs_on_lambda() {
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("secret-rotation");
    let mut packages = Vec::new();
    for built in [1, 2_000_000_000] {
        std::fs::write(&executable, "the function").unwrap();
        let file = std::fs::File::options().write(true).open(&executable);
        let when = UNIX_EPOCH + Duration::from_secs(built);
        file.unwrap().set_modified(when).unwrap();
        let package = folder.path().join(format!("{built}.zip"));
        let made = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/bootstrap.py"))
            .args([&executable, &package])
            .env("SOURCE_DATE_EPOCH", "1764416520")
            .status();
        assert!(made.unwrap().success());
        packages.push(package);
    }
    let [first, second] = &packages[..] else {
        panic!("{packages:?}")
    };
    assert_eq!(
        std::fs::read(first).unwrap(),
        std::fs::read(second).unwrap()
    );
    let listed = Command::new("python3")
        .args(["-c", "import sys, zipfile; print([(one.filename, oct(one.external_attr >> 16)) for one in zipfile.ZipFile(sys.argv[1]).infolist()])"])
        .arg(first)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(listed.stdout).unwrap().trim(),
        "[('bootstrap', '0o100755')]"
    );
}

#[test]
fn failed_tests_stop_no_others_and_their_names_are_listed_at_the_end() {
    let (code, said, _) = run(
        "test.sh",
        r#"case "$*" in
        *--doc*)
            echo 'test src/lib.rs - kit (line 7) ... FAILED'
            echo 'error: doctest failed, to rerun pass `-p one --doc`' >&2
            exit 101 ;;
        *--workspace*--tests*--color*)
            echo 'test fine ... ok'
            echo 'test result: ok. 1 passed; 0 failed'
            printf 'test wrong ... \033[31mFAILED\033(B\033[m\n'
            echo 'test result: FAILED. 3 passed; 1 failed'
            echo 'error: test failed, to rerun pass `-p two --test three`' >&2
            exit 101 ;;
        *client/beside*)
            echo 'test broken ... FAILED'
            echo 'test result: FAILED. 0 passed; 1 failed'
            echo 'error: test failed, to rerun pass `--test four`' >&2
            exit 101 ;;
        esac"#,
    );
    assert_eq!(code, Some(1), "{said}");
    let end = "
4 tests passed. These failed:
  cargo test -p one --doc
    src/lib.rs - kit (line 7)
  cargo test -p two --test three
    wrong
  cargo test --manifest-path client/beside/Cargo.toml --test four
    broken
";
    assert!(said.ends_with(end), "{said}");
    let (code, said, _) = run("test.sh", "echo 'test result: ok. 2 passed; 0 failed'");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("tests passed.\n"), "{said}");
}

#[test]
fn skipped_tests_are_listed_at_the_end_each_once_with_the_reason() {
    let (code, said, _) = run(
        "test.sh",
        r#"case "$*" in
        *--workspace*--tests*--color*)
            echo 'skipped: the report in a browser: chromium is not installed'
            echo 'test it_is_skipped ... skipped: the report in a browser: chromium is not installed'
            echo 'test one ... ignored, takes an hour'
            printf 'test two ... \033[33mignored\033(B\033[m, takes an hour\n'
            echo 'test three ... ignored'
            echo 'test result: ok. 5 passed; 0 failed; 3 ignored' ;;
        *client/beside*) echo 'skipped: Redis: there is no redis-server' ;;
        esac"#,
    );
    assert_eq!(code, Some(0), "{said}");
    let summary = &said[said.find("\nSkipped: ").unwrap()..];
    let mut lines: Vec<&str> = summary.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.pop(), Some("5 tests passed."));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "Skipped: 1 test: no reason is given",
            "Skipped: 2 tests: takes an hour",
            "Skipped: Redis: there is no redis-server",
            "Skipped: the report in a browser: chromium is not installed",
        ]
    );
}

/// cargo shows what a passed test prints with `eprintln!` to nobody, so the summary would lack it.
#[test]
fn a_test_that_skips_itself_writes_the_line_to_stderr_without_a_macro_that_cargo_captures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = [
        "tests",
        "cli/tests",
        "client/tests",
        "local/tests",
        "drill/src",
    ]
    .map(|folder| root.join(folder))
    .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let captured =
                    ["println!(\"", "print!(\""].map(|print| format!("{print}skipped: "));
                let captured = captured.iter().any(|print| text.contains(print));
                assert!(!captured, "{}", path.display());
            }
        }
    }
}

#[test]
fn tests_that_do_not_build_are_not_run() {
    let cargo = r#"echo "cargo $1"; exit 101"#;
    let (code, said, _) = run("test.sh", cargo);
    assert_eq!((code, said.as_str()), (Some(101), "cargo build\n"));
}
