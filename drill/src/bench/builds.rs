//! What a newcomer's first command costs: the crates that a package needs, and the time of a clean build.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
    time::{Duration, Instant},
};

use super::{
    Effort, Error,
    row::{Row, Sample},
};

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    let builds = match effort.builds {
        true => {
            " A clean build is `cargo build --package` into an empty folder, with the crates' sources on this machine."
        }
        false => "",
    };
    format!(
        "The crates are those that `cargo tree --edges normal` shows, without this repository's own.{builds}"
    )
}

/// This repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const CACHING: &str = "aws_secretsmanager_caching";

/// What is built of which package, and whether AWS's client is its peer.
const PACKAGES: [(&str, &str, &[&str], bool); 6] = [
    ("the client", "rotating-secret", &[], true),
    (
        "the client without features",
        "rotating-secret",
        &["--no-default-features"],
        false,
    ),
    (
        "the client with all features",
        "rotating-secret",
        &["--all-features"],
        false,
    ),
    ("the function", "secret-rotation", &[], false),
    ("the agent", "rotating-secret-agent", &[], false),
    ("rotatectl", "rotatectl", &[], false),
];

/// Counts the crates of each package, and of the client with each of these features alone. Builds each package if the effort says so.
///
/// # Errors
///
/// Cargo fails.
pub fn measure(features: &[String], effort: Effort) -> Result<Vec<Row>, Error> {
    let peer = [
        "--manifest-path",
        "client/bench/Cargo.toml",
        "--package",
        CACHING,
    ];
    let mut rows = Vec::new();
    for (name, package, options, has_peer) in PACKAGES {
        let ours = [&["--package", package], options].concat();
        let mut row = |what: &str, of: &dyn Fn(&[&str]) -> Result<Sample, Error>| {
            let peer = match has_peer {
                true => Some((CACHING, of(&peer)?)),
                false => None,
            };
            rows.push(Row {
                what: format!("{name}: {what}"),
                ours: of(&ours)?,
                peer,
                goal: None,
            });
            Ok::<(), Error>(())
        };
        row("crates", &crates)?;
        if effort.builds {
            row("a clean build", &|package| {
                Ok(Sample::one(built(package)?.as_secs_f64(), "s"))
            })?;
        }
    }
    for feature in features {
        let alone = ["--no-default-features", "--features", feature];
        rows.push(Row {
            what: format!("the client with `{feature}` alone: crates"),
            ours: crates(&[&["--package", "rotating-secret"], &alone[..]].concat())?,
            peer: None,
            goal: None,
        });
    }
    Ok(rows)
}

fn crates(package: &[&str]) -> Result<Sample, Error> {
    let tree = ["tree", "--quiet", "--edges", "normal", "--prefix", "none"];
    let tree = cargo(&[&tree, package].concat())?;
    let counted = external(&String::from_utf8_lossy(&tree.stdout));
    Ok(Sample::one(counted as f64, ""))
}

/// The crates of a tree without those that have a folder, which are this repository's. A repeated one has a star.
fn external(tree: &str) -> usize {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    let crates = lines.filter(|line| !line.is_empty() && !line.contains(" (/"));
    crates.collect::<BTreeSet<_>>().len()
}

fn built(package: &[&str]) -> Result<Duration, Error> {
    let target = tempfile::tempdir()?;
    let folder = target.path().to_string_lossy();
    let began = Instant::now();
    let build = ["build", "--quiet", "--target-dir", &folder];
    cargo(&[&build, package].concat())?;
    Ok(began.elapsed())
}

fn cargo(arguments: &[&str]) -> Result<Output, Error> {
    let failed = |said: String| Error::Program {
        program: format!("cargo {}", arguments.join(" ")),
        said,
    };
    let ran = Command::new("cargo")
        .args(arguments)
        .current_dir(ROOT)
        .output();
    let ran = ran.map_err(|error| failed(error.to_string()))?;
    match ran.status.success() {
        true => Ok(ran),
        false => Err(failed(String::from_utf8_lossy(&ran.stderr).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_crate_counts_once_and_one_of_this_repository_does_not_count() {
        let tree = "rotating-secret v0.1.0 (/work/client)\nlog v0.4.1\nlog v0.4.1 (*)\nlog v0.3.9\n\
                    serde_derive v1.0.1 (proc-macro)\n\n";
        assert_eq!(external(tree), 3);
    }
}
