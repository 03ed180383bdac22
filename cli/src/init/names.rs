//! Checks names on the command line. PostgreSQL and AWS allow names that begin with a hyphen. So an option may stand where a name was
//! forgotten.

use clap::{Args, Command};

use super::InitArguments;
use crate::aws::AwsArguments;

/// PostgreSQL's longest name, in bytes.
const LONGEST_ROLE: usize = 63;

/// Any name that is not an option of this command.
pub(super) fn any(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("it is empty: give a name");
    }
    match is_option(text) {
        true => Err("it is an option, so the name before it is missing: give that name"),
        false => Ok(text.to_owned()),
    }
}

/// PostgreSQL would cut a longer name, and log in as another role.
pub(super) fn role(text: &str) -> Result<String, String> {
    match text.len() > LONGEST_ROLE {
        true => Err(format!("a role's name has 1 to {LONGEST_ROLE} bytes")),
        false => Ok(any(text)?),
    }
}

/// A new secret has no ARN. Every other command would read a name that begins with a hyphen as an option.
pub(super) fn secret(text: &str) -> Result<String, &'static str> {
    match text.is_empty() || text.starts_with("arn:") || text.starts_with('-') {
        true => Err("give the new secret's name: not an ARN, and no hyphen at its beginning"),
        false => Ok(text.to_owned()),
    }
}

/// A region's code.
pub(super) fn region(text: &str) -> Result<String, &'static str> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_one = match parts.split_last() {
        Some((number, words)) => {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let word =
                |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
            digits(number) && !words.is_empty() && words.iter().all(word)
        }
        None => false,
    };
    match is_one {
        true => Ok(text.to_owned()),
        false => Err("give a region's code, such as eu-west-1"),
    }
}

fn is_option(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    let command = AwsArguments::augment_args(InitArguments::augment_args(Command::new("init")));
    let is_known = |long: &str| {
        let mut options = command.get_arguments().filter_map(clap::Arg::get_long);
        options.any(|known| known == long) || ["help", "version"].contains(&long)
    };
    name.strip_prefix("--").is_some_and(is_known) || ["-h", "-V"].contains(&text)
}
