//! `rotatectl completions` and `rotatectl man`: what the command line itself is the source of.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::terminal;

/// Print a shell's completions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl completions bash > /etc/bash_completion.d/rotatectl
  rotatectl completions zsh > \"${fpath[1]}/_rotatectl\"
  rotatectl completions fish > ~/.config/fish/completions/rotatectl.fish")]
pub struct CompletionsArguments {
    /// Whose.
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

/// Prints the completions of this command line.
///
/// # Errors
///
/// stdout cannot be written to.
pub fn completions(mut command: Command, arguments: &CompletionsArguments) -> io::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "rotatectl", &mut text);
    print(&text)
}

/// Prints this command line's page, or writes all of them.
///
/// # Errors
///
/// stdout, or the folder, cannot be written to.
pub fn man(command: Command, arguments: &ManArguments) -> io::Result<ExitCode> {
    match &arguments.output_dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            print(&page)
        }
        Some(folder) => {
            clap_mangen::generate_to(command, folder).map_err(|error| match error.kind() {
                ErrorKind::NotFound => io::Error::new(
                    ErrorKind::NotFound,
                    format!("{} is not there, make it first", folder.display()),
                ),
                _ => error,
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print(text: &[u8]) -> io::Result<ExitCode> {
    terminal::print(String::from_utf8_lossy(text).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
