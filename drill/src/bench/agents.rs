//! Our agent beside AWS's, both against the same Secrets Manager: their start, their memory, reads from the cache, and what a thousand
//! readers of an expired secret cause.
//!
//! `wrk` reads: it costs little, and takes one of the two processors that such machines have.

mod expired;
mod reads;
mod running;

use std::{io, path::Path, time::Duration};

use local::{memory, world::World};

use self::{reads::Reads, running::Agent};
use super::{
    Effort,
    row::{Goal, Row, Sample},
};

const SECRET: &str = "bench/agents";
const READ: &str = "/secretsmanager/get?secretId=bench/agents";
const TOKEN: &str = "the-t0ken-of-the-benchmark";
const HEADER: &str = "X-Aws-Parameters-Secrets-Token: the-t0ken-of-the-benchmark";

const READERS: usize = 1000;
const TTL: Duration = Duration::from_secs(3);
/// How long Secrets Manager takes to answer while a thousand wait.
const UPSTREAM: Duration = Duration::from_millis(200);

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    let Effort { turns, seconds, .. } = effort;
    format!(
        "Both agents read the same secret from the same local Secrets Manager, with `max_conn = {READERS}`, no log, and a lifetime of 300 s. \
         `wrk` with one thread reads for {seconds} s at each number of connections, {turns} times, in turns. The lifetime of the expired \
         secret is {} s, and Secrets Manager takes {} ms to answer then.",
        TTL.as_secs(),
        UPSTREAM.as_millis()
    )
}

/// Measures ours, and AWS's if it is here.
///
/// # Errors
///
/// An agent does not start or answer, or `wrk` is not installed.
pub async fn measure(
    world: &World,
    ours: &Path,
    awss: Option<&Path>,
    effort: Effort,
) -> Result<Vec<Row>, Error> {
    let create = world.aws().create_secret().name(SECRET);
    let document = r#"{"username":"orders","password":"an-example-of-a-password-in-32-ch"}"#;
    create
        .secret_string(document)
        .send()
        .await
        .map_err(|error| Error::Secret(error.to_string()))?;
    let agents: Vec<Agent> = [
        Some(Agent::Ours(ours.into())),
        awss.map(|path| Agent::Awss(path.into())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut rows = Rows::default();

    let mut starts: Vec<Vec<Duration>> = vec![Vec::new(); agents.len()];
    for _ in 0..effort.starts {
        for (agent, starts) in agents.iter().zip(&mut starts) {
            starts.push(agent.start(world, 300).await?.1);
        }
    }
    rows.add(
        "exec to the first answer",
        starts.into_iter().map(Sample::times),
        Some(Goal::AtMost(10.0)),
    );

    let mut running = Vec::new();
    for agent in &agents {
        let (running_agent, _) = agent.start(world, 300).await?;
        running_agent.read().await?;
        running.push(running_agent);
    }
    let resident = running
        .iter()
        .map(|agent| agent.megabytes(memory::resident));
    rows.add(
        "resident after the first read",
        resident,
        Some(Goal::AtMost(14.0)),
    );
    for (connections, closing) in [
        (1, false),
        (16, false),
        (64, false),
        (1, true),
        (16, true),
        (64, true),
    ] {
        let mut reads: Vec<Reads> = running.iter().map(|_| Reads::default()).collect();
        for _ in 0..effort.turns {
            for (agent, reads) in running.iter().zip(&mut reads) {
                reads.add(agent, connections, closing, effort.seconds)?;
            }
        }
        let kept = if closing {
            "a new connection each"
        } else {
            "kept"
        };
        let what = |figure: &str| format!("{connections} readers, {kept}: {figure}");
        let of = |figure: fn(&Reads) -> &Vec<f64>, unit| {
            reads
                .iter()
                .map(move |reads| Sample::of(figure(reads).clone(), unit))
                .collect::<Vec<_>>()
        };
        rows.add(
            &what("reads a second"),
            of(|reads| &reads.rate, ""),
            awss.map(|_| Goal::More(1.0)),
        );
        let goal = awss.map(|_| Goal::Times(1.0));
        rows.add(&what("p50"), of(|reads| &reads.p50, "µs"), goal);
        rows.add(&what("p99"), of(|reads| &reads.p99, "µs"), goal);
        rows.add(
            &what("processor time of a read"),
            of(|reads| &reads.processor, "µs"),
            goal,
        );
    }
    drop(running);

    let mut expired = Vec::new();
    for agent in &agents {
        expired.push(agent.expire(world).await?);
    }
    let calls = expired
        .iter()
        .map(|expired| Sample::one(expired.calls as f64, "calls"));
    rows.add(
        "1,000 readers of an expired secret",
        calls,
        Some(Goal::AtMost(1.0)),
    );
    let slowest = expired
        .iter()
        .map(|expired| Sample::times([expired.slowest]));
    rows.add("the slowest of these readers", slowest, None);
    Ok(rows.0)
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// The first sample is ours, the second, if any, is AWS's.
    fn add(&mut self, what: &str, samples: impl IntoIterator<Item = Sample>, goal: Option<Goal>) {
        let mut samples = samples.into_iter();
        let Some(ours) = samples.next() else { return };
        self.0.push(Row {
            what: what.to_owned(),
            ours,
            peer: samples.next().map(|sample| ("AWS's agent", sample)),
            goal,
        });
    }
}

/// An agent could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has ended.
    #[error("the agent ended with {0}")]
    Ended(String),
    /// It answered something else.
    #[error("the agent answered: {0}")]
    Answer(String),
    /// The secret could not be made.
    #[error("the secret could not be made: {0}")]
    Secret(String),
    /// `wrk` does not run.
    #[error("wrk does not run: {0}; install it with your system's packages")]
    Wrk(#[source] io::Error),
    /// A file or a connection.
    #[error(transparent)]
    Io(#[from] io::Error),
}
