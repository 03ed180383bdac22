//! Output: lines that fit the terminal, JSON, times for people.
//!
//! Results go to stdout. Progress and questions go to stderr, so a pipe gets only the result.

use std::{
    env,
    io::{self, BufWriter, Write},
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use console::Term;
use serde::{Serialize, Serializer};
use textwrap::{Options, WordSeparator, WordSplitter};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The indent of a wrapped text from the second line on, in columns.
const HANG: usize = 2;

/// The cell for "none".
pub const EMPTY_CELL: &str = "–";
/// The cell for "unknown".
pub const NOT_KNOWN: &str = "?";

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colors {
    /// In a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Also without a terminal, and with NO_COLOR set.
    Always,
    /// Never.
    Never,
}

impl Colors {
    /// Applies the choice to all output.
    pub fn apply(self) {
        let colours = match self {
            Self::Auto => return,
            Self::Always => true,
            Self::Never => false,
        };
        console::set_colors_enabled(colours);
        console::set_colors_enabled_stderr(colours);
    }
}

/// Writes a line to stdout. Makes it [`printable`], because it may contain names and texts from outside.
///
/// # Errors
///
/// The same as for [`print()`].
pub fn say(line: &str) -> io::Result<()> {
    print(&hanging(&printable(line), HANG, width()))
}

/// Writes a result to stdout unchanged, with a newline.
///
/// # Errors
///
/// stdout cannot be written. A closed pipe (`head`) is no error.
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
/// The same as for [`print()`].
pub fn print_json(result: &impl Serialize) -> io::Result<()> {
    // written piece by piece: the report of ten thousand secrets has six megabytes
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = write_json(result, &mut stdout)
        .and_then(|()| writeln!(stdout))
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A result as JSON.
///
/// # Errors
///
/// The serializer's error.
pub fn json(result: &impl Serialize) -> io::Result<String> {
    let mut json = Vec::new();
    write_json(result, &mut json)?;
    String::from_utf8(json).map_err(io::Error::other)
}

fn write_json(result: &impl Serialize, to: &mut impl Write) -> io::Result<()> {
    Ok(serde_json::to_writer_pretty(Visible(to), result)?)
}

/// Escapes the characters of JSON that [`printable`] would replace, so no information is lost.
struct Visible<'a, To>(&'a mut To);

impl<To: Write> Write for Visible<'_, To> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        // the serializer splits a string only at characters of ASCII
        let text = str::from_utf8(part).map_err(io::Error::other)?;
        let mut written = 0;
        for (place, c) in text.char_indices() {
            // in JSON, only the newline can be such a character outside a string
            if c == '\n' || !is_hidden(c) {
                continue;
            }
            self.0.write_all(&part[written..place])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            written = place + c.len_utf8();
        }
        self.0.write_all(&part[written..])?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes a line to stderr for a person. Makes it [`printable`].
pub fn tell(line: &str) {
    // nobody reads a closed stderr
    let line = hanging(&printable(line), HANG, width_of(&Term::stderr()));
    let _ = writeln!(io::stderr(), "{line}");
}

/// The same without wrapping: a line of JSON stays one line.
pub fn print_whole(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line));
}

/// Writes a usage error to stderr. clap wraps its help to the terminal's width, but not its errors.
pub fn print_usage_error(mistake: &clap::Error) {
    let mistake = mistake.render();
    let text = match console::colors_enabled_stderr() {
        true => mistake.ansi().to_string(),
        false => mistake.to_string(),
    };
    let width = width_of(&Term::stderr());
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| hanging(line, HANG, width))
        .collect();
    let _ = write!(io::stderr(), "{}", lines.join("\n"));
}

/// Replaces each character that a terminal obeys or does not show: names and texts come from outside.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_hidden(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Control characters, marks of text direction, line separators, and invisible characters (Unicode's `Default_Ignorable`).
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
    // invisible letters and marks: joiners, fillers, variation selectors; and the Braille blank
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

/// The width of the terminal on stdout. None without a terminal.
pub fn width() -> Option<usize> {
    width_of(&Term::stdout())
}

fn width_of(term: &Term) -> Option<usize> {
    term.size_checked().map(|(_, width)| width.into())
}

/// The width for help: the terminal's, or the variable COLUMNS, or 100.
pub fn help_width() -> usize {
    let variable = || env::var("COLUMNS").ok()?.parse().ok();
    width().or_else(variable).unwrap_or(100)
}

/// Wraps a text to this width, and indents all lines but the first. Breaks no word, because names count as words.
pub fn hanging(text: &str, indent: usize, width: Option<usize>) -> String {
    let indent = " ".repeat(indent);
    let Some(width) = width else {
        return text.to_owned();
    };
    let options = Options::new(width)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

/// A time span in the largest unit of which it has at least two: `90s`, `45m`, `26h`, `47d`.
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

/// A duration: `1.24 s`.
pub fn took(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}

/// A time for a report, in UTC: `2026-11-21T10:29:54Z`.
pub fn moment(time: SystemTime) -> String {
    secret_rotation::moment::shown(time)
}

/// [`moment`] for JSON.
///
/// # Errors
///
/// The serializer's error.
pub fn serialize_moment<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    moment(*time).serialize(to)
}

/// [`moment`] for JSON, or null.
///
/// # Errors
///
/// The serializer's error.
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
    fn a_time_span_is_shown_in_the_largest_unit_of_which_it_has_two() {
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

    /// Characters from Unicode's lists Bidi_Control and Default_Ignorable_Code_Point, from C0 and C1, and line ends.
    const HIDDEN: &str = "\u{0}\u{7}\u{1b}\n\r\t\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                          \u{2066}\u{2067}\u{2068}\u{2069}\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{180f}\u{200b}\
                          \u{200c}\u{200d}\u{2028}\u{2029}\u{2060}\u{2064}\u{2065}\u{206a}\u{206f}\u{2800}\u{3164}\u{fe00}\u{fe0f}\
                          \u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{fffb}\u{1bca0}\u{1d173}\u{e0001}\u{e0020}\u{e007f}\u{e0100}\u{e01ef}\u{e0fff}";

    #[test]
    fn characters_that_a_terminal_obeys_or_hides_are_replaced_and_letters_are_kept() {
        for c in HIDDEN.chars() {
            assert_eq!(printable(&c.to_string()), "\u{fffd}", "{c:?}");
        }
        let shown = "Größe e\u{301} 漢字 שלום مرحبا «x» – … \u{1f510} \\ ' \" $";
        assert_eq!(printable(shown), shown);
    }

    #[test]
    fn in_json_such_characters_are_escaped_and_keep_their_meaning() {
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
    fn a_long_line_is_wrapped_under_its_text_and_no_word_is_broken() {
        let text = "ok  the secret demo/orders-and-more/single rotates";
        assert_eq!(hanging(text, 4, None), text);
        assert_eq!(hanging(text, 4, Some(80)), text);
        assert_eq!(
            hanging(text, 4, Some(20)),
            "ok  the secret\n    demo/orders-and-more/single\n    rotates"
        );
    }

    #[test]
    fn a_moment_is_shown_in_utc_to_the_second() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_256_994_900);
        assert_eq!(moment(time), "2026-11-21T10:29:54Z");
        // a secret's document may promise any
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert_eq!(moment(time), "9999-12-31T23:59:59Z");
    }
}
