//! The crate's README, compared with Cargo.toml. The documentation's tests run its code.
#![cfg(test)]

use std::collections::BTreeMap;

const README: &str = include_str!("../README.md");
const MANIFEST: &str = include_str!("../Cargo.toml");

/// The features of the manifest, each with the features that it enables.
fn features() -> BTreeMap<&'static str, Vec<&'static str>> {
    let (_, section) = MANIFEST.split_once("\n[features]\n").unwrap();
    let (section, _) = section.split_once("\n\n").unwrap();
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    let feature = |line: &'static str| {
        let (name, rest) = line.split_once(" = [").unwrap();
        let (turned_on, _) = rest.split_once(']').unwrap();
        (name, listed(turned_on))
    };
    lines.map(feature).collect()
}

fn listed(list: &'static str) -> Vec<&'static str> {
    let names = list.split(',').map(|name| name.trim().trim_matches('"'));
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_table_of_features_matches_the_manifest_and_its_defaults() {
    let mut features = features();
    let mut default = features.remove("default").unwrap();
    let rows: Vec<_> = README
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split_once('`'))
        .collect();
    let mut named: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    assert_eq!(named, features.into_keys().collect::<Vec<_>>());
    let by_default = rows
        .iter()
        .filter(|(_, rest)| rest.starts_with(" (default)"));
    let mut by_default: Vec<_> = by_default.map(|(name, _)| *name).collect();
    by_default.sort_unstable();
    default.sort_unstable();
    assert_eq!(by_default, default);
}

#[test]
fn the_line_for_cargo_names_this_crate_and_existing_features() {
    let lines = README.lines();
    let mut lines =
        lines.filter_map(|line| line.strip_prefix(concat!(env!("CARGO_PKG_NAME"), " = ")));
    let line = lines.next().unwrap();
    let (_, list) = line.split_once("features = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let (features, asked) = (features(), listed(list));
    assert!(!asked.is_empty());
    for feature in asked {
        assert!(features.contains_key(feature), "{feature}");
    }
    let (_, path) = line.split_once("path = \"secret-rotation/").unwrap();
    let (path, _) = path.split_once('"').unwrap();
    assert!(env!("CARGO_MANIFEST_DIR").ends_with(path), "{path}");
}

#[test]
fn every_link_of_the_readme_has_its_target() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (place, named) in [
        ("examples/axum.rs", "`examples`"),
        ("examples/lambda.rs", "`examples`"),
        (
            "../docs/from-aws_secretsmanager_caching.md",
            "`docs/from-aws_secretsmanager_caching.md`",
        ),
    ] {
        assert!(root.join(place).exists(), "{place}");
        assert!(README.contains(named), "{named}");
    }
}
