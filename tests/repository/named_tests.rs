//! The tests that comments and pages name exist.

use std::fs;

use super::{files, root};

#[test]
fn every_test_that_a_comment_or_a_page_names_by_its_path_is_there() {
    let is_of_a_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let mut seen = 0;
    for file in [files(root(), ".rs"), files(root(), ".md")].concat() {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|c| !is_of_a_path(c));
        for path in words.filter(|word| word.contains("tests/")) {
            let path = path.trim_end_matches('.');
            // from the page, from its package or from the root
            let mut folders = file.ancestors().skip(1);
            let is_there = folders.any(|folder| folder.join(path).exists());
            assert!(is_there, "{}: {path}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} were found");
}

/// The names of tests in the tables of a section of a page. Each must exist in one of the folders.
fn assert_tests_are_there(part: &str, folders: &[&str], at_least: usize) {
    let sources = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"));
    let sources: String = sources
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let rows = part.lines().filter(|line| line.starts_with("| "));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let mut seen = 0;
    // an operation or a value has the same quotes
    for name in names.filter(|name| name.matches('_').count() > 2) {
        assert!(sources.contains(&format!("fn {name}(")), "{name}");
        seen += 1;
    }
    assert!(seen >= at_least, "only {seen} were found");
}

#[test]
fn every_test_that_the_local_worlds_page_names_is_there() {
    let page = fs::read_to_string(root().join("local/README.md")).unwrap();
    assert_tests_are_there(&page, &["local", "tests"], 21);
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there_and_each_row_names_one() {
    let page = fs::read_to_string(root().join("docs/verification.md")).unwrap();
    let part = page
        .split("\n## ")
        .find(|part| part.starts_with("Faults of the world"));
    let part = part.unwrap();
    assert_tests_are_there(part, &["tests", "client/tests", "local", "src"], 30);
    let rows = part.lines().filter(|line| line.starts_with("| ")).skip(1);
    for row in rows {
        let last = row.split('|').nth_back(1).unwrap();
        assert!(last.contains('`'), "{row}");
    }
}
