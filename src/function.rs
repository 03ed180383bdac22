//! One invocation: from the event to the outcome or the error, with one log line and the metrics.

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use lambda_runtime::{LambdaEvent, service_fn};
use rand::rngs::SysRng;
use serde_json::{Value, json};

use crate::{
    age::Ages,
    engine::{Disconnect, Engine, Limits},
    error::Error,
    event::{Event, RotationEvent},
    moment,
    rotation::{Memory, Outcome, Rotation},
    settings::{Settings, SettingsError},
    store::SecretsManager,
    telemetry::{self, Cost, Metrics},
};

/// The time that Lambda gives a function by default. It replaces a deadline that is missing or impossible.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time that Lambda gives an invocation.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(900);

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// What lives as long as the execution environment, for every secret.
pub struct Function {
    settings: Result<Settings, SettingsError>,
    store: SecretsManager,
    /// What one step keeps for the next.
    memory: Memory,
    metrics: Metrics,
}

impl Function {
    /// Starts the log and the metrics, reads the settings from the environment, and sets up the store.
    ///
    /// # Errors
    ///
    /// TLS is not possible with the roots that `AWS_CA_BUNDLE` names.
    pub async fn from_env() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok();
        telemetry::start_log(
            variable("LOG_LEVEL")
                .or_else(|| variable("AWS_LAMBDA_LOG_LEVEL"))
                .as_deref(),
        );
        let settings = Settings::read(variable);
        let (endpoint, roots) = match &settings {
            Ok(settings) => (settings.endpoint.as_deref(), settings.api_roots.clone()),
            Err(_) => (None, None), // every invocation answers with this error
        };
        Ok(Self {
            store: SecretsManager::from_env(endpoint, roots).await?,
            memory: Memory::default(),
            metrics: Metrics::start(&variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default()),
            settings,
        })
    }

    /// `TLS_CA_FILE`, unless the settings cannot be read.
    pub fn tls_ca_file(&self) -> Option<PathBuf> {
        self.settings.as_ref().ok()?.tls_ca_file.clone()
    }

    /// Serves Lambda's invocations until the environment ends; `engine` makes the engine for one invocation.
    ///
    /// # Errors
    ///
    /// Lambda's runtime API does not answer.
    pub async fn serve<'a, T: Engine + Disconnect>(
        &'a self,
        engine: impl Fn(&'a Settings, Limits) -> T,
    ) -> Result<(), lambda_runtime::Error> {
        let engine = &engine;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
            self.invoke(event, engine)
        }))
        .await
    }

    /// Handles one event. An error's kind is Lambda's `errorType`.
    async fn invoke<'a, T: Engine + Disconnect>(
        &'a self,
        event: LambdaEvent<Value>,
        engine: &impl Fn(&'a Settings, Limits) -> T,
    ) -> Result<Value, Error> {
        let deadline = event.context.deadline();
        let own_arn = event.context.invoked_function_arn;
        let (event, settings) = match self.accept(&event.payload) {
            Ok(accepted) => accepted,
            Err(error) => {
                telemetry::report_refused(self.metrics, &error);
                return Err(error);
            }
        };
        let budget = budget(deadline, SystemTime::now());
        let event = match event {
            Event::Rotation(event) => event,
            Event::AgeCheck => return self.check_ages(&own_arn, budget).await,
        };
        let engine = engine(settings, Limits::of(budget));
        let outcome = self.step(&event, settings, &engine, budget).await?;
        let mut answer = json!({ "step": event.step.name(), "outcome": outcome.name() });
        match outcome {
            Outcome::Revoked { ended } => {
                answer["sessions"] = ended.sessions.into();
                if let Some(late) = ended.late {
                    answer["again_in_seconds"] = late.as_secs().into();
                }
            }
            Outcome::ChangedEarly { promised } => {
                answer["promised_until"] = moment::shown(promised).into();
            }
            _ => {}
        }
        Ok(answer)
    }

    fn accept(&self, event: &Value) -> Result<(Event, &Settings), Error> {
        let settings = self.settings.as_ref().map_err(SettingsError::clone)?;
        Ok((Event::parse(event)?, settings))
    }

    async fn check_ages(&self, own_arn: &str, budget: Duration) -> Result<Value, Error> {
        let started = Instant::now();
        let result = match tokio::time::timeout(budget, self.store.rotated_by(own_arn)).await {
            Ok(Ok(secrets)) => Ok(Ages::of(&secrets, SystemTime::now())),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Error::TimedOut {
                seconds: budget.as_secs_f32(),
            }),
        };
        let cost = Cost {
            took: started.elapsed(),
            api_calls: self.store.take_calls(),
            connections: 0,
        };
        telemetry::report_ages(self.metrics, &result, cost);
        let ages = result?;
        Ok(json!({
            "check": "age",
            "secrets": ages.secrets,
            "oldest_age_days": ages.oldest.map(|age| age.as_secs() / DAY),
            "overdue": ages.overdue.len(),
        }))
    }

    async fn step(
        &self,
        event: &RotationEvent,
        settings: &Settings,
        engine: &(impl Engine + Disconnect),
        budget: Duration,
    ) -> Result<Outcome, Error> {
        let started = Instant::now();
        engine.begin(&event.secret);
        let mut rng = SysRng;
        let rotation = Rotation {
            store: &self.store,
            engine,
            policy: &settings.policy,
            administrators: &settings.administrators,
            overlap: settings.overlap,
            now: SystemTime::now(),
            memory: &self.memory,
        };
        // boxed: its type of many nested futures is too deep for the compiler
        let step = Box::pin(rotation.run(&mut rng, event));
        let result = tokio::time::timeout(budget, step)
            .await
            .unwrap_or(Err(Error::TimedOut {
                seconds: budget.as_secs_f32(),
            }));
        let connections = engine.disconnect().await;

        let cost = Cost {
            took: started.elapsed(),
            api_calls: self.store.take_calls(),
            connections,
        };
        telemetry::report(self.metrics, event, &result, cost, SystemTime::now());
        result
    }
}

/// How long a step may take: Lambda's time minus a reserve for the disconnects and the log line.
///
/// A host for local work may send a deadline in the past; the usual timeout replaces it.
fn budget(deadline: SystemTime, now: SystemTime) -> Duration {
    let left = deadline.duration_since(now).unwrap_or(USUAL_TIMEOUT);
    // a clock that is an hour behind must not make a step wait an hour longer
    let left = left.min(LONGEST_TIMEOUT);
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
    fn a_clock_that_was_set_back_gives_a_step_no_longer_than_lambda_ever_does() {
        let now = SystemTime::now();
        let hours = now + Duration::from_secs(7200);
        assert_eq!(budget(hours, now), Duration::from_secs(897));
    }

    #[test]
    fn a_deadline_in_the_past_counts_as_no_deadline() {
        assert_eq!(
            budget(SystemTime::UNIX_EPOCH, SystemTime::now()),
            Duration::from_secs(27)
        );
    }
}
