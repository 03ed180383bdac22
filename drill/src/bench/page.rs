//! docs/benchmarks.md: the command writes what is between its two marks.

use std::{fmt::Write as _, fs, io, num::NonZero, path::Path, thread};

use chrono::Utc;

use super::{HEAD, row::Row};

const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";

/// A part of the page: a heading and its rows.
pub struct Part {
    /// The heading.
    pub title: &'static str,
    /// What is measured, and how, in a sentence or two.
    pub method: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Replaces the measured part of the page.
///
/// # Errors
///
/// The page cannot be read or written, or its marks are missing.
pub fn write(path: &Path, parts: &[Part], versions: &[String]) -> io::Result<()> {
    let page = fs::read_to_string(path);
    let page = page.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    let marks = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = marks.ok_or_else(|| {
        io::Error::other(format!(
            "{} has lost its marks: {BEGIN}{END}",
            path.display()
        ))
    })?;
    let measured = measured(parts, versions);
    fs::write(path, format!("{before}{BEGIN}{measured}{END}{after}"))
}

fn measured(parts: &[Part], versions: &[String]) -> String {
    let mut text = String::new();
    let processors = thread::available_parallelism().map_or(0, NonZero::get);
    let _ = writeln!(
        text,
        "\nMeasured on {} with {processors} processors ({}), Linux, {}.\n",
        Utc::now().format("%Y-%m-%d"),
        processor(),
        versions.join(", ")
    );
    for Part {
        title,
        method,
        rows,
    } in parts
    {
        let _ = writeln!(text, "### {title}\n\n{method}\n");
        let _ = writeln!(text, "| {} |\n|---|---|---|---|---|", HEAD.join(" | "));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text.push('\n');
    }
    text
}

/// The processor's name.
fn processor() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names = about
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let name = names.flat_map(|name| name.split_once(": ")).next();
    name.map_or("a processor without a name", |(_, name)| name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Sample;

    #[test]
    fn the_command_rewrites_only_what_is_between_its_marks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        fs::write(&path, format!("# By hand\n{BEGIN}old\n{END}after\n")).unwrap();
        let row = Row {
            what: "a start".to_owned(),
            ours: Sample::one(2.0, "ms"),
            peer: None,
            goal: None,
        };
        let part = Part {
            title: "A rotation",
            method: "In turns.".to_owned(),
            rows: vec![row],
        };
        write(&path, &[part], &["PostgreSQL 17".to_owned()]).unwrap();
        let page = fs::read_to_string(&path).unwrap();
        assert!(page.starts_with("# By hand\n") && page.ends_with("after\n"));
        assert!(page.contains("| a start | 2 ms |  |  |  |\n") && !page.contains("old"));

        fs::write(&path, "# By hand\n").unwrap();
        let error = write(&path, &[], &[]).unwrap_err().to_string();
        assert!(error.contains("has lost its marks"), "{error}");
    }
}
