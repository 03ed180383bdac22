//! A secret that is not a password: the API key of an outside service.

use std::{io::Write, time::Duration};

use local::{
    key_service::{KeyService, LIMIT, User},
    world::World,
};
use rotating_secret::{RotatingSecret, provider::Aws};
use serde_json::{Value, json};

use super::{Error, failure, show::Show, steps};

/// The number of workers, and each one's pause between two requests.
const WORKERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn show(world: &World, show: &mut Show<'_, impl Write>) -> Result<(), Error> {
    let Some(service) = world.key_service() else {
        return Ok(());
    };
    let id = world.api_key();
    show.heading(&format!(
        "API key, {WORKERS} workers, {LIMIT} keys at a time: RotateSecret {id}"
    ))?;
    let secret = RotatingSecret::builder(id)
        .build(Aws::from_clients([world.aws()]))
        .await
        .map_err(crate::application::Error::from)?;
    let user = User::start(service, &secret, WORKERS, PAUSE)?;
    let old = key(&secret)?;
    all_use(&user, &old).await;

    let rotation = world.secrets_manager().rotate(id).await?;
    show.table(&steps(&rotation))?;
    if !rotation.succeeded {
        return Err(Error::NotRotated(failure(&rotation)));
    }
    let keys = service.keys();
    show.check(
        "the service has two keys: the old one goes on, this is the overlap",
        keys.len() == 2 && keys.contains(&old),
    )?;
    let refreshed = secret.refresh().await;
    refreshed.map_err(|_| Error::NotTrue("the application reads its key"))?;
    let new = key(&secret)?;
    all_use(&user, &new).await;
    show.check("every worker uses the new one", new != old)?;

    let event = json!({ "Step": "revokeSecret", "SecretId": id });
    let invoked = world.function().invoke(event).await;
    invoked
        .outcome
        .map_err(|error| Error::NotRotated(error.to_string()))?;
    show.check(
        "after revokeSecret the new one is all there is",
        service.keys() == [new],
    )?;
    show.check("no request failed", no_request_failed(&user, service))
}

fn key(secret: &RotatingSecret) -> Result<String, Error> {
    let unreadable = Error::NotTrue("the application reads its key");
    let document = secret
        .current()
        .ok()
        .and_then(|read| read.json::<Value>().ok());
    let id = document.and_then(|document| document["key_id"].as_str().map(str::to_owned));
    id.ok_or(unreadable)
}

async fn all_use(user: &User, key: &str) {
    while !user.seen().iter().all(|seen| seen.key == key) {
        tokio::time::sleep(PAUSE / 4).await;
    }
}

/// Counts also requests that the client repeated after a refusal.
fn no_request_failed(user: &User, service: &KeyService) -> bool {
    user.seen().iter().all(|seen| seen.failed == 0) && service.refused() == 0
}
