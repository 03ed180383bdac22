//! One invocation: the event in, the outcome or the error out, one log line and the metrics beside it.

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::LambdaEvent;
use rand::rngs::SysRng;
use serde_json::{Value, json};

use crate::{
    error::Error,
    event::RotationEvent,
    rotation::{Memory, Outcome, Rotation},
    settings::{Settings, SettingsError},
    store::SecretsManager,
    target::postgres::{Kept, Limits, Postgres, Roots},
    telemetry::{self, Cost, Metrics},
};

/// What Lambda gives a function by default where a deadline is missing or cannot be true.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that lives as long as the execution environment.
pub struct Function {
    /// The settings, or what is wrong with them.
    pub settings: Result<Settings, SettingsError>,
    /// Where secrets are stored.
    pub store: SecretsManager,
    /// Whom PostgreSQL's certificates must chain to.
    pub roots: Roots,
    /// The administrator's session between two steps.
    pub kept: Kept,
    /// What one step tells the next.
    pub memory: Memory,
    /// Where the metrics go.
    pub metrics: Metrics,
}

impl Function {
    /// Handles one event.
    ///
    /// # Errors
    ///
    /// The step failed; the error's kind is Lambda's `errorType`.
    pub async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let deadline = event.context.deadline();
        let (event, settings) = match self.accept(&event.payload) {
            Ok(accepted) => accepted,
            Err(error) => {
                telemetry::report_refused(self.metrics, &error);
                return Err(error);
            }
        };
        let outcome = self.step(&event, settings, deadline).await?;
        let mut answer = json!({ "step": event.step.name(), "outcome": outcome.name() });
        if let Outcome::Revoked { sessions } = outcome {
            answer["sessions"] = sessions.into();
        }
        Ok(answer)
    }

    fn accept(&self, event: &Value) -> Result<(RotationEvent, &Settings), Error> {
        let settings = self.settings.as_ref().map_err(SettingsError::clone)?;
        Ok((RotationEvent::parse(event)?, settings))
    }

    async fn step(
        &self,
        event: &RotationEvent,
        settings: &Settings,
        deadline: SystemTime,
    ) -> Result<Outcome, Error> {
        let started = Instant::now();
        let budget = budget(deadline, SystemTime::now());
        // three logins and a change fit into the whole with time to spare for the calls
        let limits = Limits {
            connect: budget / 5,
            statement: budget / 5,
        };
        let postgres = Postgres::new(&self.roots, &self.kept, settings, limits);

        let mut rng = SysRng;
        let rotation = Rotation {
            store: &self.store,
            target: &postgres,
            policy: &settings.policy,
            overlap: settings.overlap,
            memory: &self.memory,
        };
        let step = rotation.run(&mut rng, event);
        let result = tokio::time::timeout(budget, step)
            .await
            .unwrap_or(Err(Error::TimedOut {
                seconds: budget.as_secs_f32(),
            }));
        postgres.disconnect().await;

        let cost = Cost {
            took: started.elapsed(),
            api_calls: self.store.take_calls(),
            connections: postgres.logins(),
        };
        telemetry::report(self.metrics, event, &result, cost, SystemTime::now());
        result
    }
}

/// How long a step may take: Lambda's time without a reserve for the goodbyes and the log line.
///
/// A host for local work may send a deadline that lies in the past; then the usual timeout stands for it.
fn budget(deadline: SystemTime, now: SystemTime) -> Duration {
    let left = deadline.duration_since(now).unwrap_or(USUAL_TIMEOUT);
    let reserve = (left / 10).clamp(Duration::from_millis(500), Duration::from_secs(3));
    left.saturating_sub(reserve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_well_before_lambda_ends_it() {
        let now = SystemTime::now();
        for (left, budgeted) in [(3000, 2500), (30_000, 27_000), (900_000, 897_000)] {
            let deadline = now + Duration::from_millis(left);
            assert_eq!(budget(deadline, now), Duration::from_millis(budgeted));
        }
    }

    #[test]
    fn a_deadline_in_the_past_is_taken_for_a_host_that_knows_none() {
        assert_eq!(
            budget(SystemTime::UNIX_EPOCH, SystemTime::now()),
            Duration::from_secs(27)
        );
    }
}
