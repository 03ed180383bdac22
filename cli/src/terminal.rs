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
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Stands where there is nothing to tell.
pub const NOTHING_TO_TELL: &str = "–";

/// Writes a line to stdout, of whatever it is made: names and texts that come from elsewhere are shown as [`printable`] has them.
///
/// # Errors
///
/// As for [`print()`].
pub fn say(line: &str) -> io::Result<()> {
    print(&printable(line))
}

/// Writes a result to stdout as it is, and a newline behind it.
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
    print(&json(result)?)
}

/// A result as JSON, which means the same where a terminal shows it: what [`printable`] takes out stands there escaped.
///
/// # Errors
///
/// The serializer's.
pub fn json(result: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string_pretty(result).map_err(io::Error::other)?;
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        // outside of texts JSON has no such character but the line's end
        if c == '\n' || !is_hidden(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            shown += &format!("\\u{unit:04x}");
        }
    }
    Ok(shown)
}

/// Writes a line to stderr, which a person reads and a pipe does not; as [`printable`] has it.
pub fn tell(line: &str) {
    // who closed stderr does not want to be told
    let _ = writeln!(io::stderr(), "{}", printable(line));
}

/// Names and texts come from elsewhere: what a terminal would obey instead of showing it, and what it would not show, is marked.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_hidden(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Controls, marks of a text's direction, separators of lines, and what Unicode has shown as nothing (`Default_Ignorable`).
fn is_hidden(c: char) -> bool {
    let by_category = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned
    );
    // letters and marks that are ignorable: joiners, fillers, selectors of variants; and Braille's blank
    by_category
        || matches!(
            c,
            '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{e0100}'..='\u{e01ef}'
        )
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

    /// Of Unicode's lists Bidi_Control and Default_Ignorable_Code_Point, of C0 and C1, and of what ends a line.
    const HIDDEN: &str = "\u{0}\u{7}\u{1b}\n\r\t\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                          \u{2066}\u{2067}\u{2068}\u{2069}\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{180f}\u{200b}\
                          \u{200c}\u{200d}\u{2028}\u{2029}\u{2060}\u{2064}\u{2065}\u{206a}\u{206f}\u{2800}\u{3164}\u{fe00}\u{fe0f}\
                          \u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{fffb}\u{1bca0}\u{1d173}\u{e0001}\u{e0020}\u{e007f}\u{e0100}\u{e01ef}\u{e0fff}";

    #[test]
    fn what_a_terminal_obeys_or_does_not_show_is_marked_and_every_letter_is_shown() {
        for c in HIDDEN.chars() {
            assert_eq!(printable(&c.to_string()), "\u{fffd}", "{c:?}");
        }
        let shown = "Größe e\u{301} 漢字 שלום مرحبا «x» – … \u{1f510} \\ ' \" $";
        assert_eq!(printable(shown), shown);
    }

    #[test]
    fn in_json_it_is_escaped_and_means_what_it_meant() {
        for c in HIDDEN.chars() {
            let value = serde_json::json!({ "name": format!("a{c}b"), "é": ["漢"] });
            let text = json(&value).unwrap();
            assert!(!text.chars().any(|c| c != '\n' && is_hidden(c)), "{text:?}");
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text).unwrap(),
                value
            );
        }
    }

    #[test]
    fn a_moment_is_told_in_utc_to_the_second() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_256_994_900);
        assert_eq!(moment(time), "2026-11-21T10:29:54Z");
    }
}
