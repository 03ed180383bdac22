//! The command line.

use std::{env, ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand};
use nix::sys::signal::Signal;

use crate::names::{is_variable, signal};

/// Secrets that rotate, for programs in any language: AWS's agent and Secrets Manager's API on localhost.
#[derive(Debug, Parser)]
#[command(name = "rotating-secret-agent", version)]
pub struct Arguments {
    /// Where the settings are.
    #[command(flatten)]
    pub files: Files,
    /// Checks the settings and the tokens, names what is wrong, and ends.
    #[arg(long)]
    pub check: bool,
    /// What to do; without a command it serves.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where the settings are.
#[derive(Clone, Debug, Default, Args)]
pub struct Files {
    /// The configuration of AWS's agent (TOML), understood as AWS's agent understands it.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Settings of this agent alone (TOML), in a file of their own so that AWS's agent still takes the other one.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub settings: Option<PathBuf>,
    /// Whether the agent is an extension of Lambda: it also reads the variables of AWS's extension.
    #[arg(skip)]
    pub in_lambda: bool,
}

impl Files {
    /// In Lambda variables name the files: an extension gets no arguments.
    pub fn of_lambda() -> Self {
        let named = |variable| env::var_os(variable).filter(|path| !path.is_empty());
        Self {
            config: named("ROTATING_SECRET_AGENT_CONFIG").map(PathBuf::from),
            settings: named("ROTATING_SECRET_AGENT_SETTINGS").map(PathBuf::from),
            in_lambda: true,
        }
    }
}

/// The command of AWS's agent, and ours.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a command with a secret in its environment, and restarts or signals it on a new version. Listens on no port, and needs no token.
    Exec(Exec),
    /// Asks the agent that runs here with these settings whether it is ready, for a probe: every required file is there. Ends with 0,
    /// or 1 and the reason.
    Ready,
    /// Serves: AWS's own command, so that a unit file needs one word changed.
    Sm {
        /// What to do.
        #[command(subcommand)]
        action: Action,
    },
}

/// What `sm` does.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Starts the agent, as no command does.
    Start,
}

/// A child, and how it learns of a new version.
#[derive(Debug, Args)]
pub struct Exec {
    /// The secret that becomes PGUSER, PGPASSWORD, PGHOST, PGPORT, PGDATABASE and PGSSLMODE; the last four only where they are not
    /// set already.
    #[arg(long, value_name = "ID")]
    pub secret: Option<String>,
    /// A variable from a key of a secret's document. May be given several times.
    #[arg(long, value_name = "NAME=SECRET:KEY")]
    pub env: Vec<FromSecret>,
    /// Sends this signal on a new version, in place of a restart: the child then reads the files of --settings again.
    #[arg(long, value_name = "NAME", value_parser = parse_signal)]
    pub signal: Option<Signal>,
    /// How long the child has to end at a restart before it is killed.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub stop_within: Duration,
    /// Gives the child the agent's own variables with AWS credentials and its token.
    #[arg(long)]
    pub keep_aws_credentials: bool,
    /// The command and its arguments. No shell reads it.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `NAME=SECRET:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromSecret {
    /// The variable.
    pub name: String,
    /// The secret's id, which may hold colons itself.
    pub secret: String,
    /// The key in the document.
    pub key: String,
}

impl FromStr for FromSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text
            .split_once('=')
            .and_then(|(name, from)| Some((name, from.rsplit_once(':')?)));
        match split {
            Some((name, (secret, key)))
                if is_variable(name) && !secret.is_empty() && !key.is_empty() =>
            {
                Ok(Self {
                    name: name.to_owned(),
                    secret: secret.to_owned(),
                    key: key.to_owned(),
                })
            }
            _ => Err("write NAME=SECRET:KEY, for example API_KEY=mail/key:key".to_owned()),
        }
    }
}

fn parse_signal(name: &str) -> Result<Signal, String> {
    signal(name).ok_or_else(|| "no such signal: write HUP".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_id_may_be_an_arn_and_its_key_is_behind_the_last_colon() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mail/key-AbCdEf";
        let read: FromSecret = format!("API_KEY={arn}:key").parse().unwrap();
        assert_eq!(
            (&*read.name, &*read.secret, &*read.key),
            ("API_KEY", arn, "key")
        );
        for wrong in [
            "",
            "API_KEY",
            "API_KEY=mail",
            "=mail:key",
            "1=mail:key",
            "A=:key",
            "A=mail:",
        ] {
            assert!(wrong.parse::<FromSecret>().is_err(), "{wrong}");
        }
    }
}
