//! When a rotation is attempted again. The service is spoken to in process, so that time can be paused.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use local::secrets_manager::{Rotation, ServiceError};
use serde_json::json;
use tokio::time::Instant;

use super::*;

/// As others saw the real service do it.
const LIKE_AWS: Retry = Retry {
    attempts: 5,
    interval: Duration::from_secs(100),
};

/// A service whose function fails until the test allows it, and remembers when createSecret was invoked.
struct Retried {
    service: SecretsManager,
    works: Arc<AtomicBool>,
    began: Arc<Mutex<Vec<Instant>>>,
}

impl Retried {
    async fn new() -> Self {
        let works = Arc::<AtomicBool>::default();
        let began = Arc::<Mutex<Vec<Instant>>>::default();
        let itself = Arc::<OnceLock<SecretsManager>>::default();
        let function = (works.clone(), began.clone(), itself.clone());
        let invoke: Invoke = Arc::new(move |event| {
            let (works, began, service) = function.clone();
            if event["Step"] == "createSecret" {
                began.lock().unwrap().push(Instant::now());
            }
            Box::pin(async move {
                let outcome = match works.load(SeqCst) {
                    true => Ok(step(service.get().unwrap(), &event).await),
                    false => Err(FunctionError {
                        error_type: "Test".to_owned(),
                        error_message: "not yet".to_owned(),
                    }),
                };
                invoked(outcome)
            })
        });
        let service = SecretsManager::new(REGION, invoke);
        assert!(itself.set(service.clone()).is_ok());
        service.set_retry(LIKE_AWS);
        let input = json!({ "Name": "demo", "SecretString": "one" });
        service.call("CreateSecret", input).await.unwrap();
        service
            .configure_rotation("demo", "arn:aws:lambda:any", 30)
            .unwrap();
        Self {
            service,
            works,
            began,
        }
    }

    async fn rotate(&self, token: &str) -> Result<Value, ServiceError> {
        let input = json!({ "SecretId": "demo", "ClientRequestToken": token });
        self.service.call("RotateSecret", input).await
    }

    async fn ended(&self, token: &str) -> Rotation {
        self.service.rotation("demo", token).await
    }

    /// When each attempt so far began, in seconds after `start`.
    fn attempts_since(&self, start: Instant) -> Vec<u64> {
        let began = self.began.lock().unwrap();
        began.iter().map(|at| (*at - start).as_secs()).collect()
    }
}

/// Stores a value in createSecret, and makes it current in finishSecret.
async fn step(service: &SecretsManager, event: &Value) -> Value {
    let (secret, token) = (&event["SecretId"], &event["ClientRequestToken"]);
    let call = async |operation, input| service.call(operation, input).await.unwrap();
    match event["Step"].as_str() {
        Some("createSecret") => {
            let input = json!({
                "SecretId": secret, "ClientRequestToken": token, "SecretString": "two", "VersionStages": ["AWSPENDING"],
            });
            call("PutSecretValue", input).await
        }
        Some("finishSecret") => {
            let current = call("GetSecretValue", json!({ "SecretId": secret })).await;
            let input = json!({
                "SecretId": secret, "VersionStage": "AWSCURRENT",
                "MoveToVersionId": token, "RemoveFromVersionId": current["VersionId"],
            });
            call("UpdateSecretVersionStage", input).await
        }
        _ => Value::Null,
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_rotation_is_attempted_as_often_and_at_the_intervals_that_are_set() {
    let world = Retried::new().await;
    let start = Instant::now();
    world.rotate(&token("second")).await.unwrap();
    let rotation = world.ended(&token("second")).await;
    assert!(!rotation.succeeded);
    assert_eq!(world.attempts_since(start), [0, 100, 200, 300, 400]);
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_rotatesecret_the_pending_rotation_is_attempted_again() {
    let world = Retried::new().await;
    world.rotate(&token("second")).await.unwrap();
    world.ended(&token("second")).await;
    world.began.lock().unwrap().clear();
    world.works.store(true, SeqCst);

    let start = Instant::now();
    for _ in 0..2 {
        let refused = world.rotate(&token("third")).await.unwrap_err();
        assert_eq!(
            refused.message,
            "A previous rotation isn't complete. That rotation will be reattempted."
        );
    }
    assert!(world.ended(&token("second")).await.succeeded);
    assert_eq!(world.attempts_since(start), [100], "once, and later");
    world.rotate(&token("third")).await.unwrap();
    assert!(world.ended(&token("third")).await.succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_reattempted_rotation_that_fails_again_is_retried_like_any_other() {
    let world = Retried::new().await;
    // left by another service: no rotation of this one ever ran
    world.service.stage("demo", &token("second")).unwrap();
    let start = Instant::now();
    world.rotate(&token("third")).await.unwrap_err();
    assert!(!world.ended(&token("second")).await.succeeded);
    assert_eq!(world.attempts_since(start), [100, 200, 300, 400, 500]);
}

#[tokio::test(start_paused = true)]
async fn while_rotation_is_off_nothing_is_attempted_again() {
    let world = Retried::new().await;
    world.rotate(&token("second")).await.unwrap();
    world.ended(&token("second")).await;
    let off = json!({ "SecretId": "demo" });
    let service = &world.service;
    service.call("CancelRotateSecret", off).await.unwrap();
    world.rotate(&token("third")).await.unwrap_err();
    tokio::time::sleep(LIKE_AWS.interval * 10).await; // of the paused clock: it goes on at once
    let rotation = world.ended(&token("second")).await;
    assert_eq!(rotation.attempts.len(), 5, "{rotation:?}");
}
