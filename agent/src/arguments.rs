//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Secrets that rotate, for programs in any language: AWS's agent and Secrets Manager's API on localhost.
#[derive(Debug, Parser)]
#[command(name = "rotating-secret-agent", version)]
pub struct Arguments {
    /// Where the settings are.
    #[command(flatten)]
    pub files: Files,
    /// AWS's own command, so that a unit file needs one word changed.
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
}

/// The commands of AWS's agent.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Secrets Manager.
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
