//! `rotatectl completions` and `rotatectl man`: what the command line itself is the source of.

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

/// The variable by which a shell asks for completions.
pub const COMPLETE: &str = "ROTATECTL_COMPLETE";

/// What each exit code means.
pub const EXIT_STATUS: [(u8, &str); 5] = [
    (0, "All is well."),
    (1, "It could not be done. stderr says why, and what to do."),
    (2, "Something needs attention, or was found to be wrong."),
    (3, "Something could not be found out from here."),
    (130, "It was interrupted with Ctrl-C."),
];

/// The variables that count. What an option says comes before its variable.
const ENVIRONMENT: [(&str, &str); 10] = [
    (
        "AWS_PROFILE",
        "The profile, if neither --profile nor keys are given.",
    ),
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
        "Keys. They come before AWS_PROFILE, and after --profile.",
    ),
    (
        "AWS_REGION, AWS_DEFAULT_REGION",
        "The region, if neither --region nor a full ARN says it.",
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
        "If set, there are no colours, as with --color never.",
    ),
    (
        "CLICOLOR_FORCE",
        "If set, there are colours also where no terminal is, as with --color always.",
    ),
    ("COLUMNS", "The width of help that goes to no terminal."),
];

/// Print what a shell needs to complete commands, options and the names of secrets.
///
/// The names come from secretsmanager:ListSecrets while you type, for the --profile and --region of the line. Where it does not answer
/// within two seconds, there are none. Load the script anew after an upgrade: a line in the shell's start file does.
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
    /// Write rotatectl.1, rotatectl-status.1, … there.
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
}

/// Prints the script that has this shell ask `rotatectl` for completions.
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

/// Prints this command line's page, or writes all of them.
///
/// # Errors
///
/// stdout, or the folder, cannot be written to.
pub fn man(mut command: Command, arguments: &ManArguments) -> io::Result<ExitCode> {
    let Some(folder) = &arguments.output_dir else {
        return print(&page(command)?);
    };
    command = command.disable_help_subcommand(true);
    command.build();
    write_pages(&command, folder).map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::new(
            ErrorKind::NotFound,
            format!("{} is not there, make it first", folder.display()),
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

/// A page, with the sections that are the same on all of them.
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

/// An entry of a list, in roff. No text here begins with a dot or holds a backslash.
fn item(name: &str, text: &str) -> String {
    format!(".TP\n\\fB{name}\\fR\n{text}\n")
}

fn print(text: &[u8]) -> io::Result<ExitCode> {
    terminal::print(String::from_utf8_lossy(text).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
