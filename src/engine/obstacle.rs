//! What blocks a rotation, or will block it.

use std::fmt;

/// An obstacle that a rotation finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Its stable name: an error's type.
    pub kind: &'static str,
    /// Whether a rotation stops here. Otherwise it continues, with a warning.
    pub stops: bool,
    /// What was found.
    pub what: String,
    /// What to do, in words.
    pub advice: &'static str,
    /// The SQL of the advice, if any.
    pub sql: Vec<String>,
}

impl Obstacle {
    /// An obstacle that stops a rotation.
    pub fn stops(kind: &'static str, what: String, advice: &'static str, sql: Vec<String>) -> Self {
        Self {
            kind,
            stops: true,
            what,
            advice,
            sql,
        }
    }

    /// An obstacle that only warns.
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
