//! No log, answer or metric of the function holds a secret. `tests/leaks` searches more places, and more forms.

#![cfg(test)]

mod common;

use common::{
    STEPS, answers, inject, invoke, options, options_with, rotate, stage, stage_up_to, start,
    verifier, warm, warm_world, world,
};
use local::{invocation::Invoked, postgres::Settings, secrets_manager::Rotation, world::World};
use serde_json::{Value, json};

/// A world that logs as much as it can: the function at TRACE, the server each statement.
async fn talkative_world() -> World {
    let conf = "log_statement = 'all'\nlog_min_duration_statement = 0\nlog_min_messages = debug1\n";
    let settings = Settings {
        conf: conf.to_owned(),
        ..Settings::default()
    };
    start(options_with(&[("LOG_LEVEL", "TRACE")]).own_postgres(settings)).await
}

fn lines(rotation: &Rotation) -> Vec<String> {
    let steps = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    steps.flat_map(|step| written(&step.invoked)).collect()
}

/// The log and the answer of a step.
fn written(invoked: &Invoked) -> Vec<String> {
    let answer = match &invoked.outcome {
        Ok(answer) => answer.to_string(),
        Err(error) => error.to_string(),
    };
    invoked.log.iter().cloned().chain([answer]).collect()
}

/// Every password and key that the secrets hold now, the administrators' too.
async fn passwords(world: &World) -> Vec<String> {
    let mut passwords = Vec::new();
    for secret in [
        world.single_user(),
        world.alternating_users(),
        world.admin(),
    ] {
        for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
            passwords.extend(common::password(world, secret, label).await);
        }
    }
    if let Some(service) = world.key_service() {
        let mut documents = vec![service.master()];
        for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
            documents.extend(common::document(world, world.api_key(), label).await);
        }
        let key = |document: &Value| document["key"].as_str().unwrap().to_owned();
        passwords.extend(documents.iter().map(key));
    }
    passwords
}

/// The parts of a verifier with which an attacker can try passwords or impersonate the server.
async fn verifier_parts(world: &World) -> Vec<String> {
    let verifier = verifier(world.postgres(), world.role()).await.unwrap();
    let mut parts: Vec<String> = verifier.split(['$', ':']).map(str::to_owned).collect();
    parts.retain(|part| part.len() > 20);
    assert_eq!(parts.len(), 3, "salt, stored key and server key");
    parts
}

fn rotation_tokens(world: &World) -> Vec<String> {
    let calls = world.secrets_manager().calls();
    calls
        .into_iter()
        .filter_map(|call| call.rotation_token)
        .collect()
}

/// The secret as it is, and as in a JSON string, an SQL literal or a Debug output.
fn assert_absent(what: &str, secrets: &[String], text: &str) {
    assert!(
        !secrets.is_empty(),
        "{what}: there is nothing to search for"
    );
    for secret in secrets {
        let quoted = Value::from(secret.as_str()).to_string();
        for form in [
            secret.clone(),
            quoted[1..quoted.len() - 1].to_owned(),
            secret.replace('\'', "''"),
        ] {
            assert!(
                !text.contains(&form),
                "{what} was written, in a line like:\n{}",
                redacted(text, &form)
            );
        }
    }
}

fn redacted(text: &str, secret: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.contains(secret))
        .unwrap_or_default();
    line.replace(secret, "<secret>")
}

#[tokio::test]
async fn no_log_at_any_level_holds_a_password_a_verifier_or_a_rotation_token() {
    let world = talkative_world().await;
    let mut secrets = passwords(&world).await;
    let mut function = Vec::new();
    for secret in [
        world.single_user(),
        world.alternating_users(),
        world.single_user(),
    ] {
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded);
        function.extend(lines(&rotation));
        secrets.extend(passwords(&world).await);
    }
    for step in ["rollbackSecret", "revokeSecret"] {
        let event = json!({ "Step": step, "SecretId": world.alternating_users() });
        let invoked = world.function().invoke(event).await;
        assert!(invoked.outcome.is_ok(), "{step}: {:?}", invoked.outcome);
        function.extend(written(&invoked));
    }
    let server = world.postgres().log().unwrap();

    assert!(
        function.len() >= 16,
        "a line and an answer for each step: {function:?}"
    );
    let function = function.join("\n");
    assert_absent("a password", &secrets, &function);
    assert_absent("a password", &secrets, &server);
    assert_absent("a verifier", &verifier_parts(&world).await, &function);
    assert_absent("a RotationToken", &rotation_tokens(&world), &function);
    assert!(
        server.contains("ALTER ROLE"),
        "the server did log its statements"
    );
}

#[tokio::test]
async fn no_failure_writes_a_secret() {
    let world = talkative_world().await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let secrets = passwords(&world).await;
    let mut function = Vec::new();
    // a statement that fails: its text holds the verifier
    let holder = world.postgres().superuser_client().await.unwrap();
    let holds = "BEGIN; ALTER ROLE orders CONNECTION LIMIT 50";
    holder.batch_execute(holds).await.unwrap();
    let failed = invoke(&world, secret, "setSecret").await;
    function.extend(written(&failed));
    assert_eq!(failed.outcome.unwrap_err().error_type, "RoleLocked");
    holder.batch_execute("ROLLBACK").await.unwrap();
    for fault in [
        "AccessDeniedException",
        "ValidationException",
        "InternalServiceError",
    ] {
        for operation in ["GetSecretValue", "PutSecretValue", "DescribeSecret"] {
            inject(&world, operation, answers(fault));
        }
        for step in STEPS.iter().take(3) {
            function.extend(written(&invoke(&world, secret, step).await));
        }
    }
    let function = function.join("\n");
    assert!(function.contains("error_type"), "{function}");
    assert_absent("a password", &secrets, &function);
    assert_absent("a password", &secrets, &world.postgres().log().unwrap());
    assert_absent("a verifier", &verifier_parts(&world).await, &function);
}

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
        // another deployment in the account has its own alarms
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
async fn one_step_of_a_rotation_reports_the_age_of_the_replaced_version_although_none_remembers_another()
 {
    let world = world().await;
    for (secret, step) in [
        (world.single_user(), "setSecret"),
        (world.alternating_users(), "finishSecret"),
    ] {
        let rotation = rotate(&world, secret).await;
        for run in &rotation.attempts[0].steps {
            let (_, metrics) = line_and_metrics(&run.invoked);
            let published = metrics
                .iter()
                .any(|document| document.get("ReplacedVersionAge").is_some());
            assert_eq!(published, run.step == step, "{secret} {}", run.step);
        }
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

#[tokio::test]
async fn the_demo_shows_both_strategies_a_revocation_an_api_key_and_no_password() {
    let options = drill::demo::options(options()).own_postgres(Settings::default());
    let world = start(warm(options)).await; // calls and logins are counted
    let mut secrets = passwords(&world).await;
    let mut shown = Vec::new();
    drill::demo::run(&world, &mut shown, false, 2)
        .await
        .unwrap();
    secrets.extend(passwords(&world).await);

    let shown = String::from_utf8(shown).unwrap();
    assert_absent("a password", &secrets, &shown);
    for (text, times) in [
        ("✔ the old password is refused (28P01)", 1),
        ("8 API calls, 2 logins, 0 of them rejected", 1),
        ("10 API calls, 3 logins, 0 of them rejected", 2),
        ("✔ after the window PostgreSQL refuses the old password", 1),
        ("✔ the session that it had opened is gone", 1),
        ("✔ after revokeSecret the new one is all there is", 1),
        ("✔ no request failed", 3),
    ] {
        assert_eq!(shown.matches(text).count(), times, "{text}: {shown}");
    }
}
