//! Calls the services, as few times as possible.
//!
//! ListSecrets returns most data, with 100 secrets per call. Only missing data needs one call per secret.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    types::{SecretListEntry, SecretVersionsListEntry},
};
use futures_util::{
    StreamExt, TryStreamExt,
    future::ready,
    stream::{self, TryChunksError},
};

use super::{
    StatusArguments,
    kept::{Keeper, Kept, Report},
    secret::{Field, Secret},
};
use crate::{
    aws::{Error, explain},
    log::Log,
    pace::AT_ONCE,
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
    let now = SystemTime::now();
    let (mut kept, values_read) = list(&client, arguments, now).await?;
    let mut whole: Vec<&mut Secret> = kept.iter_mut().filter_map(Kept::whole).collect();
    // a denied or failed call must not hide the rest
    let versions_read = versions(&client, &mut whole).await;
    for secret in &mut whole {
        secret.judge(arguments.stuck_after, now);
    }
    let log_read = last_errors(configuration, &mut whole, now).await;
    let notes = [versions_read, values_read, log_read].into_iter();
    let notes = notes.filter_map(|read| read.err().map(|error| error.to_string()));

    // the names differ, so no two keys are equal
    kept.sort_unstable_by(|a, b| a.urgency().cmp(&b.urgency()));
    let of = kept.len();
    kept.retain(|secret| arguments.shows(secret.state()));
    Ok(Report {
        secrets: kept,
        of,
        notes: notes.collect(),
        values: !arguments.no_values,
        now,
    })
}

/// Lists the secrets, and meanwhile reads their values. Also returns the first error of a value that cannot be read.
async fn list(
    client: &Client,
    arguments: &StatusArguments,
    now: SystemTime,
) -> Result<(Vec<Kept>, Result<(), Error>), Error> {
    let chosen = |secret: SecretListEntry| {
        let chosen = secrets::rotates(&secret) && secrets::is_named(&arguments.name, &secret);
        chosen.then(|| Secret::new(secret))
    };
    let listed = secrets::listed(client, &arguments.tag);
    let secrets = if arguments.name.is_empty() {
        let secrets = listed.try_filter_map(|secret| ready(Ok(chosen(secret))));
        secrets.left_stream()
    } else {
        // names are checked against the whole list, before any value is read
        let listed: Vec<_> = listed.try_collect().await?;
        secrets::check_named(client, &arguments.name, &listed)?;
        let secrets = listed.into_iter().filter_map(chosen);
        stream::iter(secrets).map(Ok).right_stream()
    };
    let (mut kept, mut keeper, mut values_read) = (Vec::new(), Keeper::default(), Ok(()));
    let batches = secrets
        .try_chunks(BATCH)
        .map_err(|TryChunksError(_, error)| error);
    let batches = batches.map_ok(async |mut secrets| {
        let read = match arguments.no_values {
            true => Ok(()),
            false => values(client, &mut secrets, now).await,
        };
        Ok((secrets, read))
    });
    let mut batches = pin!(batches.try_buffered(AT_ONCE));
    while let Some((secrets, read)) = batches.try_next().await? {
        values_read = values_read.and(read);
        kept.extend(secrets.into_iter().map(|mut secret| {
            secret.judge(arguments.stuck_after, now);
            keeper.keep(secret)
        }));
    }
    Ok((kept, values_read))
}

/// Since when AWSCURRENT and AWSPENDING exist, if the list does not show it.
async fn versions(client: &Client, secrets: &mut [&mut Secret]) -> Result<(), Error> {
    // an upper bound until the call below: staging a version changes the secret
    for secret in secrets.iter_mut().filter(|secret| secret.pending.is_some()) {
        secret.pending_since = secret.changed;
    }
    // first all as unknown: the first error stops the calls below
    for secret in secrets.iter_mut().filter(|secret| secret.is_unclear()) {
        secret.unknown.insert(Field::CurrentSince);
    }
    let unclear = secrets.iter_mut().filter(|secret| secret.is_unclear());
    stream::iter(unclear)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |secret| {
            async move {
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
                secret.unknown.remove(Field::CurrentSince);
                Ok(())
            }
        })
        .await
}

/// Strategy and overlap from the values of up to 20 secrets, in one call.
///
/// Returns the first error of a value that cannot be read.
async fn values(client: &Client, secrets: &mut [Secret], now: SystemTime) -> Result<(), Error> {
    let arns = secrets.iter().map(|secret| secret.arn.clone()).collect();
    let (outlines, read) = batch_of(client, arns).await;
    for secret in secrets {
        let Some(outline) = outlines.get(&secret.arn) else {
            continue;
        };
        secret.unknown.remove(Field::Strategy);
        secret.unknown.remove(Field::OverlapUntil);
        let Some(outline) = outline else {
            continue;
        };
        secret.strategy = Some(outline.strategy);
        let window = outline.overlap.filter(|_| secret.has_previous);
        secret.overlap_until = window
            .zip(secret.rotated)
            .and_then(|(window, rotated)| overlap_until(window, rotated, now));
    }
    read
}

/// The values by ARN, and why others could not be read. A value that is not a JSON object has no strategy.
async fn batch_of(
    client: &Client,
    arns: Vec<String>,
) -> (HashMap<String, Option<Outline>>, Result<(), Error>) {
    let mut outlines = HashMap::new();
    let answer = client.batch_get_secret_value();
    let answer = answer.set_secret_id_list(Some(arns)).send().await;
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
    secrets: &mut [&mut Secret],
    now: SystemTime,
) -> Result<(), Error> {
    let mut of_interest: BTreeMap<String, HashMap<String, usize>> = BTreeMap::new();
    for (place, secret) in secrets.iter().enumerate() {
        if secret.is_of_interest() {
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
