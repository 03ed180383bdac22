//! The drill of one secret: an application works, and in its midst the secret rotates.

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;

use local::{
    application::{Access, Application, Cache, Connections, Version, Workload},
    rehearsal::{Observed, Rehearsal},
};
use rotating_secret::{
    RotatingSecret,
    postgres::{connect, tls},
    provider::Aws,
};
use serde::Deserialize;

use super::{DrillArguments, Error, progress::Progress, rotation::rotate};
use crate::{rotate::follow::Rotations, secrets::in_flight};

/// A plot shows about so many spans.
const SPANS: u32 = 150;
/// A span that is shorter has too few requests in it to say anything.
const SHORTEST_SPAN: Duration = Duration::from_millis(100);
/// How often a read that lags behind is repeated.
const POLL: Duration = Duration::from_millis(100);
/// How often the database's clock is compared with ours.
const COMPARISONS: usize = 5;

/// What of the document tells the strategy.
#[derive(Deserialize)]
struct Document {
    masterarn: Option<String>,
}

/// The whole of it. `ca_file` has the root of the database server's certificate, where it is no usual one.
pub(super) async fn rehearse(
    configuration: &SdkConfig,
    ca_file: Option<&Path>,
    secret: &str,
    arguments: &DrillArguments,
) -> Result<Rehearsal, Error> {
    let rotations = Rotations::new(configuration, arguments.give_up_after);
    let name = name(&rotations, secret).await?;
    let mut access = Access {
        service: Client::new(configuration),
        secret: secret.to_owned(),
        ca_file: ca_file.map(Path::to_owned),
        database_ahead: 0,
    };
    let provider = Aws::from_clients([access.service.clone()]);
    let secret = RotatingSecret::builder(&access.secret)
        .ttl(arguments.ttl)
        .build(provider)
        .await?;
    access.database_ahead = database_ahead(&secret, &access).await?;

    let workload = Workload {
        connections: Connections::ALL.to_vec(),
        workers: arguments.workers.into(),
        pause: arguments.pause.max(Duration::from_millis(1)),
        span: (arguments.duration / SPANS).max(SHORTEST_SPAN),
        cache: Cache::Rotating {
            ttl: arguments.ttl,
            listen: true,
        },
    };
    let application = Application::start(&access, &workload).await?;
    let begun = Instant::now();
    let mut observed = Observed::new("rotating-secret", &application, &workload);
    let progress = Progress::new(&application, arguments.duration);
    let times = u32::from(arguments.rotations.unwrap_or(1));
    let part = arguments.duration / (times + 1);
    progress.say("before the rotation");
    progress.wait(part).await;
    let limit = arguments.give_up_after;
    let failed = || application.failures() > 0;
    progress
        .wait_until(limit, || application.all_work() || failed())
        .await;
    let mut rotated_so_far = Vec::new();
    for _ in 0..times {
        let (rotated, set) = rotate(&rotations, &access.secret, &application, &progress).await?;
        let user = user(&secret, &rotated.version).await?;
        let version = Version { user, set };
        progress.say("after the rotation");
        progress.wait(part).await;
        // who is told nothing follows when the lifetime ends; who fails is waited for no longer
        let all_use = || application.all_use(&version, set);
        progress.wait_until(limit, || all_use() || failed()).await;
        observed.changed_over(&application, &version);
        rotated_so_far.push(rotated);
    }
    observed.end(&application);
    Ok(Rehearsal {
        secret: name,
        strategy: strategy(&secret).await?.to_owned(),
        place: place(configuration),
        began: application.began(),
        took: begun.elapsed(),
        span: workload.span,
        rotations: rotated_so_far,
        rotating: observed,
        plain: None,
    })
}

/// The secret's name, if it rotates, and does not do so just now: RotateSecret would turn rotation on.
async fn name(rotations: &Rotations, secret: &str) -> Result<String, Error> {
    let described = rotations.describe(secret).await?;
    if described.rotation_enabled() != Some(true) {
        return Err(Error::NotEnabled {
            secret: secret.to_owned(),
        });
    }
    if described
        .version_ids_to_stages()
        .and_then(in_flight)
        .is_some()
    {
        return Err(Error::UnderWay {
            secret: secret.to_owned(),
        });
    }
    Ok(described.name().unwrap_or(secret).to_owned())
}

/// The endpoint, where it is not the region's own.
pub(super) fn place(configuration: &SdkConfig) -> String {
    let region = configuration.region().map(ToString::to_string);
    let endpoint = configuration.endpoint_url().map(str::to_owned);
    endpoint.or(region).unwrap_or_default()
}

/// An administrator's secret is what alternating users need, and single user has no use for.
async fn strategy(secret: &RotatingSecret) -> Result<&'static str, Error> {
    let document = secret.usable().await?.json::<Document>();
    let masterarn = document.ok().and_then(|document| document.masterarn);
    Ok(if masterarn.is_some() {
        "alternating users"
    } else {
        "single user"
    })
}

/// Who this version logs in as. A read may lag behind the label's move by a moment.
async fn user(secret: &RotatingSecret, version: &str) -> Result<String, Error> {
    let mut credential = secret.refresh().await?;
    for _ in 0..20 {
        if credential.version() == version {
            break;
        }
        drop(credential);
        tokio::time::sleep(POLL).await;
        credential = secret.refresh().await?;
    }
    Ok(credential.user().unwrap_or_default().to_owned())
}

/// By how many microseconds the server's clock is ahead of ours; of several comparisons the one that took least.
async fn database_ahead(secret: &RotatingSecret, access: &Access) -> Result<i64, Error> {
    let tls = tls(access.ca_file.as_deref()).map_err(local::application::Error::from)?;
    let failed = |error: &dyn std::error::Error| Error::Database(error.to_string());
    let client = connect(secret, tls).await.map_err(|error| failed(&error))?;
    let question = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1e6)::int8";
    let mut best = (Duration::MAX, 0);
    for _ in 0..COMPARISONS {
        let (asked, begun) = (SystemTime::now(), Instant::now());
        let row = client
            .query_one(question, &[])
            .await
            .map_err(|error| failed(&error))?;
        let theirs: i64 = row.try_get(0).map_err(|error| failed(&error))?;
        let took = begun.elapsed();
        let ours = (asked + took / 2)
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let ours = i64::try_from(ours.as_micros()).unwrap_or(i64::MAX);
        best = best.min((took, theirs.saturating_sub(ours)));
    }
    Ok(best.1)
}
