//! The time during which nobody can log in with AWSCURRENT: from the new password to the new label.

use std::time::{Duration, Instant};

use local::{postgres, world::World};
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::rotate::rotate;
use crate::demo::Error;

/// Rotates a secret of a single user, and looks all the time at the user's password on the server and at the label.
///
/// # Errors
///
/// The rotation fails.
pub(super) async fn time(world: &World, secret: &str) -> Result<Duration, Error> {
    let superuser = world.postgres().superuser_client().await?;
    let password = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
    let password = superuser
        .prepare(password)
        .await
        .map_err(postgres::Error::from)?;
    let on_server = async || {
        let row = superuser.query_one(&password, &[&world.role()]).await;
        Ok::<String, Error>(row.map_err(postgres::Error::from)?.get(0))
    };
    let old = on_server().await?;
    let label = current(world, secret).await?;
    let watch = async {
        while on_server().await? == old {}
        let began = Instant::now();
        while current(world, secret).await? == label {
            yield_now().await;
        }
        Ok(began.elapsed())
    };
    let (_, gap) = tokio::try_join!(rotate(world, secret), watch)?;
    Ok(gap)
}

/// The id of the version with AWSCURRENT.
async fn current(world: &World, secret: &str) -> Result<Value, Error> {
    let read = json!({ "SecretId": secret });
    let mut version = world.secrets_manager().call("GetSecretValue", read).await?;
    Ok(version["VersionId"].take())
}
