//! Commands that people copy from the output: quoted, and for the same region, profile and endpoint.

use std::path::Path;

use serde::Serialize;

use crate::{aws::AwsArguments, terminal::printable};

/// A line to copy and run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Command {
    /// For a shell.
    Shell(String),
    /// For psql, as a superuser or a role with the same right.
    Psql(String),
}

impl Command {
    /// The line with the prompt of its program.
    pub(crate) fn line(&self) -> String {
        let (prompt, command) = match self {
            Self::Shell(command) => ("$", command),
            Self::Psql(command) => ("=#", command),
        };
        format!("{prompt} {}", printable(command))
    }

    /// The command for a sentence, without a prompt.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Shell(command) | Self::Psql(command) => command,
        }
    }
}

/// The secret and the options of the commands.
#[derive(Debug)]
pub(crate) struct Shell {
    /// The secret as the operator named it.
    secret: String,
    ca_file: Option<String>,
    /// The options that every command gets.
    options: Vec<String>,
}

impl Shell {
    pub(crate) fn new(secret: &str, ca_file: Option<&Path>, arguments: &AwsArguments) -> Self {
        let given = [
            ("--region", &arguments.region),
            ("--profile", &arguments.profile),
            ("--endpoint-url", &arguments.endpoint_url),
        ];
        let given = given.into_iter().filter_map(|(option, value)| {
            let value = value.as_ref()?;
            Some([option.to_owned(), value.clone()])
        });
        Self {
            secret: secret.to_owned(),
            ca_file: ca_file.map(|file| file.display().to_string()),
            options: given.flatten().collect(),
        }
    }

    /// A command of the AWS CLI about the secret.
    pub(crate) fn secrets_manager(&self, operation: &str, words: &[&str]) -> Command {
        let secret = ["secretsmanager", operation, "--secret-id", &self.secret];
        self.aws(&[&secret[..], words].concat())
    }

    /// A command of the AWS CLI.
    pub(crate) fn aws(&self, words: &[&str]) -> Command {
        self.command("aws", words)
    }

    /// `doctor`.
    pub(crate) fn doctor(&self) -> Command {
        self.doctor_with(&[])
    }

    /// `doctor --repair`.
    pub(crate) fn repair(&self) -> Command {
        self.doctor_with(&["--repair"])
    }

    fn doctor_with(&self, options: &[&str]) -> Command {
        let mut words = vec!["doctor"];
        words.extend(options);
        words.extend(self.ca_file.iter().flat_map(|file| ["--ca-file", file]));
        words.push(&self.secret);
        self.command("rotatectl", &words)
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let options = self.options.iter().map(String::as_str);
        let words = [program].into_iter().chain(words.iter().copied());
        // only a NUL cannot be quoted, and no name can contain one here
        Command::Shell(shlex::try_join(words.chain(options)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_special_characters_is_quoted_and_the_given_options_are_repeated() {
        let shell = Shell::new(
            "secret",
            None,
            &AwsArguments {
                region: Some("eu-central-1".to_owned()),
                profile: Some("two words".to_owned()),
                endpoint_url: None,
                ..AwsArguments::default()
            },
        );
        let Command::Shell(line) = shell.aws(&["do", "it's $HOME; rm"]) else {
            panic!("a shell's command");
        };
        let words = shlex::split(&line).unwrap();
        let asked = ["aws", "do", "it's $HOME; rm"];
        let options = ["--region", "eu-central-1", "--profile", "two words"];
        assert_eq!(words, [&asked[..], &options].concat());
        assert!(!line.contains(" it's $HOME; rm "), "{line}");
    }
}
