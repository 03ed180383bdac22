//! The administrator: its secret, its login, and each right that it lacks.

use aws_sdk_secretsmanager::Client;
use secret_rotation::{
    document::{Document, ENGINES},
    engine::{
        EngineError,
        postgres::{Missing, Postgres, Session},
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

/// What the administrator lacks. `proven` is a session of the secret's own: without one the administrator's credential is sent
/// to nobody.
pub(super) async fn rights(
    client: &Client,
    postgres: &Postgres<'_>,
    proven: Option<&Session>,
    current: &Document,
    shell: &Shell,
) -> Verdict {
    let Some(secret) = current.administrator() else {
        return match proven {
            None => Verdict::skipped("no version logs in"),
            Some(session) => match postgres.role_lacks(session).await {
                Ok(missing) => {
                    let user = current.username();
                    lacks(
                        user,
                        &missing,
                        &format!("none: {user} changes its own password"),
                    )
                }
                Err(error) => Verdict::of(&error),
            },
        };
    };
    let Some(proven) = proven else {
        let why = "no version logs in, and the administrator's credential is sent to a proven server only";
        return Verdict::skipped(why);
    };
    let administrator = match read(client, secret, current).await {
        Ok(administrator) => administrator,
        Err(verdict) => return verdict,
    };
    let user = administrator.username();
    match postgres
        .administrator_lacks(proven, &administrator, current)
        .await
    {
        Ok(missing) => {
            let complete =
                format!("{user} logs in and has every right that rotation and revocation need");
            lacks(user, &missing, &complete)
        }
        Err(EngineError::AdministratorRejected { .. }) => {
            let what =
                format!("the server rejects the administrator {user} and its password (28P01)");
            Verdict::wrong(what, rejected(client, secret, &administrator, shell).await)
        }
        Err(error) => Verdict::of(&error),
    }
}

fn lacks(user: &str, missing: &[Missing], complete: &str) -> Verdict {
    if missing.is_empty() {
        return Verdict::ok(complete);
    }
    let actions: Vec<&str> = missing.iter().map(|right| right.action.as_str()).collect();
    let what = format!("{user} may not {}", actions.join(", nor "));
    let cure = missing
        .iter()
        .fold(Cure::advice("as a superuser:"), |cure, right| {
            cure.command(Command::Psql(format!("{};", right.cure)))
        });
    Verdict::wrong(what, cure)
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
