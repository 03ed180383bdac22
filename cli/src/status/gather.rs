//! Calls the services, as few times as possible.
//!
//! ListSecrets returns most data, with 100 secrets per call. Only missing data needs one call per secret.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{Client, types::SecretVersionsListEntry};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    StatusArguments,
    judge::State,
    secret::{Field, Report, Secret},
};
use crate::{
    aws::{Error, explain},
    log::Log,
    pace::{AT_ONCE, Pace},
    secrets::{self, CURRENT, Outline, overlap_until, text, time},
};

/// Secrets in one call of BatchGetSecretValue (quota).
const BATCH: usize = 20;
/// How far back to read the log: an older failure is over, or has happened again.
const ERRORS_OF: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) async fn gather(
    configuration: &SdkConfig,
    arguments: &StatusArguments,
) -> Result<Report, Error> {
    let client = Client::new(configuration);
    let mut listed = Vec::new();
    let secrets = secrets::every(&client, &arguments.tag, |secret| {
        // check names against the whole list
        if !arguments.name.is_empty() {
            listed.push(secret.clone());
        }
        let is_chosen = secrets::rotates(&secret) && secrets::is_named(&arguments.name, &secret);
        is_chosen.then(|| Secret::new(secret))
    });
    let mut secrets = secrets.await?;
    secrets::check_named(&client, &arguments.name, &listed)?;
    let now = SystemTime::now();
    // a denied or failed call must not hide the rest
    let mut notes = Vec::new();
    let mut note =
        |found: Result<(), Error>| notes.extend(found.err().map(|error| error.to_string()));

    note(versions(&client, &mut secrets).await);
    for secret in &mut secrets {
        secret
            .unknown
            .extend([Field::Strategy, Field::OverlapUntil]);
    }
    if !arguments.no_values {
        note(values(&client, &mut secrets, now).await);
    }
    for secret in &mut secrets {
        secret.judge(arguments.stuck_after, now);
    }
    note(last_errors(configuration, &mut secrets, now).await);
    secrets.sort_by(|a, b| a.urgency().cmp(&b.urgency()));
    let of = secrets.len();
    secrets.retain(|secret| arguments.shows(secret.state));
    Ok(Report {
        secrets,
        of,
        notes,
        values: !arguments.no_values,
        now,
    })
}

/// Since when AWSCURRENT and AWSPENDING exist, if the list does not show it.
async fn versions(client: &Client, secrets: &mut [Secret]) -> Result<(), Error> {
    // an upper bound until the call below: staging a version changes the secret
    for secret in secrets.iter_mut().filter(|secret| secret.pending.is_some()) {
        secret.pending_since = secret.changed;
    }
    // first all as unknown: the first error stops the calls below
    for secret in secrets.iter_mut().filter(|secret| secret.is_unclear()) {
        secret.unknown.insert(Field::CurrentSince);
    }
    let pace = Pace::of_secrets_manager();
    let unclear = secrets.iter_mut().filter(|secret| secret.is_unclear());
    stream::iter(unclear)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |secret| {
            let pace = &pace;
            async move {
                pace.turn().await;
                let versions = client
                    .list_secret_version_ids()
                    .secret_id(&secret.arn)
                    .send()
                    .await
                    .map_err(|error| explain("secretsmanager:ListSecretVersionIds", error))?;
                let created = |wanted: &dyn Fn(&SecretVersionsListEntry) -> bool| {
                    let version = versions.versions().iter().find(|version| wanted(version));
                    version.and_then(|version| time(version.created_date()))
                };
                let current = created(&|version| {
                    version
                        .version_stages()
                        .iter()
                        .any(|stage| stage == CURRENT)
                });
                secret.current_since = match (current, secret.rotated) {
                    // a rotation stores its version shortly before the version becomes current
                    (Some(current), Some(rotated)) => Some(current.max(rotated)),
                    (current, rotated) => current.or(rotated).or(secret.current_since),
                };
                let pending = secret.pending.as_deref();
                let pending = pending
                    .and_then(|pending| created(&|version| version.version_id() == Some(pending)));
                secret.pending_since = pending.or(secret.pending_since);
                secret.unknown.remove(&Field::CurrentSince);
                Ok(())
            }
        })
        .await
}

/// Strategy and overlap from the values, with 20 secrets per call.
///
/// Returns the first error of a value that cannot be read.
async fn values(client: &Client, secrets: &mut [Secret], now: SystemTime) -> Result<(), Error> {
    let arns: Vec<String> = secrets.iter().map(|secret| secret.arn.clone()).collect();
    let pace = Pace::of_batches();
    let batches = arns.chunks(BATCH).map(|batch| async {
        pace.turn().await;
        batch_of(client, batch).await
    });
    let batches: Vec<_> = stream::iter(batches).buffered(AT_ONCE).collect().await;
    let mut first_error = Ok(());
    for (batch, secrets) in batches.into_iter().zip(secrets.chunks_mut(BATCH)) {
        let (outlines, read) = batch;
        first_error = first_error.and(read);
        for secret in secrets {
            let Some(outline) = outlines.get(&secret.arn) else {
                continue;
            };
            secret.unknown.remove(&Field::Strategy);
            secret.unknown.remove(&Field::OverlapUntil);
            let Some(outline) = outline else {
                continue;
            };
            secret.strategy = Some(outline.strategy);
            let window = outline.overlap.filter(|_| secret.has_previous);
            secret.overlap_until = window
                .zip(secret.rotated)
                .and_then(|(window, rotated)| overlap_until(window, rotated, now));
        }
    }
    first_error
}

/// The values by ARN, and why others could not be read. A value that is not a JSON object has no strategy.
async fn batch_of(
    client: &Client,
    arns: &[String],
) -> (HashMap<String, Option<Outline>>, Result<(), Error>) {
    let mut outlines = HashMap::new();
    let answer = client.batch_get_secret_value();
    let answer = answer.set_secret_id_list(Some(arns.to_vec())).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let error = explain("secretsmanager:BatchGetSecretValue", error);
            return (outlines, Err(error));
        }
    };
    let refused = answer.errors().first().map(|error| Error::Refused {
        action: "secretsmanager:GetSecretValue",
        code: error.error_code().unwrap_or("an unknown error").to_owned(),
        message: error.message().unwrap_or("no message").to_owned(),
    });
    for value in answer.secret_values.unwrap_or_default() {
        let text = text(value.secret_string, value.secret_binary);
        if let Some(arn) = value.arn {
            outlines.insert(arn, text.as_ref().and_then(Outline::read));
        }
    }
    (outlines, refused.map_or(Ok(()), Err))
}

/// From the functions' logs: why rotations failed, and which overlaps were revoked. Skips the log of a function if all its secrets
/// are ok.
async fn last_errors(
    configuration: &SdkConfig,
    secrets: &mut [Secret],
    now: SystemTime,
) -> Result<(), Error> {
    let mut of_interest: BTreeMap<String, HashMap<String, usize>> = BTreeMap::new();
    for (place, secret) in secrets.iter().enumerate() {
        let ails = matches!(
            secret.state,
            State::Stuck | State::Overdue | State::Rotating
        );
        if ails || secret.overlap_until.is_some() {
            let secrets = of_interest.entry(secret.function.clone()).or_default();
            secrets.insert(secret.arn.clone(), place);
        }
    }
    let since = now.checked_sub(ERRORS_OF).unwrap_or(now);
    let pattern = r#"{ $.outcome = "failed" || $.step = "revokeSecret" }"#;
    let logs = of_interest
        .into_iter()
        .map(|(function, places)| async move {
            let log = Log::of_function(configuration, &function);
            (places, log.lines(pattern, since).await)
        });
    let mut logs = stream::iter(logs).buffer_unordered(AT_ONCE);
    let mut first_error = Ok(());
    while let Some(log) = logs.next().await {
        let (places, lines) = log;
        let lines = match lines {
            Ok(lines) => lines,
            Err(error) => {
                for place in places.into_values() {
                    secrets[place].unknown.insert(Field::LastError);
                }
                first_error = first_error.and(Err(error));
                continue;
            }
        };
        for line in lines {
            if let Some(&place) = places.get(&line.secret) {
                secrets[place].hear(line);
            }
        }
    }
    first_error
}
