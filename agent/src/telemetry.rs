//! Metrics for Prometheus. No caller chooses a label, and no label is a secret's name unless `metrics_name_secrets` is set.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rotating_secret::Error;

use crate::{
    Agent,
    connections::Connections,
    store::{Answer, reason},
};

const READS: &str = "rotating_secret_agent_reads_total";
const REFUSED: &str = "rotating_secret_agent_refused_requests_total";
const VERSIONS: &str = "rotating_secret_agent_cached_versions";
const OLDEST: &str = "rotating_secret_agent_oldest_version_age_seconds";
const CONNECTIONS: &str = "rotating_secret_agent_connections";
const WRITES: &str = "rotating_secret_agent_file_writes_total";
const FAILURES: &str = "rotating_secret_agent_file_failures_total";
const MISSING: &str = "rotating_secret_agent_files_missing";

/// Counters of the client crate.
const FETCHES: &str = "rotating_secret_fetches_total";
const FETCHES_FAILED: &str = "rotating_secret_failures_total";
const CHANGES: &str = "rotating_secret_version_changes_total";

/// Why files were not written, or what follows them was not done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Format,
    Write,
    After,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Write => "write",
            Self::After => "after",
        }
    }
}

/// What collects the metrics of this process. Without it they cost nothing.
pub struct Telemetry(PrometheusHandle);

impl Telemetry {
    /// Collects from now on. `reasons` are all for which a request is refused.
    ///
    /// # Errors
    ///
    /// This process already has a recorder.
    pub fn install(reasons: &[&'static str]) -> Result<Self, String> {
        // it needs no regular work: that is for histograms, and there is none
        let installed = PrometheusBuilder::new().install_recorder();
        let handle = installed.map_err(|error| error.to_string())?;
        describe();
        begin_at_zero(reasons);
        Ok(Self(handle))
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self, agent: &Agent, connections: &Connections) -> String {
        let (versions, oldest) = agent.stores.held();
        gauge!(VERSIONS).set(versions as f64);
        gauge!(OLDEST).set(oldest.as_secs_f64());
        let (served, guests) = connections.count();
        gauge!(CONNECTIONS, "state" => "served").set(served as f64);
        gauge!(CONNECTIONS, "state" => "guest").set(guests as f64);
        gauge!(MISSING).set(agent.files.missing().len() as f64);
        self.0.render()
    }
}

/// Counts a read and its outcome.
pub(crate) fn read(protocol: &'static str, read: &Result<Answer, Error>) {
    match read {
        Ok(answer) => answered(protocol, answer),
        Err(error) => failed(protocol, error),
    }
}

/// Counts a version that was served.
pub(crate) fn answered(protocol: &'static str, answer: &Answer) {
    counted(protocol, if answer.is_stale { "stale" } else { "fresh" });
}

/// Counts a read that failed.
pub(crate) fn failed(protocol: &'static str, error: &Error) {
    let outcome = reason(error).map_or("unavailable", |reason| reason.kind().name());
    counted(protocol, outcome);
}

/// Counts a read with this outcome.
pub(crate) fn counted(protocol: &'static str, outcome: &'static str) {
    counter!(READS, "protocol" => protocol, "outcome" => outcome).increment(1);
}

/// Counts a request that was refused before it was read.
pub(crate) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

/// Counts a folder of files that has a new version.
pub(crate) fn written() {
    counter!(WRITES).increment(1);
}

/// Counts a failure of a folder of files.
pub(crate) fn not_written(step: Step) {
    counter!(FAILURES, "step" => step.name()).increment(1);
}

fn describe() {
    describe_counter!(READS, "Reads of a secret, by protocol and outcome");
    describe_counter!(
        REFUSED,
        "Requests that were refused before a read, by reason"
    );
    describe_gauge!(VERSIONS, "Versions in the cache");
    describe_gauge!(
        OLDEST,
        "How long ago the oldest version in the cache was confirmed"
    );
    describe_gauge!(
        CONNECTIONS,
        "Open connections: served, or guests, which have shown no right yet or say no more"
    );
    describe_counter!(WRITES, "Folders of files that got a new version");
    describe_counter!(
        FAILURES,
        "Folders of files that were not written, or not followed up, by step"
    );
    describe_gauge!(
        MISSING,
        "Required files that were not written or confirmed since the start"
    );
    describe_counter!(
        FETCHES,
        "Calls to Secrets Manager for a version: first reads and renewals"
    );
    describe_counter!(
        FETCHES_FAILED,
        "Calls to Secrets Manager that failed, by kind"
    );
    describe_counter!(CHANGES, "Versions that replaced another one");
}

/// A counter that begins with its first event hides that event from Prometheus.
fn begin_at_zero(reasons: &[&'static str]) {
    for protocol in ["wire", "sdk", "changes", "rejected"] {
        for outcome in ["fresh", "stale"] {
            counter!(READS, "protocol" => protocol, "outcome" => outcome).absolute(0);
        }
    }
    for reason in reasons {
        counter!(REFUSED, "reason" => *reason).absolute(0);
    }
    for step in [Step::Format, Step::Write, Step::After] {
        counter!(FAILURES, "step" => step.name()).absolute(0);
    }
    for name in [WRITES, FETCHES, CHANGES] {
        counter!(name).absolute(0);
    }
}
