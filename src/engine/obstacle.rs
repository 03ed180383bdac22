//! What stands in the way of a rotation, or will.

use std::fmt;

/// Something that a rotation finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Its stable name: an error's type.
    pub kind: &'static str,
    /// Whether a rotation stops here. The others it goes past, with a warning.
    pub stops: bool,
    /// What is there.
    pub what: String,
    /// What to do, in words.
    pub advice: &'static str,
    /// The SQL of the advice, if there is some.
    pub sql: Vec<String>,
}

impl Obstacle {
    /// One that a rotation does not go past.
    pub fn stops(kind: &'static str, what: String, advice: &'static str, sql: Vec<String>) -> Self {
        Self {
            kind,
            stops: true,
            what,
            advice,
            sql,
        }
    }

    /// One that it goes past.
    pub fn warns(kind: &'static str, what: String, advice: &'static str, sql: Vec<String>) -> Self {
        Self {
            stops: false,
            ..Self::stops(kind, what, advice, sql)
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.advice)?;
        match self.sql.is_empty() {
            true => Ok(()),
            false => write!(f, " {}", self.sql.join("; ")),
        }
    }
}
