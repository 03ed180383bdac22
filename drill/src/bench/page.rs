//! docs/benchmarks.md: the command writes what is between its two marks.

use std::{fmt::Write as _, fs, io, num::NonZero, path::Path, thread};

use chrono::Utc;

use super::{HEAD, plot::plot, row::Part};

const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";
const HEADING: &str = "### ";

/// Replaces these parts of the page, keeps the others, and draws the plots into the folder of the page's name.
///
/// # Errors
///
/// The page or a plot cannot be read or written, or the marks are missing.
pub fn write(path: &Path, parts: &[Part], versions: &[String]) -> io::Result<()> {
    let page = fs::read_to_string(path);
    let page = page.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    let marks = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (old, after) = rest.split_once(END)?;
        Some((before, old, after))
    });
    let (before, old, after) = marks.ok_or_else(|| {
        io::Error::other(format!(
            "{} has lost its marks: {BEGIN}{END}",
            path.display()
        ))
    })?;
    let plots = path.with_extension("");
    fs::create_dir_all(&plots)?;
    let mut sections: Vec<_> = old.split(HEADING).skip(1).map(str::to_owned).collect();
    let machine = machine(versions);
    for part in parts {
        let name = format!("{}.svg", part.title.to_lowercase().replace(' ', "-"));
        let plot = plot(part);
        if let Some(plot) = &plot {
            fs::write(plots.join(&name), plot)?;
        }
        let folder = plots.file_name().unwrap_or_default().to_string_lossy();
        let plot = plot.map(|_| format!("{folder}/{name}"));
        let section = section(part, &machine, plot.as_deref());
        let is_old = |section: &&mut String| section.lines().next() == Some(part.title);
        match sections.iter_mut().find(is_old) {
            Some(old) => *old = section,
            None => sections.push(section),
        }
    }
    let measured: String = sections
        .iter()
        .map(|section| format!("{HEADING}{section}"))
        .collect();
    fs::write(path, format!("{before}{BEGIN}\n{measured}{END}{after}"))
}

fn section(part: &Part, machine: &str, plot: Option<&str>) -> String {
    let Part {
        title,
        method,
        rows,
    } = part;
    let head = HEAD.join(" | ");
    let mut text =
        format!("{title}\n\n{method}\n\n{machine}\n\n| {head} |\n|---|---|---|---|---|\n");
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text.push('\n');
    if let Some(plot) = plot {
        let _ = writeln!(text, "![{title}: ratios]({plot})\n");
    }
    text
}

/// Where and when this run measured.
fn machine(versions: &[String]) -> String {
    let processors = thread::available_parallelism().map_or(0, NonZero::get);
    format!(
        "Measured on {} with {processors} processors ({}), Linux, {}.",
        Utc::now().format("%Y-%m-%d"),
        processor(),
        versions.join(", ")
    )
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
    use crate::bench::row::{Row, Sample};

    #[test]
    fn the_command_rewrites_only_what_it_has_measured_between_its_marks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        let old = "### The agent\n\nkept\n\n### A rotation\n\nold\n\n";
        fs::write(&path, format!("# By hand\n{BEGIN}{old}{END}after\n")).unwrap();
        let row = Row {
            what: "a start".to_owned(),
            ours: Sample::one(2.0, "ms"),
            peer: Some(("Python", Sample::one(4.0, "ms"))),
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
        assert!(page.contains("### The agent\n\nkept\n\n### A rotation\n\nIn turns.\n"));
        assert!(page.contains("![A rotation: ratios](benchmarks/a-rotation.svg)"));
        assert!(folder.path().join("benchmarks/a-rotation.svg").exists());
        assert!(
            page.contains("| a start | 2 ms | 4 ms, Python | 2 times |  |\n")
                && !page.contains("old")
        );

        fs::write(&path, "# By hand\n").unwrap();
        let error = write(&path, &[], &[]).unwrap_err().to_string();
        assert!(error.contains("has lost its marks"), "{error}");
    }
}
