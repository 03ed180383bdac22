//! `make soak`: a thousand rotations of each strategy under load. No request fails, and memory, connections and versions do not grow.

pub mod beside;

use std::{
    io::{self, Write},
    process::ExitStatus,
    time::Duration,
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use local::{memory, postgres, secrets_manager::ServiceError, world::World};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use self::beside::Beside;
use crate::{application, bench, demo};

/// The number of measurements.
const SAMPLES: usize = 50;

/// The first measurements do not count: pools and caches still fill.
const WARM_UP: usize = SAMPLES / 10;

/// The parameters.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// How many times each secret rotates.
    pub rotations: usize,
    /// The time between the starts of two rotations of a secret.
    pub every: Duration,
}

/// The measurements, sample by sample.
#[derive(Default)]
struct Measured {
    rotations: Vec<f64>,
    function: Vec<f64>,
    application: [Vec<f64>; 2],
    connections: Vec<f64>,
    versions: [Vec<f64>; 2],
}

impl Soak {
    /// Rotates the world's two secrets in turn while an application works with each. Prints the results.
    ///
    /// # Errors
    ///
    /// A request or a rotation fails.
    pub async fn run(self, world: &World, out: &mut impl Write) -> Result<(), Error> {
        let secrets = [world.single_user(), world.alternating_users()];
        let [single, alternating] = secrets;
        let applications = [
            Beside::start(world, single).await?,
            Beside::start(world, alternating).await?,
        ];
        let mut measured = Measured::default();
        let mut turns = interval(self.every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let step = (self.rotations / SAMPLES).max(1);
        for rotation in 1..=self.rotations {
            turns.tick().await;
            for secret in secrets {
                bench::rotate(world, secret).await?;
            }
            for (secret, application) in secrets.into_iter().zip(&applications) {
                let said = application.said();
                if let Some(first) = said.first_failure {
                    return Err(Error::Failed {
                        secret,
                        rotation,
                        failures: said.failures,
                        first,
                    });
                }
            }
            if rotation % step == 0 {
                measured.sample(rotation, world, &applications).await?;
            }
        }
        let requests = applications
            .each_ref()
            .map(|application| application.said().requests);
        writeln!(out, "{}", measured.table())?;
        writeln!(
            out,
            "{} rotations of each strategy, one every {} ms; {} requests beside a single user, {} beside two: none failed",
            self.rotations,
            self.every.as_millis(),
            requests[0],
            requests[1],
        )?;
        Ok(())
    }
}

impl Measured {
    async fn sample(
        &mut self,
        rotation: usize,
        world: &World,
        applications: &[Beside; 2],
    ) -> Result<(), Error> {
        self.rotations.push(rotation as f64);
        let mb = |process| memory::resident(process).unwrap_or_default() as f64 / 1024.0;
        self.function
            .push(world.function().processes().into_iter().map(mb).sum());
        let secrets = [world.single_user(), world.alternating_users()];
        for (index, secret) in secrets.into_iter().enumerate() {
            self.application[index].push(mb(applications[index].process()));
            let asked = json!({ "SecretId": secret, "IncludeDeprecated": true });
            let listed = world
                .secrets_manager()
                .call("ListSecretVersionIds", asked)
                .await?;
            let versions = listed["Versions"].as_array().map_or(0, Vec::len);
            self.versions[index].push(versions as f64);
        }
        let superuser = world.postgres().superuser_client().await?;
        let counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
        let connections: i64 = superuser
            .query_one(counted, &[&world.dbname()])
            .await
            .map_err(postgres::Error::from)?
            .get(0);
        self.connections.push(connections as f64);
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([
            "",
            "at first",
            "at last",
            "most",
            "growth in 1,000 rotations",
        ]);
        let rows = [
            ("function: memory, MB", &self.function),
            ("application, single user: memory, MB", &self.application[0]),
            ("application, two users: memory, MB", &self.application[1]),
            ("connections to the database", &self.connections),
            ("versions, single user", &self.versions[0]),
            ("versions, two users", &self.versions[1]),
        ];
        for (what, samples) in rows {
            let from = WARM_UP.min(samples.len().saturating_sub(1));
            let counted = &samples[from..];
            let most = counted.iter().copied().fold(f64::MIN, f64::max);
            let edge = |sample: Option<&f64>| sample.map_or(String::new(), |of| format!("{of:.1}"));
            table.add_row([
                what.to_owned(),
                edge(counted.first()),
                edge(counted.last()),
                format!("{most:.1}"),
                format!("{:+.1}", 1000.0 * slope(&self.rotations[from..], counted)),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// The slope of the least-squares line through these points.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (middle, height) = (mean(x), mean(y));
    let along: f64 = x.iter().map(|x| (x - middle).powi(2)).sum();
    let points = x.iter().zip(y);
    points
        .map(|(x, y)| (x - middle) * (y - height))
        .sum::<f64>()
        / along
}

/// Why the soak ended early.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A request failed.
    #[error(
        "at rotation {rotation} of {secret} {failures} requests had failed, the first with: {first}"
    )]
    Failed {
        secret: &'static str,
        rotation: usize,
        failures: usize,
        first: String,
    },
    /// The application's process ended.
    #[error("the application's process ended ({0}): see what it said above")]
    Ended(ExitStatus),
    /// The application's output cannot be read.
    #[error("the application's counts cannot be read: {0}")]
    Said(serde_json::Error),
    /// The application has no credential, or no pool.
    #[error(transparent)]
    Application(#[from] application::Error),
    /// A rotation failed.
    #[error(transparent)]
    Rotation(#[from] demo::Error),
    /// The service refused a call.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The database did not answer.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The output cannot be written, or no process can be started.
    #[error(transparent)]
    Io(#[from] io::Error),
}
