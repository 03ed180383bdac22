//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// See, rotate, revoke, diagnose and rehearse secrets that Secrets Manager rotates.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// Where and as whom.
    #[command(flatten)]
    pub aws: AwsArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Taken as the AWS CLI takes them.
#[derive(Debug, Args)]
pub struct AwsArguments {
    /// The region; without it AWS_REGION, AWS_DEFAULT_REGION or the profile's.
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// The profile; without it AWS_PROFILE's, or the default one.
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// Another endpoint; without it AWS_ENDPOINT_URL or the region's.
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell everything that is wrong with a secret's rotation, and what to do about it.
    Doctor(DoctorArguments),
}

/// What is examined, and what may be done about it.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// The secret's name or ARN.
    pub secret: String,
    /// A PEM file of roots to trust for the database beside RDS's and the public ones; without it TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Offer to mend what can be mended from here; a password that has to be known is asked for.
    #[arg(long)]
    pub repair: bool,
    /// Mend without asking, save where the administrator's credential goes to a server that nothing has proven.
    #[arg(long, requires = "repair")]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
