//! `rotatectl init`: a new secret, and the role in PostgreSQL that logs in with it.
//!
//! | file | what |
//! |---|---|
//! | `wanted` | the administrator's secret, and the new document |
//! | `found` | what already exists, and what prevents the new secret |
//! | `stored` | an existing secret of this name |
//! | `make` | makes what is missing, step by step |
//! | `report` | the output |
//! | `function` | whether the function exists, and may be invoked |
//! | `place` | account and region |
//! | `engine` | explains the server's errors |
//! | `value` | reads a secret's value |
//! | `names` | checks names on the command line |
//! | `error` | why the command failed |
//!
//! It may be interrupted at any time: a second run finds what exists, and makes nothing twice. It stores the password before the server
//! gets it, so the stored password of a new role always works.

mod engine;
mod error;
mod found;
mod function;
mod make;
mod names;
mod place;
mod report;
mod stored;
mod value;
mod wanted;

use std::{path::PathBuf, process::ExitCode};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use clap::Args;
use secret_rotation::{document::Document, engine::Disconnect};

pub use self::error::Error;
use self::{report::Report, wanted::Wanted};
use crate::{
    aws::AwsArguments,
    confirm::confirm,
    heartbeat,
    login::{self, Logins},
    schedule,
    shell::Shell,
};

/// Make a new secret, and the role in PostgreSQL that logs in with it.
///
/// It generates the password: 32 letters, digits and -._~. The password is stored in Secrets Manager and never shown. The server gets
/// only a SCRAM verifier. The administrator logs in only at the host of its own secret. After an interruption run the same command
/// again: it continues with what exists. An existing role keeps its password.
///
/// Two users alternate, orders and orders_clone, so the old password works for a while after each rotation. With --single-user there
/// is no such overlap.
///
/// It needs secretsmanager:GetSecretValue on the administrator's secret; DescribeSecret, CreateSecret and GetSecretValue on the new
/// one; and the network to the database. With --kms-key it needs kms:GenerateDataKey and kms:Decrypt on the key, with --replica
/// secretsmanager:ReplicateSecretToRegions, with --function secretsmanager:RotateSecret and lambda:InvokeFunction on the function. With
/// lambda:GetPolicy and GetFunctionConfiguration it can check the function before it stores anything.
/// If the administrator's secret has a key of yours, it needs kms:Decrypt on that key too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl init orders/db --username orders --administrator rds/admin
  rotatectl init orders/db --username orders --administrator rds/admin \\
    --dbname orders --function secret-rotation
  rotatectl init orders/db --username orders --administrator rds/admin \\
    --yes --json | jq -r .arn")]
pub struct InitArguments {
    /// The new secret's name.
    #[arg(value_parser = names::secret)]
    pub name: String,
    /// The new role, which logs in with this secret.
    #[arg(long, value_name = "ROLE", allow_hyphen_values = true, value_parser = names::role)]
    pub username: String,
    /// The secret of a role that may create roles (CREATEROLE). It must name its host.
    #[arg(long, value_name = "SECRET", allow_hyphen_values = true, value_parser = names::any)]
    pub administrator: String,
    /// The server. Default: the administrator's, which must be the same.
    #[arg(long, value_parser = names::any)]
    pub host: Option<String>,
    /// The server's port. Default: the administrator's, which must be the same.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The application's database. Default: the administrator's.
    #[arg(long, allow_hyphen_values = true, value_parser = names::any)]
    pub dbname: Option<String>,
    /// Use one user, whose password is replaced. There is no overlap: the old password ends at once.
    #[arg(long)]
    pub single_user: bool,
    /// The KMS key that encrypts the secret. Default: aws/secretsmanager.
    #[arg(long, value_name = "ARN", value_parser = names::any)]
    pub kms_key: Option<String>,
    /// A region that gets a copy, under its own aws/secretsmanager key; may be given several times.
    #[arg(long, value_name = "REGION", value_parser = names::region)]
    pub replica: Vec<String>,
    /// Let this function rotate the secret, on the schedule and not at once. Its role must have access to the new secret.
    #[arg(long, value_name = "NAME-OR-ARN", allow_hyphen_values = true, value_parser = names::any)]
    pub function: Option<String>,
    /// When it rotates, with --function: rate() of 4 hours or more, or cron() on the hour, in UTC.
    #[arg(
        long,
        value_name = "EXPRESSION",
        default_value = "rate(30 days)",
        value_parser = schedule::expression,
        requires = "function"
    )]
    pub schedule: String,
    /// A PEM file of roots to trust for the database, in addition to RDS's and the public ones. Default: TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The tools that make a secret.
struct Tools<'a> {
    arguments: &'a InitArguments,
    region: String,
    client: Client,
    logins: Logins,
    shell: Shell,
}

/// Finds what exists, asks, makes what is missing, and prints the result.
///
/// # Errors
///
/// Something prevents it, and nothing was changed. Or it was not finished, and the error says what was made.
pub async fn run(
    configuration: &SdkConfig,
    arguments: InitArguments,
    given: &AwsArguments,
) -> Result<ExitCode, Error> {
    let ca_file = login::ca_file(arguments.ca_file.as_ref());
    let tools = Tools {
        client: Client::new(configuration),
        logins: Logins::new(ca_file, None)?,
        shell: Shell::new(&arguments.name, arguments.ca_file.as_deref(), given),
        region: configuration
            .region()
            .map(ToString::to_string)
            .unwrap_or_default(),
        arguments: &arguments,
    };
    let name = &arguments.name;
    let looking = async {
        let wanted = Wanted::read(&tools).await?;
        let found = found::look(&tools, &wanted).await?;
        function::look(&tools, &wanted, &found, configuration).await?;
        Ok::<_, Error>((wanted, found))
    };
    let what = || format!("looking at what exists of {name}");
    let (wanted, found) = heartbeat::during(what, looking).await?;
    let steps = found.steps(&tools, &wanted);
    if !steps.is_empty() {
        let about = format!(
            "init {name} in {}: {}",
            place::text(&tools, &wanted, &found),
            steps.join("; ")
        );
        confirm(&about, "Do that now?", arguments.yes)?;
    }
    let report = Report::new(name, arguments.json);
    let what = || format!("making what is missing of {name}");
    let made = heartbeat::during(what, make::make(&tools, &wanted, found, &report)).await;
    tools.logins.postgres().disconnect().await;
    report.end(&made?)?;
    Ok(ExitCode::SUCCESS)
}

/// The server that changes its roles, for messages.
fn server(document: &Document) -> String {
    document.for_rotation().server()
}
