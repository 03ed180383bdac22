//! docs/benchmarks.md: the command writes what is between its two marks.

use std::{fmt::Write as _, fs, io, num::NonZero, path::Path, thread};

use chrono::Utc;

use super::{HEAD, plot::plot, row::Part};

const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Replaces the measured part of the page, and draws its plots into the folder of the same name.
///
/// # Errors
///
/// The page or a plot cannot be read or written, or the marks are missing.
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
    let plots = path.with_extension("");
    fs::create_dir_all(&plots)?;
    let mut drawn = Vec::new();
    for part in parts {
        let name = format!("{}.svg", part.title.to_lowercase().replace(' ', "-"));
        let plot = plot(part);
        if let Some(plot) = &plot {
            fs::write(plots.join(&name), plot)?;
        }
        let folder = plots.file_name().unwrap_or_default().to_string_lossy();
        drawn.push(plot.map(|_| format!("{folder}/{name}")));
    }
    let measured = measured(parts, &drawn, versions);
    fs::write(path, format!("{before}{BEGIN}{measured}{END}{after}"))
}

fn measured(parts: &[Part], plots: &[Option<String>], versions: &[String]) -> String {
    let mut text = String::new();
    let processors = thread::available_parallelism().map_or(0, NonZero::get);
    let _ = writeln!(
        text,
        "\nMeasured on {} with {processors} processors ({}), Linux, {}.\n",
        Utc::now().format("%Y-%m-%d"),
        processor(),
        versions.join(", ")
    );
    for (part, plot) in parts.iter().zip(plots) {
        let Part {
            title,
            method,
            rows,
        } = part;
        let _ = writeln!(text, "### {title}\n\n{method}\n");
        let _ = writeln!(text, "| {} |\n|---|---|---|---|---|", HEAD.join(" | "));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text.push('\n');
        if let Some(plot) = plot {
            let _ = writeln!(text, "![{title}: ratios]({plot})\n");
        }
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
    use crate::bench::row::{Row, Sample};

    #[test]
    fn the_command_rewrites_only_what_is_between_its_marks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        fs::write(&path, format!("# By hand\n{BEGIN}old\n{END}after\n")).unwrap();
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
