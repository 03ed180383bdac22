//! The command `rotatectl`.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use clap_complete::CompleteEnv;
use rotatectl::{arguments::Arguments, reference::COMPLETE, run, terminal};

fn main() -> ExitCode {
    // answers a shell's request for completions: prints only them, and ends the process
    CompleteEnv::with_factory(Arguments::command)
        .var(COMPLETE)
        .complete();
    act()
}

#[tokio::main]
async fn act() -> ExitCode {
    let command = Arguments::command().term_width(terminal::help_width());
    let parsed = command.try_get_matches();
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(help_or_error) => {
            // clap exits with 2, but here 2 means that something needs attention
            return if help_or_error.use_stderr() {
                terminal::print_usage_error(&help_or_error);
                ExitCode::FAILURE
            } else {
                // nobody reads a closed output
                let _ = help_or_error.print();
                ExitCode::SUCCESS
            };
        }
    };
    let json = arguments.command.json();
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            terminal::tell(&format!("rotatectl: {error}"));
            if let Some(error) = error.json().filter(|_| json) {
                // the message is already on stderr
                let _ = terminal::print_json(&error);
            }
            error.exit_code()
        }
    }
}
