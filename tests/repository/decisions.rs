//! docs/decisions.md: every entry has a date, a rejected option and a price, and the index by topic leads to it.

use std::{collections::BTreeMap, fs};

use super::root;

/// An entry: its heading without the number, and the text below it.
struct Entry {
    title: String,
    anchor: String,
    text: String,
}

fn page() -> String {
    fs::read_to_string(root().join("docs/decisions.md")).unwrap()
}

/// `4. The lock` is the number 4 and the title `The lock`.
fn numbered(heading: &str) -> Option<(u32, &str)> {
    let (number, title) = heading.split_once(". ")?;
    Some((number.parse().ok()?, title))
}

/// The entries by number. No number has two entries.
fn entries(page: &str) -> BTreeMap<u32, Entry> {
    let mut entries = BTreeMap::new();
    for part in page.split("\n## ").skip(1) {
        let (heading, text) = part.split_once('\n').unwrap();
        let Some((number, title)) = numbered(heading) else {
            continue; // the index
        };
        let entry = Entry {
            title: title.to_owned(),
            anchor: anchor(heading),
            text: text.trim().to_owned(),
        };
        assert!(entries.insert(number, entry).is_none(), "{number} is twice");
    }
    assert!(entries.len() > 90, "only {} were found", entries.len());
    entries
}

/// The anchor that GitHub gives a heading: lower case, a hyphen for each space, no other punctuation.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        })
        .collect()
}

/// A line of the index, `- [4. The lock](#4-the-lock)`: number, title and anchor.
fn link(line: &str) -> Option<(u32, &str, &str)> {
    let line = line.strip_prefix("- [")?.strip_suffix(')')?;
    let (heading, anchor) = line.rsplit_once("](#")?;
    let (number, title) = numbered(heading)?;
    Some((number, title, anchor))
}

/// `2026-11-21`
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    parts.iter().all(is_number) && lengths == [4, 2, 2]
}

#[test]
fn the_entries_are_numbered_in_order_without_a_gap() {
    let page = page();
    let numbers = page.lines().filter_map(|line| line.strip_prefix("## "));
    let numbers: Vec<u32> = numbers.filter_map(numbered).map(|(n, _)| n).collect();
    let expected: Vec<u32> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn every_entry_begins_with_its_date_and_the_rejected_option_in_one_line() {
    for (number, entry) in entries(&page()) {
        let first = entry.text.lines().next().unwrap_or_default();
        let line = first.strip_prefix('*').and_then(|l| l.strip_suffix(".*"));
        let parts = line.and_then(|line| line.split_once(". Rejected: "));
        let Some((date, rejected)) = parts else {
            panic!(
                "{number} needs the line *2026-11-21. Rejected: the other option.*, not {first:?}"
            );
        };
        assert!(is_date(date), "{number}: {date} is no date");
        assert!(rejected.len() > 5, "{number}: {rejected:?}");
    }
}

#[test]
fn every_entry_has_one_price() {
    for (number, entry) in entries(&page()) {
        let (_, price) = entry
            .text
            .split_once("**Price:** ")
            .or_else(|| entry.text.split_once("**Price:**\n"))
            .unwrap_or_else(|| panic!("{number} has no **Price:**"));
        assert!(price.len() > 5, "{number}: {price:?}");
        assert!(!price.contains("**Price:**"), "{number} has two prices");
    }
}

#[test]
fn the_index_has_every_entry_once_with_its_title_and_its_anchor() {
    let page = page();
    let entries = entries(&page);
    let (_, index) = page.split_once("\n## By topic\n").unwrap();
    let (index, _) = index.split_once("\n## ").unwrap();
    let mut seen = BTreeMap::new();
    for line in index.lines().filter(|line| line.starts_with("- ")) {
        let (number, title, anchor) = link(line).unwrap_or_else(|| panic!("{line} is no link"));
        let entry = entries.get(&number);
        let entry = entry.unwrap_or_else(|| panic!("{line}: there is no entry {number}"));
        assert_eq!(title, entry.title, "{number}");
        assert_eq!(anchor, entry.anchor, "{number}");
        *seen.entry(number).or_insert(0) += 1;
    }
    for number in entries.keys() {
        assert_eq!(seen.get(number), Some(&1), "{number} in the index");
    }
}
