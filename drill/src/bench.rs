//! The output of `make bench`: the cost of a rotation, compared with that of AWS's own function.
//!
//! AWS's Python function was measured once, warm, with a local Secrets Manager and PostgreSQL 15 without TLS, on a shared machine with
//! two cores. Counts can be compared everywhere, times and memory only roughly.

use std::{fs, io::Write, path::Path, time::Duration};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use local::{memory, world::World};

use crate::demo::{self, Error};

const ROTATIONS: usize = 15;
const STARTS: usize = 20;

/// Measurements of AWS's SecretsManagerRDSPostgreSQLRotationSingleUser and …MultiUser.
struct Aws {
    calls: f64,
    accepted: f64,
    rejected: f64,
    milliseconds: f64,
}

const AWS_SINGLE_USER: Aws = Aws {
    calls: 14.0,
    accepted: 2.0,
    rejected: 1.0,
    milliseconds: 111.0,
};
const AWS_MULTI_USER: Aws = Aws {
    calls: 14.0,
    accepted: 3.0,
    rejected: 1.0,
    milliseconds: 132.0,
};
const AWS_START_MS: f64 = 652.0;
const AWS_MEMORY_MB: f64 = 53.0;

/// Measures, and writes the table.
///
/// # Errors
///
/// A rotation fails.
pub async fn run(world: &World, function: &Path, out: &mut impl Write) -> Result<(), Error> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["", "here", "AWS's Python", "ratio"]);
    let mut row = |what: &str, ours: f64, aws: f64| {
        table.add_row([
            what.to_owned(),
            format!("{ours:.1}"),
            format!("{aws:.0}"),
            format!("{:.3}", ours / aws),
        ]);
    };
    let strategies = [
        ("single user", world.single_user(), AWS_SINGLE_USER),
        (
            "alternating users",
            world.alternating_users(),
            AWS_MULTI_USER,
        ),
    ];
    for (strategy, secret, aws) in strategies {
        rotate(world, secret).await?; // the first rotation runs in a cold environment
        let calls = world.secrets_manager().calls().len();
        let logins = demo::all_logins(world)?;
        let mut took = Vec::new();
        for _ in 0..ROTATIONS {
            took.push(rotate(world, secret).await?);
        }
        let calls = world.secrets_manager().calls().len() - calls;
        let after = demo::all_logins(world)?;
        let each = |count: usize| count as f64 / ROTATIONS as f64;
        row(&format!("{strategy}: API calls"), each(calls), aws.calls);
        row(
            &format!("{strategy}: accepted logins"),
            each(after.accepted - logins.accepted),
            aws.accepted,
        );
        row(
            &format!("{strategy}: rejected logins"),
            each(after.rejected - logins.rejected),
            aws.rejected,
        );
        row(
            &format!("{strategy}: a warm rotation, median, ms"),
            median_ms(took),
            aws.milliseconds,
        );
    }
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.extend(world.function().start_up().await);
    }
    row(
        "start to first poll, median, ms",
        median_ms(starts),
        AWS_START_MS,
    );
    let processes = world.function().processes().into_iter();
    let peak = processes.filter_map(memory::peak).max();
    row(
        "peak memory, MB",
        peak.unwrap_or_default() as f64 / 1024.0,
        AWS_MEMORY_MB,
    );
    let size = fs::metadata(function)?.len() as f64 / 1e6;
    table.add_row([
        "size of the binary, MB".to_owned(),
        format!("{size:.2}"),
        String::new(),
        String::new(),
    ]);
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "{ROTATIONS} rotations with TLS, {STARTS} starts, of {}",
        function.display()
    )?;
    Ok(())
}

/// Rotates once. Returns the function's working time.
pub(crate) async fn rotate(world: &World, secret: &str) -> Result<Duration, Error> {
    let rotation = world.secrets_manager().rotate(secret).await?;
    if !rotation.succeeded {
        return Err(Error::NotRotated("see the function's log above".to_owned()));
    }
    Ok(rotation
        .attempts
        .iter()
        .flat_map(|attempt| &attempt.steps)
        .map(|run| run.invoked.took)
        .sum())
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, |median| median.as_secs_f64() * 1000.0)
}
