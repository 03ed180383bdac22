//! `make demo`: one rotation step by step, then many rotations without a failed request.

mod any_language;
mod api_key;
mod handover;
mod show;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use local::{
    postgres::{self, Logins},
    secrets_manager::{Rotation, ServiceError, StepRun},
    world::{Options, World},
};
use rotating_secret_document::Fields;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_postgres::{Client, error::SqlState};

use self::show::Show;
use crate::{application, rehearsal::Rehearsal};

/// The overlap window of the demo, as the function's `OVERLAP_WINDOW`: long enough to see, short enough to wait for.
const WINDOW: &str = "2s";

/// How many times `make demo` rotates each secret while an application works.
pub const ROTATIONS: usize = 10;

/// Adds to these options what the demo needs of its world.
pub fn options(options: Options) -> Options {
    let mut options = options.with_key_service();
    let window = ("OVERLAP_WINDOW".to_owned(), WINDOW.to_owned());
    options.function_env.push(window);
    options
}

/// Rotates a secret of each strategy, revokes, rotates `rotations` times while an application works, and prints each result. Prints no
/// secret. Returns one rehearsal for each strategy.
///
/// # Errors
///
/// A rotation fails, or a check after it. A failed request is no error; then the rehearsal has not passed.
pub async fn run(
    world: &World,
    out: &mut impl Write,
    colors: bool,
    rotations: usize,
) -> Result<Vec<Rehearsal>, Error> {
    let mut show = Show { out, colors };
    let postgres = world.postgres();
    show.line(&format!(
        "{} on {}:{}, TLS, scram-sha-256",
        server(world).await?,
        postgres.host(),
        postgres.port()
    ))?;
    show.line(&format!(
        "Secrets Manager and Lambda on {}",
        world.endpoint()
    ))?;
    single_user(world, &mut show).await?;
    alternating_users(world, &mut show).await?;
    revoke(world, &mut show).await?;
    api_key::show(world, &mut show).await?;
    any_language::show(world, &mut show).await?;
    handover::show(world, rotations, &mut show).await
}

/// The database server and its version.
pub async fn server(world: &World) -> Result<String, Error> {
    let client = world.postgres().superuser_client().await?;
    let version = client.query_one("SHOW server_version", &[]).await;
    let version: String = version.map_err(postgres::Error::from)?.get(0);
    Ok(format!("PostgreSQL {version}"))
}

async fn single_user(world: &World, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    let secret = world.single_user();
    show.heading(&format!("Single user: RotateSecret {secret}"))?;
    let old = Credential::current(world, secret).await?;
    rotate(world, secret, show).await?;
    let new = Credential::current(world, secret).await?;
    show.check("the new password logs in", new.logs_in(world).await?)?;
    show.check(
        "the old password is refused (28P01)",
        !old.logs_in(world).await?,
    )?;
    show.line("  No overlap: until finishSecret AWSPENDING logs in, and AWSCURRENT does not.")
}

async fn alternating_users(world: &World, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    let secret = world.alternating_users();
    show.heading(&format!(
        "Alternating users, overlap window {WINDOW}: RotateSecret {secret}"
    ))?;
    let old = Credential::current(world, secret).await?;
    let open_session = old.log_in(world).await?;
    rotate(world, secret, show).await?;
    let new = Credential::current(world, secret).await?;
    show.check("the new user logs in", new.logs_in(world).await?)?;
    show.check(
        "so does the old one: this is the overlap",
        old.logs_in(world).await?,
    )?;
    let superuser = world.postgres().superuser_client().await?;
    let question = "SELECT to_char(rolvaliduntil, 'HH24:MI:SS'), to_char(now(), 'HH24:MI:SS') FROM pg_roles WHERE rolname = $1";
    let row = superuser
        .query_one(question, &[&old.user])
        .await
        .map_err(postgres::Error::from)?;
    let (until, now): (Option<String>, String) = (row.get(0), row.get(1));
    let until = until.ok_or(Error::NotTrue("the old user is bounded"))?;
    show.line(&format!(
        "  pg_roles       {} VALID UNTIL {until}, and it is {now}",
        old.user
    ))?;
    // the server's clock decides when the password ends
    let ended = "SELECT rolvaliduntil < now() FROM pg_roles WHERE rolname = $1";
    while !superuser
        .query_one(ended, &[&old.user])
        .await
        .map_err(postgres::Error::from)?
        .get::<_, bool>(0)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    show.check(
        "after the window PostgreSQL refuses the old password (28P01)",
        !old.logs_in(world).await?,
    )?;
    show.check(
        "a session that it had opened lives on",
        is_alive(&open_session).await,
    )
}

async fn revoke(world: &World, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    let secret = world.alternating_users();
    show.heading(&format!(
        "After a leak: RotateSecret {secret}, then revokeSecret"
    ))?;
    let leaked = Credential::current(world, secret).await?;
    let open_session = leaked.log_in(world).await?;
    rotate(world, secret, show).await?;
    let event = json!({ "Step": "revokeSecret", "SecretId": secret });
    let answer = world
        .function()
        .invoke(event)
        .await
        .outcome
        .map_err(|error| Error::NotRotated(error.to_string()))?;
    let outcome = answer["outcome"].as_str().unwrap_or_default();
    show.line(&format!(
        "  revokeSecret   {outcome}, open sessions ended: {}",
        answer["sessions"]
    ))?;
    show.check(
        "the leaked password is refused at once (28P01)",
        !leaked.logs_in(world).await?,
    )?;
    show.check(
        "the session that it had opened is gone",
        !is_alive(&open_session).await,
    )?;
    let current = Credential::current(world, secret).await?;
    show.check("the current user logs in", current.logs_in(world).await?)
}

/// Rotates, and shows the steps, the labels before and after, and the cost.
async fn rotate(world: &World, secret: &str, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    let service = world.secrets_manager();
    let (calls, logins) = (service.calls().len(), all_logins(world)?);
    let before = labels(
        &service
            .call("DescribeSecret", json!({ "SecretId": secret }))
            .await?,
    );

    let rotation = service.rotate(secret).await?;

    let (calls, after) = (service.calls().len() - calls, all_logins(world)?);
    show.table(&steps(&rotation))?;
    if !rotation.succeeded {
        return Err(Error::NotRotated(failure(&rotation)));
    }
    let described = service
        .call("DescribeSecret", json!({ "SecretId": secret }))
        .await?;
    show.line(&format!("  labels before  {}", in_words(&before)))?;
    show.line(&format!(
        "  labels after   {}",
        in_words(&labels(&described))
    ))?;
    let (accepted, rejected) = (
        after.accepted - logins.accepted,
        after.rejected - logins.rejected,
    );
    show.line(&format!(
        "  cost           {calls} API calls, {} logins, {rejected} of them rejected",
        accepted + rejected
    ))
}

/// The logins of the administrator and of all users of the two secrets.
pub(crate) fn all_logins(world: &World) -> Result<Logins, Error> {
    let clone = format!("{}_clone", world.alternating_role());
    let administrator = format!("admin_of_{}", world.role());
    let mut sum = Logins::default();
    for role in [
        world.role(),
        world.alternating_role(),
        &clone,
        &administrator,
    ] {
        let logins = world.postgres().logins(role)?;
        sum.accepted += logins.accepted;
        sum.rejected += logins.rejected;
    }
    Ok(sum)
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

pub(crate) fn failure(rotation: &Rotation) -> String {
    let steps = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    let failed = steps
        .rev()
        .find_map(|run| run.invoked.outcome.as_ref().err());
    failed.map_or_else(|| "no step failed".to_owned(), ToString::to_string)
}

fn labels(described: &Value) -> BTreeMap<String, Vec<String>> {
    serde_json::from_value(described["VersionIdsToStages"].clone()).unwrap_or_default()
}

/// Each version by the first characters of its id, the current one first.
fn in_words(labels: &BTreeMap<String, Vec<String>>) -> String {
    let mut versions: Vec<String> = labels
        .iter()
        .map(|(id, labels)| format!("{} {}", labels.join("+"), &id[..id.len().min(8)]))
        .collect();
    versions.sort();
    versions.join("  ")
}

/// The document that a client reads.
struct Credential {
    user: String,
    password: SecretString,
}

impl Credential {
    async fn current(world: &World, secret: &str) -> Result<Self, Error> {
        let input = json!({ "SecretId": secret, "VersionStage": "AWSCURRENT" });
        let value = world
            .secrets_manager()
            .call("GetSecretValue", input)
            .await?;
        let text = value["SecretString"].as_str().unwrap_or_default();
        let fields = Fields::read(&text.into()).map_err(io::Error::other)?;
        Ok(Self {
            user: fields.username.unwrap_or_default(),
            password: fields.password.unwrap_or_default(),
        })
    }

    async fn log_in(&self, world: &World) -> Result<Client, postgres::Error> {
        world
            .postgres()
            .connect(&self.user, self.password.expose_secret(), world.dbname())
            .await
    }

    /// False only if the server rejected the login.
    async fn logs_in(&self, world: &World) -> Result<bool, Error> {
        match self.log_in(world).await {
            Ok(_) => Ok(true),
            Err(postgres::Error::Refused(error))
                if error.code() == Some(&SqlState::INVALID_PASSWORD) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn is_alive(session: &Client) -> bool {
    session.simple_query("SELECT 1").await.is_ok()
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rotation failed.
    #[error("the rotation failed: {0}")]
    NotRotated(String),
    /// A check after a rotation failed.
    #[error("this check after the rotation failed: {0}: this is a fault of the function")]
    NotTrue(&'static str),
    /// The application did not start.
    #[error(transparent)]
    Application(#[from] application::Error),
    /// Secrets Manager refused a call.
    #[error(transparent)]
    Secrets(#[from] ServiceError),
    /// The database did not answer.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The lines could not be written.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}
