//! How soon a fleet uses a new password: from the end of finishSecret to the last client's change.

use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

use local::{
    postgres::{self, Settings},
    world::{Options, World},
};
use rotating_secret::{RotatingSecret, postgres::listen, provider::Aws};
use tokio::{task::JoinSet, time::sleep};

use super::{
    Effort, Error,
    rotate::rotated,
    row::{Goal, Row, Sample},
};

/// A rotation, and the administrator's sessions of this benchmark.
const OTHER_SESSIONS: usize = 50;

/// A client asks after an announcement at once, but once a second at most. It also asks when its session begins.
const QUIET: Duration = Duration::from_secs(2);

/// Without another session for this long, there will be none.
const STALLED: Duration = Duration::from_secs(60);

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    let Effort { clients, ttl, .. } = effort;
    format!(
        "{clients} clients in one process hold a secret of a single user, each with its own cache. With `listen` each has a session of its own, \
         and {clients} is what PostgreSQL is set up to hold; alone they have a `ttl` of {} s. The time is from the end of finishSecret to the \
         moment when the last of them has the new version. The usual `ttl` of 300 s would take up to 285 s.",
        ttl.as_secs()
    )
}

/// A world whose server holds a session for each client.
pub fn world(options: Options, effort: Effort) -> Options {
    let sessions = effort.clients + OTHER_SESSIONS;
    options.own_postgres(Settings {
        conf: format!("max_connections = {sessions}"),
        ..Settings::default()
    })
}

/// Measures both.
///
/// # Errors
///
/// A client does not start, or a rotation fails.
pub async fn measure(world: &World, effort: Effort) -> Result<Vec<Row>, Error> {
    let (mut listening, mut alone) = (Vec::new(), Vec::new());
    let secret = world.single_user();
    for _ in 0..effort.changeovers {
        let clients = clients(world, secret, effort.clients, None).await?;
        let tls = world.tls().map_err(io::Error::other)?;
        for client in &clients {
            listen(client, tls.clone()).map_err(|error| Error::Client(error.to_string()))?;
        }
        all_listen(world, clients.len()).await?;
        listening.push(last(world, secret, clients).await?);
        let clients = self::clients(world, secret, effort.clients, Some(effort.ttl)).await?;
        alone.push(last(world, secret, clients).await?);
    }
    Ok(vec![Row {
        what: format!(
            "finishSecret to the last of {} clients, with `listen`",
            effort.clients
        ),
        ours: Sample::times(listening),
        peer: Some(("the ttl alone", Sample::times(alone))),
        goal: Some(Goal::AtMost(1000.0)),
    }])
}

async fn clients(
    world: &World,
    secret: &str,
    count: usize,
    ttl: Option<Duration>,
) -> Result<Vec<RotatingSecret>, Error> {
    let provider = Aws::from_clients([world.aws()]);
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let builder = RotatingSecret::builder(secret);
        let builder = match ttl {
            Some(ttl) => builder.ttl(ttl),
            None => builder,
        };
        let client = builder.build(provider.clone()).await;
        clients.push(client.map_err(|error| Error::Client(error.to_string()))?);
    }
    Ok(clients)
}

/// Waits until the server has a session that listens for each client.
async fn all_listen(world: &World, clients: usize) -> Result<(), Error> {
    let superuser = world.postgres().superuser_client().await?;
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'";
    let (mut most, mut since) = (0, Instant::now());
    while most < clients {
        let row = superuser.query_one(listening, &[]).await;
        let count: i64 = row.map_err(postgres::Error::from)?.get(0);
        let count = usize::try_from(count).unwrap_or_default();
        if count > most {
            (most, since) = (count, Instant::now());
        }
        if since.elapsed() > STALLED {
            let said = format!(
                "only {most} of {clients} have a session: raise the limit of open files (ulimit -n)"
            );
            return Err(Error::Client(said));
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(QUIET).await;
    Ok(())
}

/// Rotates. Returns the time from the end of finishSecret to the last client's change.
async fn last(
    world: &World,
    secret: &str,
    clients: Vec<RotatingSecret>,
) -> Result<Duration, Error> {
    let mut changes = JoinSet::new();
    for client in clients {
        let held = client.current();
        let held = held.map_err(|error| Error::Client(error.to_string()))?;
        let held = held.version().to_owned();
        changes.spawn(async move {
            let changed = client.changed_from(&held).await;
            let changed = changed.map(|_| SystemTime::now());
            // its session and its task end with it, after the moment has been taken
            (changed, client)
        });
    }
    let rotation = rotated(world, secret).await?;
    let steps = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    let finished = steps.map(|run| SystemTime::from(run.began) + run.invoked.took);
    let finished = finished.max().unwrap_or_else(SystemTime::now);
    let mut last = finished;
    let mut changed = Vec::new();
    while let Some(change) = changes.join_next().await {
        let (at, client) = change.map_err(io::Error::other)?;
        last = last.max(at.map_err(|error| Error::Client(error.to_string()))?);
        changed.push(client);
    }
    // an announced client may be earlier than finishSecret's answer
    Ok(last.duration_since(finished).unwrap_or_default())
}
