//! The drill of one secret: it rotates while an application works.

use std::time::{Duration, Instant, SystemTime};

use rotating_secret::{
    RotatingSecret,
    postgres::{connect, tls},
    provider::Aws,
};
use serde::Deserialize;

use crate::{
    Error,
    application::{Access, Application, Cache, Connections, USUAL_PATIENCE, Version, Workload},
    progress::Progress,
    rehearsal::{Observed, Rehearsal, Rotated},
};

/// The approximate number of spans in a plot.
const SPANS: u32 = 150;
/// The shortest span: a shorter one has too few requests.
const SHORTEST_SPAN: Duration = Duration::from_millis(100);
/// How soon a read that lags behind is repeated.
const POLL: Duration = Duration::from_millis(100);
/// How often the database's clock is compared with ours.
const COMPARISONS: usize = 5;

/// The field that shows the strategy.
#[derive(Deserialize)]
struct Document {
    masterarn: Option<String>,
}

/// A drill's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long the application works besides the time of the rotations.
    pub duration: Duration,
    /// How many times the secret rotates.
    pub rotations: u32,
    /// Workers for each way to connect.
    pub workers: usize,
    /// The pause between two requests of a worker.
    pub pause: Duration,
    /// The cache's lifetime in `rotating-secret`.
    pub ttl: Duration,
    /// How long to wait for the last worker to change over.
    pub give_up_after: Duration,
}

/// Lets the application work while the secret rotates. `rotate` rotates once, and returns when setSecret began.
///
/// `name` and `place` are the report's names for the secret and the region.
///
/// # Errors
///
/// The application does not start, or `rotate` fails. Failed requests are no error; then the rehearsal has not passed.
pub async fn rehearse<E: From<Error>>(
    mut access: Access,
    (name, place): (String, String),
    plan: Plan,
    rotate: impl AsyncFn(&Application, &Progress<'_>) -> Result<(Rotated, SystemTime), E>,
) -> Result<Rehearsal, E> {
    let provider = Aws::from_clients([access.service.clone()]);
    let secret = RotatingSecret::builder(&access.secret)
        .ttl(plan.ttl)
        .build(provider)
        .await
        .map_err(Error::from)?;
    let server;
    (access.database_ahead, server) = database(&secret, &access).await?;

    let workload = Workload {
        connections: Connections::ALL.to_vec(),
        workers: plan.workers,
        pause: plan.pause.max(Duration::from_millis(1)),
        patience: USUAL_PATIENCE,
        span: (plan.duration / SPANS).max(SHORTEST_SPAN),
        cache: Cache::Rotating {
            ttl: plan.ttl,
            listen: true,
        },
    };
    let application = Application::start(&access, &workload)
        .await
        .map_err(Error::from)?;
    let begun = Instant::now();
    let mut observed = Observed::new("rotating-secret", &application, &workload);
    let progress = Progress::new(&application, plan.duration);
    let part = plan.duration / (plan.rotations + 1);
    progress.say("before the rotation");
    progress.wait(part).await;
    let limit = plan.give_up_after;
    let failed = || application.failures() > 0;
    progress
        .wait_until(limit, || application.all_work() || failed())
        .await;
    let mut rotated_so_far = Vec::new();
    for _ in 0..plan.rotations {
        let (rotated, set) = rotate(&application, &progress).await?;
        let user = user(&secret, &rotated.version).await?;
        let version = Version { user, set };
        progress.say("after the rotation");
        progress.wait(part).await;
        // a client that gets no notification follows at the end of its lifetime; after a failure the drill stops waiting
        let all_use = || application.all_use(&version, set);
        progress.wait_until(limit, || all_use() || failed()).await;
        observed.changed_over(&application, &version);
        rotated_so_far.push(rotated);
    }
    observed.end(&application);
    Ok(Rehearsal {
        secret: name,
        strategy: strategy(&secret).await?.to_owned(),
        place,
        server,
        began: application.began(),
        took: begun.elapsed(),
        span: workload.span,
        rotations: rotated_so_far,
        rotating: observed,
        plain: None,
    })
}

/// Alternating users need an administrator's secret, a single user does not.
async fn strategy(secret: &RotatingSecret) -> Result<&'static str, Error> {
    let document = secret.usable().await?.json::<Document>();
    let masterarn = document.ok().and_then(|document| document.masterarn);
    Ok(if masterarn.is_some() {
        "alternating users"
    } else {
        "single user"
    })
}

/// The user of this version. A read may lag behind the labels for a moment.
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

/// How many microseconds the server's clock is ahead of ours, from the fastest of several comparisons; and the server's version.
async fn database(secret: &RotatingSecret, access: &Access) -> Result<(i64, String), Error> {
    let tls = tls(access.ca_file.as_deref()).map_err(crate::application::Error::from)?;
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
    let version = client.query_one("SHOW server_version", &[]).await;
    let version = version.map_err(|error| failed(&error))?;
    let version: String = version.try_get(0).map_err(|error| failed(&error))?;
    Ok((best.1, format!("PostgreSQL {version}")))
}
