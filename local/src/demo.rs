//! What `make demo` shows: a password rotates, and a person sees it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use owo_colors::{OwoColorize, Style};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    postgres::{self, Logins},
    secrets_manager::{Rotation, ServiceError, StepRun},
    world::World,
};

const ROTATIONS: usize = 3;

/// Rotates the single user's secret three times and writes what happened. No secret is written.
///
/// # Errors
///
/// A rotation fails, or what has to be true after it is not.
pub async fn run(world: &World, out: &mut impl Write, colors: bool) -> Result<(), Error> {
    let mut show = Show { out, colors };
    let postgres = world.postgres();
    let server: String = postgres
        .superuser_client()
        .await?
        .query_one("SHOW server_version", &[])
        .await
        .map_err(postgres::Error::from)?
        .get(0);
    show.line(&format!(
        "PostgreSQL {server} on {}:{}, TLS, scram-sha-256",
        postgres.host(),
        postgres.port()
    ))?;
    show.line(&format!(
        "Secrets Manager and Lambda on {}",
        world.endpoint()
    ))?;
    for number in 1..=ROTATIONS {
        show.blank()?;
        show.heading(&format!(
            "Rotation {number} of {ROTATIONS}: RotateSecret {}",
            world.single_user()
        ))?;
        rotate(world, &mut show).await?;
    }
    show.blank()?;
    show.line("Single user has no overlap: between setSecret and finishSecret AWSCURRENT does not log in, AWSPENDING does.")
}

async fn rotate(world: &World, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    let service = world.secrets_manager();
    let secret = world.single_user();
    let old = password(world).await?;
    let (calls_before, logins_before) = (
        service.calls().len(),
        world.postgres().logins(world.role())?,
    );
    let labels_before = labels(
        &service
            .call("DescribeSecret", json!({ "SecretId": secret }))
            .await?,
    );

    let rotation = service.rotate(secret).await?;

    let calls = service.calls().len() - calls_before;
    let logins = world.postgres().logins(world.role())?;
    show.table(&steps(&rotation))?;
    if !rotation.succeeded {
        return Err(Error::NotRotated(failure(&rotation)));
    }
    let labels_after = labels(
        &service
            .call("DescribeSecret", json!({ "SecretId": secret }))
            .await?,
    );
    show.line(&format!("  labels before  {}", in_words(&labels_before)))?;
    show.line(&format!("  labels after   {}", in_words(&labels_after)))?;
    let Logins { accepted, rejected } = logins;
    show.line(&format!(
        "  cost           {calls} API calls, {} logins, {} of them rejected",
        accepted + rejected - logins_before.accepted - logins_before.rejected,
        rejected - logins_before.rejected,
    ))?;

    let new = password(world).await?;
    show.check("the new password logs in", logs_in(world, &new).await?)?;
    show.check(
        "the old password is refused (28P01)",
        !logs_in(world, &old).await?,
    )
}

/// The steps of the last attempt, one row each.
fn steps(rotation: &Rotation) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["step", "outcome", "ms", "API calls", "logins"]);
    for column in 2..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for StepRun { step, invoked, .. } in rotation.attempts.iter().flat_map(|attempt| &attempt.steps)
    {
        let logged = invoked
            .log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line.get("api_calls").is_some())
            .unwrap_or_default();
        let outcome = logged["outcome"].as_str().unwrap_or("no answer");
        table.add_row([
            step.clone(),
            outcome.to_owned(),
            format!("{:.1}", invoked.took.as_secs_f64() * 1000.0),
            logged["api_calls"].to_string(),
            logged["connections"].to_string(),
        ]);
    }
    table
}

fn failure(rotation: &Rotation) -> String {
    let steps = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    let failed = steps
        .rev()
        .find_map(|run| run.invoked.outcome.as_ref().err());
    failed.map_or_else(|| "no step failed".to_owned(), ToString::to_string)
}

fn labels(described: &Value) -> BTreeMap<String, Vec<String>> {
    serde_json::from_value(described["VersionIdsToStages"].clone()).unwrap_or_default()
}

/// Versions by the first characters of their ids, the current one first.
fn in_words(labels: &BTreeMap<String, Vec<String>>) -> String {
    let mut versions: Vec<String> = labels
        .iter()
        .map(|(id, labels)| format!("{} {}", labels.join("+"), &id[..id.len().min(8)]))
        .collect();
    versions.sort();
    versions.join("  ")
}

async fn password(world: &World) -> Result<SecretString, Error> {
    let input = json!({ "SecretId": world.single_user(), "VersionStage": "AWSCURRENT" });
    let value = world
        .secrets_manager()
        .call("GetSecretValue", input)
        .await?;
    let text = value["SecretString"].as_str().unwrap_or_default();
    let document: Value = serde_json::from_str(text).map_err(io::Error::from)?;
    Ok(document["password"].as_str().unwrap_or_default().into())
}

/// False only when the server said so.
async fn logs_in(world: &World, password: &SecretString) -> Result<bool, Error> {
    match world
        .postgres()
        .connect(world.role(), password.expose_secret(), world.dbname())
        .await
    {
        Ok(_) => Ok(true),
        Err(postgres::Error::Refused(error))
            if error.code().is_some_and(|code| code.code() == "28P01") =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the lines go, and how they look.
struct Show<'a, W> {
    out: &'a mut W,
    colors: bool,
}

impl<W: Write> Show<'_, W> {
    fn line(&mut self, text: &str) -> Result<(), Error> {
        Ok(writeln!(self.out, "{text}")?)
    }

    fn blank(&mut self) -> Result<(), Error> {
        self.line("")
    }

    fn heading(&mut self, text: &str) -> Result<(), Error> {
        let text = self.styled(text, Style::new().bold());
        self.line(&text)
    }

    fn table(&mut self, table: &Table) -> Result<(), Error> {
        self.line(&table.to_string())
    }

    /// A line that says what is true, or an error if it is not.
    fn check(&mut self, what: &'static str, holds: bool) -> Result<(), Error> {
        if !holds {
            return Err(Error::NotTrue(what));
        }
        let mark = self.styled("✔", Style::new().green());
        self.line(&format!("  {mark} {what}"))
    }

    fn styled(&self, text: &str, style: Style) -> String {
        if self.colors {
            text.style(style).to_string()
        } else {
            text.to_owned()
        }
    }
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rotation failed.
    #[error("the rotation failed: {0}")]
    NotRotated(String),
    /// What has to be true after a rotation is not.
    #[error("after the rotation it is not true that {0}: this is a fault of the function")]
    NotTrue(&'static str),
    /// Secrets Manager refused.
    #[error(transparent)]
    Secrets(#[from] ServiceError),
    /// The database did not answer.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The lines could not be written.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}
