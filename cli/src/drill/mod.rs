//! `rotatectl drill`: a rehearsal. An application works through `rotating-secret` while its secret rotates, and what it
//! saw is told in a table and in a report of one file.
//!
//! `rehearse` is the drill of one secret, `rotation` has it rotate and marks what is seen of that, `report` draws;
//! the application, the rehearsal's record and the local world are the crate `local`'s.

mod error;
mod progress;
mod rehearse;
mod report;
mod rotation;
mod summary;

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use console::style;
use dialoguer::Confirm;
use local::{
    application::Access,
    demo, executable,
    postgres::Settings,
    rehearsal::Rehearsal,
    world::{Options, World},
};

pub use self::error::Error;
use crate::{
    arguments::AwsArguments,
    aws,
    terminal::{print, print_json, tell},
};

/// What to rehearse, and how.
#[derive(Debug, Args)]
pub struct DrillArguments {
    /// The secret's name or ARN. Its real password changes.
    #[arg(required_unless_present = "local")]
    pub secret: Option<String>,
    /// In a world on this machine, which is taken down afterwards: a PostgreSQL, a Secrets Manager and the real function.
    /// Without SECRET it shows all that there is: a rotation of each strategy, a revocation, and ten rotations each beside
    /// an application, compared with a plain cache.
    #[arg(long)]
    pub local: bool,
    /// The rotation function's executable for --local; without it the one of this workspace is built.
    #[arg(long, value_name = "FILE", requires = "local")]
    pub function: Option<PathBuf>,
    /// How long the application works, beside the time that the rotations take.
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// How often the secret rotates meanwhile: once unless told, and ten times where --local shows all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rotations: Option<u16>,
    /// Workers for each way to connect: a connection per request, deadpool-postgres, bb8, sqlx.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// From one request of a worker to its next.
    #[arg(long, value_name = "SPAN", default_value = "100ms", value_parser = humantime::parse_duration)]
    pub pause: Duration,
    /// The lifetime that rotating-secret is given: what your application gives it.
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// How long a rotation may take.
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// The root of the database server's certificate, in PEM, where it is neither RDS's nor a public one.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where the report is written.
    #[arg(long, value_name = "FILE", default_value = "drill.html")]
    pub report: PathBuf,
    /// Don't ask before a real password is changed.
    #[arg(long)]
    pub yes: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Rehearses, prints what came of it, and writes the report.
///
/// # Errors
///
/// It could not be rehearsed. That requests failed is the exit code 2.
pub async fn run(aws: &AwsArguments, arguments: &DrillArguments) -> Result<ExitCode, Error> {
    report::check_writable(&arguments.report)?;
    let rehearsals = match (&arguments.secret, arguments.local) {
        (Some(secret), true) => {
            let world = World::start(options(arguments)?).await?;
            vec![one(world.access(secret), world.endpoint(), arguments).await?]
        }
        (Some(secret), false) => {
            let configuration = aws::configuration(aws).await?;
            let access = Access {
                service: aws_sdk_secretsmanager::Client::new(&configuration),
                secret: secret.clone(),
                ca_file: arguments.ca_file.clone(),
                database_ahead: 0,
            };
            let region = configuration.region().map(ToString::to_string);
            let place = configuration.endpoint_url().map(str::to_owned).or(region);
            let place = place.unwrap_or_default();
            confirm(secret, &place, arguments)?;
            vec![one(access, &place, arguments).await?]
        }
        (None, _) => all(arguments).await?,
    };
    report::write(&arguments.report, &rehearsals)?;
    let passed = rehearsals.iter().all(Rehearsal::passed);
    if arguments.json {
        print_json(&summary::Summary::of(&rehearsals, &arguments.report))?;
    } else {
        print(&format!("\nreport: {}", absolute(&arguments.report)))?;
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// One secret, with its table.
async fn one(access: Access, place: &str, arguments: &DrillArguments) -> Result<Rehearsal, Error> {
    // a future of many nested ones: boxed, or its type grows too deep for the compiler
    let rehearsal = Box::pin(rehearse::rehearse(access, place, arguments)).await?;
    if !arguments.json {
        print(&rehearsal.table().to_string())?;
        print(
            "  changed over: from AWSCURRENT's move until the last worker used the new version; median, longest",
        )?;
        let mark = if rehearsal.passed() {
            style("✔").green()
        } else {
            style("✘").red()
        };
        print(&format!("{mark} {}", summary::verdict(&rehearsal)))?;
    }
    Ok(rehearsal)
}

/// What `make demo` shows.
async fn all(arguments: &DrillArguments) -> Result<Vec<Rehearsal>, Error> {
    let mut options = options(arguments)?;
    let window = ("OVERLAP_WINDOW".to_owned(), demo::WINDOW.to_owned());
    options.function_env.push(window);
    let world = World::start(options).await?;
    let rotations = arguments.rotations.map_or(demo::ROTATIONS, usize::from);
    let rehearsals = if arguments.json {
        demo::run(&world, &mut io::sink(), false, rotations).await
    } else {
        let colors = console::colors_enabled();
        demo::run(&world, &mut io::stdout(), colors, rotations).await
    };
    Ok(rehearsals?)
}

fn options(arguments: &DrillArguments) -> Result<Options, Error> {
    let function = executable::function(arguments.function.clone())?;
    Ok(Options::new(function).own_postgres(Settings::default()))
}

fn confirm(secret: &str, place: &str, arguments: &DrillArguments) -> Result<(), Error> {
    if arguments.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Error::NotConfirmed);
    }
    let times = match arguments.rotations.unwrap_or(1) {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    tell(&format!(
        "This rotates {secret} in {place} {times}: whoever uses its password has to follow."
    ));
    let confirmed = Confirm::new()
        .with_prompt("Rotate it?")
        .default(false)
        .interact();
    match confirmed.map_err(|dialoguer::Error::IO(error)| error)? {
        true => Ok(()),
        false => Err(Error::Declined),
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
