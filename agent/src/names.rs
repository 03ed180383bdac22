//! Names that an operator writes: of signals, of variables and of files.

use std::{path::Path, str::FromStr};

use nix::sys::signal::Signal;

/// A signal by its name, with or without SIG, in any case.
pub fn signal(name: &str) -> Option<Signal> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    Signal::from_str(&format!("SIG{name}")).ok()
}

/// Whether a shell accepts the name of this variable.
pub fn is_variable(name: &str) -> bool {
    let is_letter = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    name.chars().all(is_letter) && name.starts_with(|first: char| !first.is_ascii_digit())
}

/// Whether this is surely the name of a variable. Someone may have written the token itself in its place.
pub fn is_shown_variable(name: &str) -> bool {
    let is_usual =
        |letter: char| letter == '_' || letter.is_ascii_uppercase() || letter.is_ascii_digit();
    // a shorter one is no token
    is_variable(name) && name.chars().all(is_usual) && (name.contains('_') || name.len() < 8)
}

/// The path, if it is surely one. Someone may have written the token itself in its place.
pub fn shown_path(path: &Path) -> String {
    match path.is_absolute() {
        true => path.display().to_string(),
        false => "(not shown: it does not begin with /, and may be the token itself)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_with_and_without_sig_and_a_variable_by_its_letters() {
        for name in ["HUP", "SIGHUP", "hup"] {
            assert_eq!(signal(name), Some(Signal::SIGHUP), "{name}");
        }
        for name in ["", "SIG", "1", "HANG"] {
            assert_eq!(signal(name), None, "{name}");
        }
        for (name, is_one) in [
            ("PGUSER", true),
            ("_a1", true),
            ("1a", false),
            ("", false),
            ("a-b", false),
            ("ä", false),
        ] {
            assert_eq!(is_variable(name), is_one, "{name}");
        }
    }
}
