//! Many rotations while an application works: with `rotating-secret`, and with a plain cache as most applications have.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use local::{
    secrets_manager::{Rotation, StepRun},
    world::World,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Credential, Error, failure, show::Show};
use crate::{
    application::{Access, Application, Cache, Connections, USUAL_PATIENCE, Version, Workload},
    rehearsal::{CHANGED_OVER, Observed, Rehearsal, Rotated, Step},
};

/// The time between two rotations.
const PERIOD: Duration = Duration::from_millis(1250);
/// In proportion to the period, like 5 s to 7 s.
const PLAIN_TTL: Duration = Duration::from_millis(900);
/// `rotating-secret`'s default. The database notifies it of a change.
const TTL: Duration = Duration::from_secs(300);
/// The number of workers of each kind, and each one's pause between two requests.
const WORKERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(30);
/// How long to wait on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The length of a span in the report.
const SPAN: Duration = Duration::from_millis(125);

pub(super) async fn show(
    world: &World,
    rotations: usize,
    show: &mut Show<'_, impl Write>,
) -> Result<Vec<Rehearsal>, Error> {
    let mut rehearsals = Vec::new();
    for (strategy, secret) in [
        ("single user", world.single_user()),
        ("alternating users", world.alternating_users()),
    ] {
        show.heading(&format!(
            "{secret}, {strategy}: {rotations} rotations under an application"
        ))?;
        rehearsals.push(beside(world, strategy, secret, rotations, show).await?);
    }
    Ok(rehearsals)
}

/// Both applications work during the same rotations.
async fn beside(
    world: &World,
    strategy: &str,
    secret: &str,
    rotations: usize,
    show: &mut Show<'_, impl Write>,
) -> Result<Rehearsal, Error> {
    let access = Access::in_world(world, secret);
    let with_cache = |cache| Workload {
        connections: Connections::ALL.to_vec(),
        workers: WORKERS,
        pause: PAUSE,
        patience: USUAL_PATIENCE,
        span: SPAN,
        cache,
    };
    let workload = with_cache(Cache::Rotating {
        ttl: TTL,
        listen: true,
    });
    let rotating = Application::start(&access, &workload).await?;
    let begun = Instant::now();
    let mut ours = Observed::new("rotating-secret", &rotating, &workload);
    let workload = with_cache(Cache::Plain { ttl: PLAIN_TTL });
    let plain = Application::start(&access, &workload).await?;
    let mut theirs = Observed::new("plain cache", &plain, &workload);

    show.line(&format!(
        "  {} workers with each cache; the plain one keeps a credential for {} ms",
        WORKERS * Connections::ALL.len(),
        PLAIN_TTL.as_millis()
    ))?;
    show.begin("  rotating ")?;
    let mut rotated = Vec::new();
    // all first connections must exist before the first rotation, even on a slow machine
    wait_until(|| rotating.all_work() && plain.all_work()).await;
    let mut next = Instant::now() + PERIOD;
    for _ in 0..rotations {
        sleep_until(next).await;
        next += PERIOD;
        let asked = SystemTime::now();
        let rotation = world.secrets_manager().rotate(secret).await?;
        if !rotation.succeeded {
            return Err(Error::NotRotated(failure(&rotation)));
        }
        let user = Credential::current(world, secret).await?.user;
        let steps = steps(&rotation);
        let began = |name: &str| steps.iter().rev().find(|step| step.name == name);
        let began = |name| began(name).map_or(asked, |step| step.began);
        let set = began("setSecret");
        let version = Version { user, set };
        rotated.push(Rotated {
            version: rotation.token,
            finishing: began("finishSecret"),
            steps,
        });
        show.begin(".")?;
        sleep_until(next - PERIOD / 10).await;
        wait_until(|| rotating.all_use(&version, set)).await;
        next = next.max(Instant::now());
        ours.changed_over(&rotating, &version);
        theirs.changed_over(&plain, &version);
    }
    ours.end(&rotating);
    theirs.end(&plain);
    let server = super::server(world).await?;
    let rehearsal = Rehearsal {
        secret: secret.to_owned(),
        strategy: strategy.to_owned(),
        place: "a world on this machine".to_owned(),
        server,
        began: rotating.began(),
        took: begun.elapsed(),
        span: SPAN,
        rotations: rotated,
        rotating: ours,
        plain: Some(theirs),
    };
    drop((rotating, plain));
    show.line(&format!(
        " {:.0} requests a second",
        rehearsal.rotating.requests() as f64 / rehearsal.took.as_secs_f64()
    ))?;
    show.table(&rehearsal.table())?;
    show.line(CHANGED_OVER)?;
    show.verdict(&rehearsal)?;
    Ok(rehearsal)
}

/// Waits for the condition, at most `PATIENCE`: the table shows a changeover that has not ended.
async fn wait_until(condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() && Instant::now() < end {
        sleep(Duration::from_millis(10)).await;
    }
}

/// The steps of a rotation. The local world knows when each began.
fn steps(rotation: &Rotation) -> Vec<Step> {
    let runs = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    let step = |run: &StepRun| Step {
        name: run.step.clone(),
        began: run.began.into(),
        took: run.invoked.took,
    };
    runs.map(step).collect()
}
