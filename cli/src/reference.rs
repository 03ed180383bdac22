//! `rotatectl completions` and `rotatectl man`, generated from the definition of the command line.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Command};
use clap_complete::{Shell, env::Shells};
use clap_mangen::Man;

use crate::terminal;

/// A shell sets this variable to ask for completions.
pub const COMPLETE: &str = "ROTATECTL_COMPLETE";

/// The meaning of each exit code.
pub const EXIT_STATUS: [(u8, &str); 5] = [
    (0, "All is well."),
    (1, "It could not be done. stderr says why, and what to do."),
    (2, "Something needs attention or is wrong."),
    (3, "Something could not be found out from here."),
    (130, "It was interrupted with Ctrl-C."),
];

/// The variables that the commands read. An option overrides its variable.
const ENVIRONMENT: [(&str, &str); 10] = [
    (
        "AWS_PROFILE",
        "The profile, if neither --profile nor keys are given.",
    ),
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
        "Keys. They override AWS_PROFILE; --profile overrides them.",
    ),
    (
        "AWS_REGION, AWS_DEFAULT_REGION",
        "The region, if neither --region nor a full ARN gives it.",
    ),
    ("AWS_ENDPOINT_URL", "Another endpoint, as --endpoint-url."),
    (
        "AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE",
        "The AWS CLI's files.",
    ),
    (
        "AWS_CA_BUNDLE",
        "A PEM file of roots to trust for AWS, in place of the machine's.",
    ),
    (
        "TLS_CA_FILE",
        "A PEM file of roots to trust for the database, as --ca-file.",
    ),
    (
        "NO_COLOR",
        "If set, the output has no colours, as with --color never.",
    ),
    (
        "CLICOLOR_FORCE",
        "If set, the output has colours also without a terminal, as with --color always.",
    ),
    (
        "COLUMNS",
        "The width of help that does not go to a terminal.",
    ),
];

/// Print the script with which a shell completes commands, options and names of secrets.
///
/// The names come from secretsmanager:ListSecrets when you press Tab, for the --profile and --region of the line. Without an answer
/// within 2 s no name is offered. Load the script again after an upgrade: a line in the shell's start file does that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  echo 'source <(rotatectl completions bash)' >> ~/.bashrc
  echo 'source <(rotatectl completions zsh)' >> ~/.zshrc
  rotatectl completions fish > ~/.config/fish/completions/rotatectl.fish")]
pub struct CompletionsArguments {
    /// The shell.
    pub shell: Shell,
}

/// Print the man page, or write one for each command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl man | man -l -
  rotatectl man --output-dir /usr/local/share/man/man1")]
pub struct ManArguments {
    /// Write rotatectl.1, rotatectl-status.1, … into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
}

/// Prints the script that makes this shell ask `rotatectl` for completions.
///
/// # Errors
///
/// stdout cannot be written to.
pub fn completions(arguments: &CompletionsArguments) -> io::Result<ExitCode> {
    let (mut text, shells) = (Vec::new(), Shells::builtins());
    let name = arguments.shell.to_string();
    let shell = shells.completer(&name).ok_or(ErrorKind::Unsupported)?;
    shell.write_registration(COMPLETE, "rotatectl", "rotatectl", "rotatectl", &mut text)?;
    print(&text)
}

/// Prints the man page of this command, or writes those of all commands.
///
/// # Errors
///
/// stdout or the folder cannot be written to.
pub fn man(mut command: Command, arguments: &ManArguments) -> io::Result<ExitCode> {
    let Some(folder) = &arguments.output_dir else {
        return print(&page(command)?);
    };
    command = command.disable_help_subcommand(true);
    command.build();
    write_pages(&command, folder).map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::new(
            ErrorKind::NotFound,
            format!("{} does not exist: make it first", folder.display()),
        ),
        _ => error,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    for command in command.get_subcommands() {
        write_pages(command, folder)?;
    }
    let name = Man::new(command.clone()).get_filename();
    fs::write(folder.join(name), page(command.clone())?)
}

/// A page, with the sections that all pages have.
fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    let exit: Vec<String> = EXIT_STATUS
        .iter()
        .map(|(code, text)| (code.to_string(), text))
        .map(|(code, text)| item(&code, text))
        .collect();
    let environment = ENVIRONMENT.iter().map(|(name, text)| item(name, text));
    let environment: Vec<String> = environment.collect();
    write!(
        page,
        ".SH \"EXIT STATUS\"\n{}.SH ENVIRONMENT\n{}",
        exit.concat(),
        environment.concat()
    )?;
    Ok(page)
}

/// An entry of a roff list. The texts begin with no dot and have no backslash, so nothing is escaped.
fn item(name: &str, text: &str) -> String {
    format!(".TP\n\\fB{name}\\fR\n{text}\n")
}

fn print(text: &[u8]) -> io::Result<ExitCode> {
    terminal::print(String::from_utf8_lossy(text).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
