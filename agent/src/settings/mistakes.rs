//! Mistakes in a settings file, each with its line.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A longer value is not shown.
const LONGEST: usize = 100;

/// Values that are not shown: a password or a token may be in them.
const HIDDEN: [&str; 3] = ["command", "ssrf_headers", "ssrf_env_variables"];

/// A value that is outside its limits.
#[derive(Debug)]
pub(super) struct Mistake {
    /// Its key: `files.0.mode` is that of the first table. The first key may be in any table.
    at: String,
    /// What to do.
    text: String,
}

impl Mistake {
    pub(super) fn new(at: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            text: text.into(),
        }
    }

    /// The same mistake in this table.
    pub(super) fn below(self, table: &str) -> Self {
        Self::new(format!("{table}.{}", self.at), self.text)
    }

    /// `FILE:LINE: key = value: what to do`. If the key is not in the file, the line is that of its table.
    pub(super) fn told(&self, path: &Path, file: &str) -> String {
        let keys: Vec<&str> = self.at.split('.').collect();
        let key = keys.iter().rfind(|key| key.parse::<usize>().is_err());
        let (key, text) = (key.unwrap_or(&""), one_line(&self.text));
        let document = DeTable::parse(file).ok();
        let found = document
            .as_ref()
            .and_then(|document| find(document.get_ref(), &keys));
        let Some(found) = found else {
            return format!("{}: {key}: {text}", path.display());
        };
        let line = line(file, found.at);
        let value = found.value.filter(|value| is_shown(value, file));
        let value = value.filter(|value| !HIDDEN.contains(key) || is_empty(value));
        let value = value.and_then(|value| file.get(value.span()));
        let value = value.map(|value| format!(" = {value}")).unwrap_or_default();
        format!("{}:{line}: {key}{value}: {text}", path.display())
    }
}

/// The line of a place in the file.
pub(super) fn line(file: &str, at: usize) -> usize {
    1 + file.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// What the parser says about a file. It quotes a text in the wrong place, and a password may be in it; or a token, as a key.
pub(super) fn parsers(reason: &str) -> String {
    let is_like_a_key = |key: &str| {
        key.bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    let unknown = reason.strip_prefix("unknown field `");
    if let Some((key, expected)) = unknown.and_then(|rest| rest.rsplit_once("`, expected "))
        && !is_like_a_key(key)
    {
        return one_line(&format!("unknown field, expected {expected}"));
    }
    let quoted = reason.strip_prefix("invalid type: string \"");
    let reason = match quoted.and_then(|rest| rest.rsplit_once("\", expected ")) {
        Some((_, expected)) => &format!("invalid type: a text, expected {expected}"),
        None => reason,
    };
    one_line(&reason.replace('\n', ": "))
}

/// A mistake is one line. Control characters of a file do not reach a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        match letter.is_control() {
            true => line.extend(letter.escape_default()),
            false => line.push(letter),
        }
    }
    line
}

/// Keeps the value. A mistake goes to `mistakes`, with the table that it is in.
pub(super) fn keep<T>(
    read: Result<T, Mistake>,
    table: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    read.map_err(|mistake| mistakes.push(mistake.below(table)))
        .ok()
}

/// Where a key is, or the last of the tables that lead to it.
struct Found<'a> {
    at: usize,
    /// The key's own value.
    value: Option<&'a Spanned<DeValue<'a>>>,
}

fn find<'a>(document: &'a DeTable<'a>, keys: &[&str]) -> Option<Found<'a>> {
    let (first, rest) = keys.split_first()?;
    let (mut at, mut value) = search(document, first)?;
    for key in rest {
        let next = match value.get_ref() {
            DeValue::Table(table) => table
                .get_key_value(*key)
                .map(|(key, value)| (key.span().start, value)),
            DeValue::Array(list) => {
                let element = key.parse().ok().and_then(|index: usize| list.get(index));
                element.map(|value| (value.span().start, value))
            }
            _ => None,
        };
        let Some(next) = next else {
            return Some(Found { at, value: None });
        };
        (at, value) = next;
    }
    let value = Some(value);
    Some(Found { at, value })
}

/// Finds the key in this table or in one below it.
fn search<'a>(table: &'a DeTable<'a>, key: &str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
    let here = table.get_key_value(key);
    let here = here.map(|(key, value)| (key.span().start, value));
    let below = || {
        // certificates are another service, with the same keys
        let tables = table.iter().filter(|(key, _)| key.get_ref() != "acm");
        let mut tables = tables.filter_map(|(_, value)| value.get_ref().as_table());
        tables.find_map(|table| search(table, key))
    };
    here.or_else(below)
}

fn is_empty(value: &Spanned<DeValue<'_>>) -> bool {
    value
        .get_ref()
        .as_array()
        .is_some_and(|list| list.is_empty())
}

fn is_shown(value: &Spanned<DeValue<'_>>, file: &str) -> bool {
    let text = file.get(value.span()).unwrap_or_default();
    let is_table = value.get_ref().is_table();
    !is_table && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at: &str, file: &str) -> String {
        Mistake::new(at, "correct it").told(Path::new("own.toml"), file)
    }

    #[test]
    fn a_mistake_has_the_line_of_its_key_and_the_value_as_written() {
        for file in [
            "a = 1\nport = 0x50 # no\n",
            "[a.b]\nport = 0x50",
            "a = 1\na2 = { port = 0x50 }",
        ] {
            assert_eq!(
                told("port", file),
                "own.toml:2: port = 0x50: correct it",
                "{file}"
            );
        }
        let file = "[[files]]\nmode = \"1\"\n\n[[files]]\nmode = \"2\"\nwrite = [\n  {},\n  { name = \"..\" },\n]\n";
        assert_eq!(
            told("files.1.mode", file),
            "own.toml:5: mode = \"2\": correct it"
        );
        assert_eq!(
            told("files.1.write.1.name", file),
            "own.toml:8: name = \"..\": correct it"
        );
    }

    #[test]
    fn a_key_that_is_missing_has_the_line_of_its_table_and_a_long_value_is_left_out() {
        let file = "x = 1\n[[files]]\nmode = \"1\"\n";
        assert_eq!(told("files.0.owner", file), "own.toml:2: owner: correct it");
        assert_eq!(told("absent", file), "own.toml: absent: correct it");
        let long = format!("list = [\n\"a\"]\nname = \"{}\"", "a".repeat(200));
        assert_eq!(told("list", &long), "own.toml:1: list: correct it");
        assert_eq!(told("name", &long), "own.toml:3: name: correct it");
    }
}
