//! The administrator: its secret, its login, and the rights that it lacks.

use aws_sdk_secretsmanager::Client;
use secret_rotation::{
    document::{Document, ENGINES},
    engine::{
        EngineError, Obstacle,
        postgres::{Postgres, Session},
    },
    settings::Administrators,
};

use super::{
    finding::{Cure, Verdict},
    logins::store_what_the_database_has,
};
use crate::{
    aws::{self, explain},
    secrets::text,
    shell::{Command, Shell},
};

/// Reads the administrator's secret.
///
/// # Errors
///
/// The verdict, if the secret cannot be used.
pub(super) async fn read(
    client: &Client,
    secret: &str,
    rotated: &Document,
    listed: &Administrators,
) -> Result<Document, Verdict> {
    let value = client.get_secret_value().secret_id(secret).send().await;
    let value = value.map_err(
        |error| match explain("secretsmanager:GetSecretValue", error) {
            aws::Error::Absent { .. } => Verdict::wrong(
                format!(
                    "the administrator's secret, {secret}, has no AWSCURRENT, or does not exist"
                ),
                Cure::advice("correct \"masterarn\" in the secret, or remove it for a single user"),
            ),
            error => Verdict::unknown(
                format!("the administrator's secret, {secret}: {error}"),
                Cure::default(),
            ),
        },
    )?;
    let arn = value.arn.as_deref().unwrap_or(secret);
    if !listed.admit(arn, rotated) {
        let what = format!(
            "\"masterarn\" names {arn}, which is not in the function's ADMINISTRATOR_SECRETS"
        );
        let advice = "correct \"masterarn\", or list that secret there (AdministratorSecretArns of the deployment)";
        return Err(Verdict::wrong(what, Cure::advice(advice)));
    }
    let json = text(value.secret_string, value.secret_binary).unwrap_or_default();
    Document::parse_administrator(&json, rotated, ENGINES).map_err(|error| {
        Verdict::wrong(
            format!("the administrator's secret, {secret}, {error}"),
            Cure::default(),
        )
    })
}

/// The rights that the administrator lacks, and faults of the roles that stop a rotation. `proven` is a session with a version of this
/// secret. Without it, the administrator's credential is not sent to the server.
pub(super) async fn obstacles(
    client: &Client,
    postgres: &Postgres<'_>,
    proven: Option<&Session>,
    current: &Document,
    listed: &Administrators,
    shell: &Shell,
) -> [Verdict; 2] {
    let not_asked = |verdict| {
        [
            verdict,
            Verdict::skipped("the administrator does not log in"),
        ]
    };
    let Some(proven) = proven else {
        let why = match current.administrator() {
            None => "no version logs in",
            Some(_) => {
                "no version logs in, and the administrator's credential is sent only to a proven server"
            }
        };
        return [
            Verdict::skipped(why),
            Verdict::skipped("no version logs in"),
        ];
    };
    let administrator = match current.administrator() {
        None => None,
        Some(secret) => match read(client, secret, current, listed).await {
            Ok(administrator) => Some((secret, administrator)),
            Err(verdict) => return not_asked(verdict),
        },
    };
    let credential = administrator.as_ref().map(|(_, document)| document);
    let found = match postgres.obstacles(proven, credential, current).await {
        Ok(found) => found,
        Err(EngineError::AdministratorRejected { user, .. }) => {
            let what =
                format!("the server rejects the administrator {user} and its password (28P01)");
            let cure = match &administrator {
                Some((secret, document)) => rejected(client, secret, document, shell).await,
                None => Cure::default(),
            };
            return not_asked(Verdict::wrong(what, cure));
        }
        Err(
            error @ (EngineError::NotAsExpected { .. }
            | EngineError::VerifyFailed { .. }
            | EngineError::Pooler { .. }),
        ) => {
            let why = "another check found a fault of the roles, see below";
            return [Verdict::skipped(why), Verdict::of(&error)];
        }
        Err(error) => return not_asked(Verdict::of(&error)),
    };
    let of_rights = |found: &Obstacle| found.kind.ends_with("Forbidden");
    let (rights, roles): (Vec<_>, Vec<_>) = found.into_iter().partition(of_rights);
    let complete = match credential {
        None => format!("none: {} changes its own password", current.username()),
        Some(document) => format!(
            "{} logs in and has every right that rotation and revocation need",
            document.username()
        ),
    };
    [
        verdict(&rights, &complete),
        verdict(&roles, "nothing about them stops a rotation"),
    ]
}

/// Everything that stops a rotation. If nothing does, everything that the rotation tolerates.
fn verdict(found: &[Obstacle], complete: &str) -> Verdict {
    let stops = found.iter().any(|found| found.stops);
    let shown: Vec<_> = found.iter().filter(|found| found.stops == stops).collect();
    if shown.is_empty() {
        return Verdict::ok(complete);
    }
    let what: Vec<_> = shown.iter().map(|found| found.what.as_str()).collect();
    let mut advice: Vec<_> = shown.iter().map(|found| found.advice).collect();
    advice.dedup();
    let sql = shown.iter().flat_map(|found| &found.sql);
    let cure = sql.fold(Cure::advice(advice.join("; ")), |cure, sql| {
        cure.command(Command::Psql(format!("{sql};")))
    });
    match stops {
        false => Verdict::warning(what.join("; "), cure),
        true => Verdict::wrong(what.join("; "), cure),
    }
}

async fn rejected(client: &Client, secret: &str, administrator: &Document, shell: &Shell) -> Cure {
    let described = client.describe_secret().secret_id(secret).send().await;
    let owner = described
        .ok()
        .and_then(|described| described.owning_service);
    match owner {
        Some(owner) => {
            let advice = format!(
                "{owner} manages that secret, and can set a new password for the administrator:"
            );
            let rotate = ["secretsmanager", "rotate-secret", "--secret-id", secret];
            Cure::advice(advice).command(shell.aws(&rotate))
        }
        None => store_what_the_database_has(administrator, secret, shell),
    }
}
