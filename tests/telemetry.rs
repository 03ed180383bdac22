//! What a step writes: one line of JSON, and its metrics.

#![cfg(test)]

mod common;

use common::{invoke, rotate, stage, warm_world, world};
use local::invocation::Invoked;
use serde_json::{Value, json};

/// The step's one line, and the metric documents beside it.
fn line_and_metrics(invoked: &Invoked) -> (Value, Vec<Value>) {
    let lines = invoked
        .log
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (metrics, mut logged): (Vec<_>, Vec<_>) =
        lines.partition(|line| line.get("_aws").is_some());
    assert_eq!(logged.len(), 1, "{logged:?}");
    (logged.remove(0), metrics)
}

#[tokio::test]
async fn each_step_writes_one_line_of_json_and_its_metrics() {
    let world = warm_world().await; // calls and logins are counted
    let rotation = rotate(&world, world.single_user()).await;
    let [attempt] = &rotation.attempts[..] else {
        panic!("{rotation:?}")
    };
    let costs = [(3, 0), (2, 1), (1, 1), (2, 0)];
    for (run, (api_calls, connections)) in attempt.steps.iter().zip(costs) {
        let (line, metrics) = line_and_metrics(&run.invoked);
        assert_eq!(
            line["secret"],
            world.secrets_manager().arn(world.single_user()).unwrap()
        );
        assert_eq!(line["version"], rotation.token);
        assert_eq!(line["step"], run.step);
        assert_eq!(
            line["outcome"],
            run.invoked.outcome.as_ref().unwrap()["outcome"]
        );
        assert!(line["milliseconds"].as_f64().unwrap() > 0.0, "{line}");
        assert_eq!(
            (&line["api_calls"], &line["connections"]),
            (&api_calls.into(), &connections.into()),
            "{line}"
        );

        let duration = metrics
            .iter()
            .find(|document| document.get("StepDuration").is_some())
            .unwrap();
        assert_eq!(duration["Step"], run.step);
        assert_eq!(
            duration["_aws"]["CloudWatchMetrics"][0]["Namespace"],
            "SecretRotation"
        );
        // a deployment beside this one has alarms of its own
        assert_eq!(duration["FunctionName"], "secret-rotation");
        assert_eq!(
            duration["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0],
            json!(["FunctionName", "Step"])
        );
        let has = |name: &str| metrics.iter().any(|document| document.get(name).is_some());
        assert_eq!(has("Rotations"), run.step == "finishSecret");
        assert_eq!(has("ReplacedVersionAge"), run.step == "setSecret");
    }
}

#[tokio::test]
async fn under_alternating_users_the_age_of_the_replaced_version_is_finishsecrets_to_tell() {
    let world = world().await;
    let rotation = rotate(&world, world.alternating_users()).await;
    for run in &rotation.attempts[0].steps {
        let (_, metrics) = line_and_metrics(&run.invoked);
        let told = metrics
            .iter()
            .any(|document| document.get("ReplacedVersionAge").is_some());
        assert_eq!(told, run.step == "finishSecret", "{}", run.step);
    }
}

#[tokio::test]
async fn a_failed_step_writes_its_line_and_counts_by_step_and_error_type() {
    let world = world().await;
    stage(&world, world.single_user());
    let invoked = invoke(&world, world.single_user(), "setSecret").await;
    let (line, metrics) = line_and_metrics(&invoked);
    assert_eq!(
        (&line["level"], &line["outcome"]),
        (&"ERROR".into(), &"failed".into())
    );
    assert_eq!(line["error_type"], "NoPendingValue");
    let failures = metrics
        .iter()
        .filter(|document| document.get("Failures").is_some());
    let by_kind = |document: &&Value| document.get("Step").is_some();
    let (kinds, alarms): (Vec<_>, Vec<_>) = failures.partition(by_kind);
    assert_eq!((kinds.len(), alarms.len()), (1, 1));
    assert_eq!(
        (&kinds[0]["Step"], &kinds[0]["ErrorType"]),
        (&"setSecret".into(), &"NoPendingValue".into())
    );
    for counted in [kinds[0], alarms[0]] {
        assert_eq!(counted["Failures"].to_string(), "1");
        assert_eq!(counted["FunctionName"], "secret-rotation");
    }
    let dimensions = &alarms[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0];
    assert_eq!(*dimensions, json!(["FunctionName"]));
}
