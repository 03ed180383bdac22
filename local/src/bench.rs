//! What `make bench` prints: what a rotation costs, beside what AWS's own function was measured to cost.
//!
//! The figures of AWS's Python function were measured once, warm, against a local Secrets Manager and PostgreSQL 15
//! without TLS, on a shared machine of two cores. Counts compare anywhere; times and memory only roughly.

use std::{fs, io::Write, path::Path, time::Duration};

use crate::{demo::Error, world::World};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

const ROTATIONS: usize = 15;
const STARTS: usize = 20;

/// AWS's SecretsManagerRDSPostgreSQLRotationSingleUser, in the units of the table.
const AWS: [(&str, f64); 6] = [
    ("API calls a rotation", 14.0),
    ("accepted logins a rotation", 2.0),
    ("rejected logins a rotation", 1.0),
    ("a warm rotation, median, ms", 111.0),
    ("start to first poll, median, ms", 652.0),
    ("peak memory, MB", 53.0),
];

/// Measures, and writes the table.
///
/// # Errors
///
/// A rotation fails.
pub async fn run(world: &World, function: &Path, out: &mut impl Write) -> Result<(), Error> {
    rotate(world).await?; // the first one finds a cold environment
    let calls = world.secrets_manager().calls().len();
    let logins = world.postgres().logins(world.role())?;
    let mut took = Vec::new();
    for _ in 0..ROTATIONS {
        took.push(rotate(world).await?);
    }
    let calls = world.secrets_manager().calls().len() - calls;
    let after = world.postgres().logins(world.role())?;
    let each = |count: usize| count as f64 / ROTATIONS as f64;

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.extend(world.function().start_up().await);
    }
    let ours = [
        each(calls),
        each(after.accepted - logins.accepted),
        each(after.rejected - logins.rejected),
        median_ms(took),
        median_ms(starts),
        world.function().peak_memory().unwrap_or_default() as f64 / 1024.0,
    ];

    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["", "here", "AWS's Python", "ratio"]);
    for ((what, aws), ours) in AWS.into_iter().zip(ours) {
        table.add_row([
            what.to_owned(),
            format!("{ours:.1}"),
            format!("{aws:.0}"),
            format!("{:.3}", ours / aws),
        ]);
    }
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

/// One rotation; the time in which the function was at work.
async fn rotate(world: &World) -> Result<Duration, Error> {
    let rotation = world.secrets_manager().rotate(world.single_user()).await?;
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
