//! What commands print with: tables that fit, colours where they are seen, JSON, times as people read them.
//!
//! A result goes to stdout. What only accompanies it (progress, questions) goes to stderr, so that a pipe gets the result
//! and nothing else.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets::NOTHING};
use console::Term;
use serde::{Serialize, Serializer};

/// Stands where there is nothing to tell.
pub const NOTHING_TO_TELL: &str = "–";

/// Writes a result to stdout, and a newline behind it.
///
/// # Errors
///
/// stdout cannot be written to. That somebody closed it, as `head` does, is none.
pub fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a result to stdout as JSON.
///
/// # Errors
///
/// As for [`print()`].
pub fn print_json(result: &impl Serialize) -> io::Result<()> {
    print(&serde_json::to_string_pretty(result).map_err(io::Error::other)?)
}

/// Writes a line to stderr, which a person reads and a pipe does not.
pub fn tell(text: &str) {
    // who closed stderr does not want to be told
    let _ = writeln!(io::stderr(), "{text}");
}

/// Names come from elsewhere: what a terminal would obey instead of showing it is left out.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// An empty table without lines, as wide as the terminal; as wide as it needs to be where there is none.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    // console alone decides what the terminal is, or its parts would disagree
    table.force_no_tty();
    if let Some((_, width)) = Term::stdout().size_checked() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    if console::colors_enabled() {
        table.enforce_styling();
    }
    table
}

/// A table as text: two spaces between columns, and none around it.
pub fn lines(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Something that wants attention: red where colours are seen.
pub fn alarming(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Red)
}

/// Something to keep an eye on: yellow where colours are seen.
pub fn noteworthy(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Yellow)
}

/// A time span in its largest unit that still tells something: `90s`, `45m`, `26h`, `47d`.
pub fn span(span: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match span.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds}s"),
        seconds if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

/// How long something took: `1.24 s`.
pub fn took(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}

/// A moment for a report, in UTC: `2026-11-21T10:29:54Z`.
pub fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// [`moment`] for JSON.
///
/// # Errors
///
/// The serializer's.
pub fn serialize_moment<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    moment(*time).serialize(to)
}

/// [`moment`] for JSON, or null.
///
/// # Errors
///
/// The serializer's.
pub fn serialize_moment_or_null<S: Serializer>(
    time: &Option<SystemTime>,
    to: S,
) -> Result<S::Ok, S::Error> {
    time.map(moment).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_told_in_the_largest_unit_of_which_there_are_two() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (90 * 86_400, "90d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_moment_is_told_in_utc_to_the_second() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_256_994_900);
        assert_eq!(moment(time), "2026-11-21T10:29:54Z");
    }
}
