//! `rotatectl` on many secrets: whether its time is linear, its memory flat, and its calls below the quotas of Secrets Manager.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use local::world::World;
use serde_json::json;

use super::{
    Effort, Error,
    rotatectl::{Ran, run},
    row::{Goal, Row, Sample},
};
use crate::demo;

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    let Effort {
        secrets: [few, many],
        rotated,
        ..
    } = effort;
    format!(
        "`rotatectl status --json` lists {few} secrets and then {many}, with their values; its time is divided by their number. \
         `rotatectl rotate --wait` then rotates {rotated} secrets with a tag, each with a role of its own, by the real function. \
         Secrets Manager records when it was called, by rotatectl and by the function: a figure is the most calls in any second. The goal is \
         [AWS's quota](https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html)."
    )
}

/// Operations that share a quota, and its calls a second.
const QUOTAS: [(&[&str], f64); 7] = [
    (&["ListSecrets"], 100.0),
    (&["BatchGetSecretValue"], 100.0),
    (&["ListSecretVersionIds"], 50.0),
    (&["DescribeSecret", "GetSecretValue"], 10_000.0),
    (&["RotateSecret"], 50.0),
    (&["GetRandomPassword"], 50.0),
    (&["PutSecretValue", "UpdateSecretVersionStage"], 50.0),
];

/// Measures both commands.
///
/// # Errors
///
/// rotatectl fails.
pub async fn measure(world: &World, rotatectl: &Path, effort: Effort) -> Result<Vec<Row>, Error> {
    let [few, many] = effort.secrets;
    let before = world.secrets_manager().calls().len();
    create(world, "listed", 0..few).await?;
    let short = run(world, rotatectl, &["status", "--json"]).await?;
    create(world, "listed", few..many).await?;
    let long = run(world, rotatectl, &["status", "--json"]).await?;
    let row = |what: &str, of: fn(&Ran, usize) -> Sample, goal| Row {
        what: format!("status of {many} secrets: {what}"),
        ours: of(&long, many),
        peer: Some(("a tenth of them", of(&short, few))),
        goal: Some(goal),
    };
    let each =
        |ran: &Ran, secrets| Sample::one(ran.took.as_secs_f64() * 1e6 / secrets as f64, "µs");
    let peak = |ran: &Ran, _| Sample::one(ran.peak as f64 / 1024.0, "MB");
    let mut rows = vec![
        row("for each", each, Goal::Within(1.2)),
        row("peak memory", peak, Goal::Within(1.2)),
    ];
    roles(world, effort.rotated).await?;
    create(world, "rotated", 0..effort.rotated).await?;
    let arguments = ["rotate", "--tag", "bench=rotated", "--yes", "--wait"];
    let rotated = run(world, rotatectl, &arguments).await?;
    let rotations = format!("{} rotations", effort.rotated);
    rows.push(Row {
        what: rotations.clone(),
        ours: Sample::one(rotated.took.as_secs_f64(), "s"),
        peer: None,
        goal: None,
    });
    let calls = world.secrets_manager().calls().split_off(before);
    for (operations, quota) in QUOTAS {
        let counted = calls.iter();
        let counted = counted.filter(|call| operations.contains(&call.operation.as_str()));
        let busiest = busiest(counted.map(|call| call.at));
        rows.push(Row {
            what: format!(
                "status and {rotations}: {} in a second",
                operations.join(" and ")
            ),
            ours: Sample::one(busiest as f64, ""),
            peer: None,
            goal: Some(Goal::AtMost(quota)),
        });
    }
    Ok(rows)
}

/// The most of these in any second.
fn busiest(times: impl Iterator<Item = Instant>) -> usize {
    let (mut second, mut most) = (VecDeque::new(), 0);
    for at in times {
        second.push_back(at);
        while let Some(first) = second.front()
            && at.duration_since(*first) >= Duration::from_secs(1)
        {
            second.pop_front();
        }
        most = most.max(second.len());
    }
    most
}

/// A role for each secret that rotates.
async fn roles(world: &World, count: usize) -> Result<(), Error> {
    let mut roles = String::new();
    for number in 0..count {
        let _ = write!(
            roles,
            "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';",
            role = role(number)
        );
    }
    Ok(world.postgres().execute(&roles).await?)
}

const PASSWORD: &str = "a-password-of-32-characters-long";

fn role(number: usize) -> String {
    format!("bench_rotated_{number}")
}

/// Secrets that rotate every 30 days, with a tag.
async fn create(world: &World, tag: &str, numbers: Range<usize>) -> Result<(), Error> {
    let (service, function) = (world.secrets_manager(), world.function().arn());
    for number in numbers {
        let name = format!("bench/{tag}/{number:05}/an/application/with/a/path");
        let document = json!({
            "engine": "postgres", "host": world.postgres().host(), "port": world.postgres().port(),
            "dbname": world.dbname(), "username": role(number), "password": PASSWORD,
        });
        let create = json!({
            "Name": name, "SecretString": document.to_string(), "Tags": [{ "Key": "bench", "Value": tag }],
        });
        let created = service.call("CreateSecret", create).await;
        created.map_err(demo::Error::from)?;
        let configured = service.configure_rotation(&name, &function, 30);
        configured.map_err(demo::Error::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_may_begin_at_any_call() {
        let began = Instant::now();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let times = [0, 700, 900, 1600, 1699, 1700, 5000].map(at);
        assert_eq!(busiest(times.into_iter()), 4); // 700 to 1699
        assert_eq!(busiest([].into_iter()), 0);
    }
}
