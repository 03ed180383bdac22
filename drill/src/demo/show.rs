//! Lines, headings, tables and check marks, with colours in a terminal.

use std::io::Write;

use comfy_table::Table;
use owo_colors::{OwoColorize, Style};

use super::Error;
use crate::rehearsal::Rehearsal;

/// The output, and its look.
pub(super) struct Show<'a, W> {
    pub(super) out: &'a mut W,
    pub(super) colors: bool,
}

impl<W: Write> Show<'_, W> {
    pub(super) fn line(&mut self, text: &str) -> Result<(), Error> {
        Ok(writeln!(self.out, "{text}")?)
    }

    pub(super) fn heading(&mut self, text: &str) -> Result<(), Error> {
        let text = self.styled(text, Style::new().bold());
        self.line(&format!("\n{text}"))
    }

    /// Prints the beginning of a line.
    pub(super) fn begin(&mut self, text: &str) -> Result<(), Error> {
        write!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    pub(super) fn table(&mut self, table: &Table) -> Result<(), Error> {
        self.line(&table.to_string())
    }

    /// Prints a line with a check mark. An error if the check failed.
    pub(super) fn check(&mut self, what: &'static str, holds: bool) -> Result<(), Error> {
        if !holds {
            return Err(Error::NotTrue(what));
        }
        let mark = self.styled("✔", Style::new().green());
        self.line(&format!("  {mark} {what}"))
    }

    /// Prints whether all requests succeeded and all workers changed over.
    pub(super) fn verdict(&mut self, rehearsal: &Rehearsal) -> Result<(), Error> {
        if rehearsal.passed() {
            return self.check(
                "no request failed, and every worker changed over each time",
                true,
            );
        }
        let mark = self.styled("✘", Style::new().red());
        let failed = rehearsal.rotating.failures();
        self.line(&match rehearsal.rotating.first_failure() {
            Some(first) => {
                format!("  {mark} {failed} requests failed, the first one with: {first}")
            }
            None => {
                format!("  {mark} a worker had not changed over when the next rotation began")
            }
        })
    }

    pub(super) fn styled(&self, text: &str, style: Style) -> String {
        if self.colors {
            text.style(style).to_string()
        } else {
            text.to_owned()
        }
    }
}
