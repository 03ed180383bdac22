//! Names that an operator writes: of signals and of variables.

use std::str::FromStr;

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
