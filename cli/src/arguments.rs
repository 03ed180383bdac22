//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::doctor::DoctorArguments;

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

/// What to do. Each command's arguments stand in its own module, and so does its help.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a variant's documentation would take the place of its arguments' in the help"
)]
pub enum Command {
    Doctor(DoctorArguments),
}
