//! The administrator: its secret, its login, and each right that it lacks.

use aws_sdk_secretsmanager::Client;
use secret_rotation::{
    document::{Document, ENGINES},
    engine::{
        EngineError, Obstacle,
        postgres::{Postgres, Session},
    },
};

use super::{
    finding::{Command, Cure, Verdict},
    logins::store_what_the_database_has,
    shell::Shell,
};
use crate::{
    aws::{self, explain},
    secrets::text,
};

/// Reads the administrator's secret.
///
/// # Errors
///
/// What is wrong with it.
pub(super) async fn read(
    client: &Client,
    secret: &str,
    rotated: &Document,
) -> Result<Document, Verdict> {
    let value = client.get_secret_value().secret_id(secret).send().await;
    let value = value.map_err(
        |error| match explain("secretsmanager:GetSecretValue", error) {
            aws::Error::Absent { .. } => Verdict::wrong(
                format!(
                    "the administrator's secret, {secret}, has no AWSCURRENT, or does not exist"
                ),
                Cure::advice(
                    "correct \"masterarn\" in the secret, or take it out for a single user",
                ),
            ),
            error => Verdict::unknown(
                format!("the administrator's secret, {secret}: {error}"),
                Cure::default(),
            ),
        },
    )?;
    let json = text(value.secret_string, value.secret_binary).unwrap_or_default();
    Document::parse_administrator(&json, rotated, ENGINES).map_err(|error| {
        Verdict::wrong(
            format!("the administrator's secret, {secret}, {error}"),
            Cure::default(),
        )
    })
}

/// What stands in a rotation's way. `proven` is a session of the secret's own: without one the administrator's credential is sent
/// to nobody.
pub(super) async fn obstacles(
    client: &Client,
    postgres: &Postgres<'_>,
    proven: Option<&Session>,
    current: &Document,
    shell: &Shell,
) -> Verdict {
    let Some(proven) = proven else {
        return Verdict::skipped(match current.administrator() {
            None => "no version logs in",
            Some(_) => {
                "no version logs in, and the administrator's credential is sent to a proven server only"
            }
        });
    };
    let administrator = match current.administrator() {
        None => None,
        Some(secret) => match read(client, secret, current).await {
            Ok(administrator) => Some((secret, administrator)),
            Err(verdict) => return verdict,
        },
    };
    let credential = administrator.as_ref().map(|(_, document)| document);
    match (
        postgres.obstacles(proven, credential, current).await,
        administrator,
    ) {
        (Ok(found), None) => {
            let user = current.username();
            verdict(&found, &format!("none: {user} changes its own password"))
        }
        (Ok(found), Some((_, administrator))) => {
            let user = administrator.username();
            let what =
                format!("{user} logs in and has every right that rotation and revocation need");
            verdict(&found, &what)
        }
        (Err(EngineError::AdministratorRejected { user, .. }), Some((secret, administrator))) => {
            let what =
                format!("the server rejects the administrator {user} and its password (28P01)");
            Verdict::wrong(what, rejected(client, secret, &administrator, shell).await)
        }
        (Err(error), _) => Verdict::of(&error),
    }
}

fn verdict(found: &[Obstacle], complete: &str) -> Verdict {
    let stops: Vec<_> = found.iter().filter(|found| found.stops).collect();
    let shown = match stops.is_empty() {
        true => found.iter().collect(),
        false => stops.clone(),
    };
    if shown.is_empty() {
        return Verdict::ok(complete);
    }
    let what: Vec<_> = shown.iter().map(|found| found.what.as_str()).collect();
    let advice: Vec<_> = shown.iter().map(|found| found.advice).collect();
    let sql = shown.iter().flat_map(|found| &found.sql);
    let cure = sql.fold(Cure::advice(advice.join("; ")), |cure, sql| {
        cure.command(Command::Psql(format!("{sql};")))
    });
    match stops.is_empty() {
        true => Verdict::warning(what.join("; "), cure),
        false => Verdict::wrong(what.join("; "), cure),
    }
}

async fn rejected(client: &Client, secret: &str, administrator: &Document, shell: &Shell) -> Cure {
    let described = client.describe_secret().secret_id(secret).send().await;
    let owner = described
        .ok()
        .and_then(|described| described.owning_service);
    match owner {
        Some(owner) => {
            let advice =
                format!("{owner} manages that secret, and gives the administrator a new password:");
            let rotate = ["secretsmanager", "rotate-secret", "--secret-id", secret];
            Cure::advice(advice).command(shell.aws(&rotate))
        }
        None => store_what_the_database_has(administrator, secret, shell),
    }
}
