//! The words of docs/style.md: the left column of its table is in no text of the repository.

use std::fs;

use super::{files, root};

/// Where a person reads. The licences and what a command writes are not the project's words.
const TEXTS: [&str; 10] = [
    ".rs", ".md", ".sh", ".py", ".tf", ".ts", ".yaml", ".yml", ".toml", "Makefile",
];

/// The left column of the table "Words".
fn unwanted(page: &str) -> Vec<String> {
    let part = page.split("\n## ").find(|part| part.starts_with("Words"));
    let rows = part.unwrap().lines().filter(|line| line.starts_with("| "));
    let words = rows.map(|row| row.split('|').nth(1).unwrap().trim().to_lowercase());
    words.skip(1).collect()
}

/// The name of the function that this line declares, as words.
fn name(line: &str) -> Option<String> {
    let (_, declared) = line.split_once("fn ")?;
    let (name, _) = declared.split_once(['(', '<'])?;
    Some(name.replace('_', " "))
}

/// Whether the line contains the words by themselves, and not as a part of a longer word or of a name.
fn contains(line: &str, words: &str) -> bool {
    let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(words).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + words.len()..].chars().next();
        !before.is_some_and(is_of_a_word) && !after.is_some_and(is_of_a_word)
    })
}

#[test]
fn no_text_uses_a_word_that_the_style_page_replaces() {
    let style = root().join("docs/style.md");
    let unwanted = unwanted(&fs::read_to_string(&style).unwrap());
    assert!(unwanted.len() > 20, "{unwanted:?}");
    let mut found = Vec::new();
    for file in TEXTS.iter().flat_map(|ending| files(root(), ending)) {
        if file == style {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            let name = name(&line).unwrap_or_default();
            let words = unwanted
                .iter()
                .filter(|words| contains(&line, words) || contains(&name, words));
            found.extend(words.map(|words| {
                let name = file.strip_prefix(root()).unwrap().display();
                format!("{name}:{}: {words}", number + 1)
            }));
        }
    }
    assert!(found.is_empty(), "{} lines: {found:#?}", found.len());
}

#[test]
fn a_word_is_found_by_itself_and_not_inside_another() {
    assert!(contains("a red door", "red"));
    assert!(contains("to be as it is", "to be"));
    assert!(!contains("a hundred red_doors", "red"));
}

#[test]
fn the_name_of_a_function_is_read_as_words() {
    let line = "async fn a_red_door(world: &World) {";
    assert!(contains(&name(line).unwrap(), "red"));
    assert_eq!(name("a line without a function"), None);
}
