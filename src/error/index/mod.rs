//! Every `errorType`: what it means, and what to do first.
//!
//! A message names servers, users and statements of one case. These texts are for a reader who has only the name, from an alarm
//! or a graph. docs/operations.md shows them; tests/operations/errors.rs compares both with the code.

mod database;
mod function;
mod service;

/// One `errorType`. The texts are Markdown, of a table's cell.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The stable name.
    pub error_type: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What to do first.
    pub cure: &'static str,
}

/// All lines, sorted by name.
pub fn lines() -> Vec<Line> {
    let all = [function::LINES, database::LINES, service::LINES].concat();
    let mut lines: Vec<Line> = all
        .into_iter()
        .map(|(error_type, meaning, cure)| Line {
            error_type,
            meaning,
            cure,
        })
        .collect();
    lines.sort_by_key(|line| line.error_type);
    lines
}

/// A name, its meaning, and the cure.
type Texts = (&'static str, &'static str, &'static str);
