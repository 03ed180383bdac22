//! Many rotations beside an application: with `rotating-secret`, and with a cache as most applications have it.

use std::{
    collections::HashMap,
    io::Write,
    time::{Duration, SystemTime},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use tokio::time::{Instant, sleep_until};

use super::{Credential, Error, failure, show::Show};
use crate::{
    application::{Application, Cache, Connections, Summary, Version},
    world::World,
};

/// From one rotation to the next.
const PERIOD: Duration = Duration::from_millis(1250);
/// As much shorter than the period as 5 seconds are than 7.
const PLAIN_TTL: Duration = Duration::from_millis(900);
/// `rotating-secret`'s own default; the database tells of a change.
const TTL: Duration = Duration::from_secs(300);
/// Workers of each kind, and how long each waits between two requests.
const WORKERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(30);

pub(super) async fn show(
    world: &World,
    rotations: usize,
    show: &mut Show<'_, impl Write>,
) -> Result<(), Error> {
    for (strategy, secret) in [
        ("single user", world.single_user()),
        ("alternating users", world.alternating_users()),
    ] {
        show.heading(&format!(
            "An application works while {secret} rotates {rotations} times, {strategy}"
        ))?;
        beside(world, secret, rotations, show).await?;
    }
    Ok(())
}

/// Both applications work beside the same rotations.
async fn beside(
    world: &World,
    secret: &str,
    rotations: usize,
    show: &mut Show<'_, impl Write>,
) -> Result<(), Error> {
    let start = async |cache| {
        Application::start(world, secret, &Connections::ALL, WORKERS, PAUSE, cache).await
    };
    let rotating = start(Cache::Rotating {
        ttl: TTL,
        listen: true,
    })
    .await?;
    let plain = start(Cache::Plain { ttl: PLAIN_TTL }).await?;
    show.begin(&format!(
        "  {} workers with each cache, rotating ",
        WORKERS * Connections::ALL.len()
    ))?;
    let (begun, mut delays, mut plain_delays) = (Instant::now(), Vec::new(), Vec::new());
    // the first connections are made in peace
    let mut next = begun + PERIOD;
    for _ in 0..rotations {
        sleep_until(next).await;
        next += PERIOD;
        let set = SystemTime::now();
        let rotation = world.secrets_manager().rotate(secret).await?;
        if !rotation.succeeded {
            return Err(Error::NotRotated(failure(&rotation)));
        }
        let user = Credential::current(world, secret).await?.user;
        let last = rotation
            .attempts
            .last()
            .and_then(|attempt| attempt.steps.last());
        let finish = last.map(|run| run.invoked.took).unwrap_or_default();
        let (finishing, version) = (SystemTime::now() - finish, Version { user, set });
        show.begin(".")?;
        sleep_until(next - PERIOD / 10).await;
        delays.push(rotating.delays(&version, finishing));
        plain_delays.push(plain.delays(&version, finishing));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (ours, theirs) = (rotating.summaries(), plain.summaries());
    drop((rotating, plain));
    let requests: usize = ours.iter().map(|summary| summary.requests).sum();
    show.line(&format!(
        " {:.0} requests a second",
        requests as f64 / seconds
    ))?;
    show.table(&table(&ours, &theirs, &delays, &plain_delays))?;
    show.line("  changed over: from finishSecret until the last worker used the new version; median, longest")?;

    let failed: usize = ours.iter().map(|summary| summary.failures).sum();
    if let Some(first) = ours.into_iter().find_map(|summary| summary.first_failure) {
        return Err(Error::RequestsFailed { failed, first });
    }
    if delays
        .iter()
        .any(|rotation| rotation.values().any(Option::is_none))
    {
        return Err(Error::NotTrue(
            "every worker had changed over before the next rotation",
        ));
    }
    show.check(
        "no request failed, and every worker changed over each time",
        failed == 0,
    )
}

/// How long each rotation took to reach the last worker, by kind of connections.
type Delays = [HashMap<Connections, Option<Duration>>];

fn table(ours: &[Summary], theirs: &[Summary], delays: &Delays, plain_delays: &Delays) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let plain = format!("a plain {} ms cache", PLAIN_TTL.as_millis());
    table.set_header(["connections", "", "rotating-secret", &plain]);
    for column in 2..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        let kind = ours.connections;
        let over = [changed_over(delays, kind), changed_over(plain_delays, kind)];
        let requests = [ours, theirs].map(|summary| summary.requests.to_string());
        let failed = [ours, theirs].map(|summary| summary.failures.to_string());
        let slowest = [ours, theirs].map(|summary| milliseconds(summary.slowest));
        let rows = [
            ("requests", requests),
            ("failed", failed),
            ("slowest, ms", slowest),
            ("changed over, ms", over),
        ];
        for (row, (measure, [ours, theirs])) in rows.into_iter().enumerate() {
            let name = if row == 0 { kind.name() } else { "" };
            table.add_row([name, measure, &ours, &theirs]);
        }
    }
    table
}

/// The median of all rotations and the longest, in milliseconds after finishSecret.
fn changed_over(delays: &Delays, connections: Connections) -> String {
    let delays = delays
        .iter()
        .map(|rotation| rotation.get(&connections).copied().flatten());
    // what never changed over took longest
    let mut delays: Vec<Duration> = delays.map(|delay| delay.unwrap_or(Duration::MAX)).collect();
    delays.sort();
    let shown = |delay: Option<&Duration>| match delay {
        Some(&Duration::MAX) | None => "never".to_owned(),
        Some(delay) => milliseconds(*delay),
    };
    match (shown(delays.get(delays.len() / 2)), shown(delays.last())) {
        (median, longest) if median == longest => median,
        (median, longest) => format!("{median}, {longest}"),
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.0}", duration.as_secs_f64() * 1000.0)
}
