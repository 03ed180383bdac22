//! The age check: the real function says whether every secret rotates in time.

#![cfg(test)]

mod common;

use common::{answers, assert_error, call, options_with, rotate, start, warm_world, world};
use local::{invocation::Invoked, secrets_manager::Fault, world::World};
use serde_json::{Value, json};

async fn check(world: &World) -> Invoked {
    let event = include_str!("../events/checkAge.json");
    let event = serde_json::from_str(event).unwrap();
    world.function().invoke(event).await
}

/// The lines of the log, each a JSON object.
fn lines(invoked: &Invoked) -> Vec<Value> {
    let lines = invoked.log.iter();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The check's own line.
fn line(invoked: &Invoked) -> Value {
    let mut lines = lines(invoked).into_iter();
    lines.find(|line| line["check"] == "age").unwrap()
}

/// A metric as CloudWatch reads it from the log, with the function as its only dimension.
fn metric(invoked: &Invoked, name: &str) -> Option<f64> {
    let document = lines(invoked)
        .into_iter()
        .find(|line| !line[name].is_null() && line["_aws"].is_object())?;
    let declared = &document["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(declared["Namespace"], "SecretRotation");
    assert_eq!(declared["Dimensions"], json!([["FunctionName"]]));
    match &document[name] {
        Value::Array(values) => values[0].as_f64(),
        value => value.as_f64(),
    }
}

#[tokio::test]
async fn no_secret_is_overdue_before_its_date_and_the_oldest_counts() {
    let world = world().await;
    let service = world.secrets_manager();
    service.age(world.single_user(), 20).unwrap();
    service.age(world.alternating_users(), 12).unwrap();
    let checked = check(&world).await;
    let expected = json!({ "check": "age", "secrets": 2, "oldest_age_days": 20, "overdue": 0 });
    assert_eq!(checked.outcome.clone().unwrap(), expected);
    assert_eq!(line(&checked)["level"], "INFO");
    let oldest = metric(&checked, "OldestAge").unwrap() / 86_400.0;
    assert!((20.0..20.1).contains(&oldest), "{oldest}");
    assert_eq!(metric(&checked, "Overdue"), Some(0.0));
}

#[tokio::test]
async fn an_overdue_secret_is_counted_and_named_until_it_has_rotated() {
    let world = world().await;
    let service = world.secrets_manager();
    service.age(world.single_user(), 40).unwrap();
    service.age(world.alternating_users(), 3).unwrap();
    let checked = check(&world).await;
    let expected = json!({ "check": "age", "secrets": 2, "oldest_age_days": 40, "overdue": 1 });
    assert_eq!(checked.outcome.clone().unwrap(), expected);
    let line = line(&checked);
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["names"], world.single_user());
    assert_eq!(metric(&checked, "Overdue"), Some(1.0));

    assert!(rotate(&world, world.single_user()).await.succeeded);
    let outcome = check(&world).await.outcome.unwrap();
    let expected = json!({ "check": "age", "secrets": 2, "oldest_age_days": 3, "overdue": 0 });
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_step_after_a_check_does_not_publish_its_metrics_again() {
    let world = warm_world().await;
    check(&world).await;
    let rotation = rotate(&world, world.single_user()).await;
    assert_eq!(world.function().environments(), 1);
    for run in &rotation.attempts[0].steps {
        assert_eq!(metric(&run.invoked, "Overdue"), None, "{}", run.step);
        assert_eq!(metric(&run.invoked, "OldestAge"), None, "{}", run.step);
    }
}

#[tokio::test]
async fn only_the_secrets_of_this_function_count_on_every_page_of_the_list() {
    let world = world().await;
    let service = world.secrets_manager();
    let own = world.function().arn();
    for number in 0..150 {
        let name = format!("many/{number:03}");
        let input = json!({ "Name": name, "SecretString": "x" });
        call(&world, "CreateSecret", input).await;
    }
    for (name, function) in [
        (
            "many/000",
            "arn:aws:lambda:us-east-1:123456789012:function:other",
        ),
        (
            "many/001",
            "arn:aws:lambda:us-east-1:123456789012:function:secret-rotation-2",
        ),
        ("many/002", &own),
        ("many/148", &own),
        ("many/149", &format!("{own}:live")),
    ] {
        service.configure_rotation(name, function, 30).unwrap();
        service.age(name, 100).unwrap();
    }
    let off = json!({ "SecretId": "many/002" });
    call(&world, "CancelRotateSecret", off).await;

    let checked = check(&world).await;
    let expected = json!({ "check": "age", "secrets": 4, "oldest_age_days": 100, "overdue": 2 });
    assert_eq!(checked.outcome.clone().unwrap(), expected);
    assert_eq!(line(&checked)["names"], "many/148 many/149");
    assert_eq!(line(&checked)["api_calls"], 2);
}

#[tokio::test]
async fn an_incomplete_list_is_an_error_and_not_zero_overdue_secrets() {
    let world = world().await;
    for (code, error_type) in [
        ("ThrottlingException", "Throttled"),
        ("AccessDeniedException", "AccessDenied"),
    ] {
        let fault = Fault::on("ListSecrets", answers(code)).times(3);
        world.secrets_manager().inject(fault);
        let checked = check(&world).await;
        let failure = checked.outcome.clone().unwrap_err();
        assert_error(&failure, error_type, "ListSecrets");
        assert_eq!(metric(&checked, "Overdue"), None);
        let counted = lines(&checked)
            .into_iter()
            .find(|line| line["Failures"] == 1 && line.get("Step").is_some())
            .unwrap();
        assert_eq!(counted["Step"], "ageCheck");
        assert_eq!(counted["ErrorType"], error_type);
    }
}

#[tokio::test]
async fn an_unknown_check_is_refused_and_so_are_broken_settings() {
    let world = world().await;
    let event = json!({ "Check": "everything" });
    let failure = world.function().invoke(event).await.outcome.unwrap_err();
    assert_eq!(failure.error_type, "CheckUnknown");

    let world = start(options_with(&[("OVERLAP_WINDOW", "soon")])).await;
    let failure = check(&world).await.outcome.unwrap_err();
    assert_eq!(failure.error_type, "SettingInvalid");
}
