//! The function that will rotate the secret: finds everything that RotateSecret would refuse, before anything is stored.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::{Client, types::InvocationType};
use tokio::time::timeout;

use super::{Error, Tools, found::Found, place, wanted::Wanted};
use crate::{
    aws::{self, Place, explain},
    policy::{self, Admits},
    settings,
};

/// How long to wait for Lambda. If Lambda cannot be reached from here, RotateSecret reports the same error later.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the function exists, and whether the operator (RotateSecret needs that) and Secrets Manager may invoke it.
pub(super) async fn look(
    tools: &Tools<'_>,
    wanted: &Wanted,
    found: &Found,
    configuration: &SdkConfig,
) -> Result<(), Error> {
    let stored = found.stored.as_ref();
    let rotates = stored.is_some_and(|stored| stored.rotation.is_some());
    let function = tools.arguments.function.as_ref().filter(|_| !rotates);
    let Some(function) = function else {
        return Ok(());
    };
    let place = place::of(tools, wanted, found);
    let admitted = admitted(tools, wanted, configuration, function, place);
    match timeout(PATIENCE, admitted).await {
        Ok(Err(Error::Aws(error))) if error.is_transient() => Ok(()),
        Ok(admitted) => admitted,
        Err(_) => Ok(()),
    }
}

async fn admitted(
    tools: &Tools<'_>,
    wanted: &Wanted,
    configuration: &SdkConfig,
    function: &str,
    place: Option<Place>,
) -> Result<(), Error> {
    let client = Client::new(configuration);
    let dry_run = client.invoke().function_name(function);
    let dry_run = dry_run.invocation_type(InvocationType::DryRun).send().await;
    match dry_run.map_err(|error| explain("lambda:InvokeFunction", error)) {
        Ok(_) => {}
        Err(aws::Error::Absent { .. }) => {
            let function = function.to_owned();
            return Err(Error::NoFunction { function });
        }
        Err(error) => return Err(error.into()),
    }
    // a missing right to read policy or settings does not stop init: a rotation reports the error
    let administrator = &wanted.administrator_arn;
    if wanted.document.administrator().is_some()
        && let Some(settings) = settings::of_function(&client, function).await
        && !settings
            .administrators
            .admit(administrator, &wanted.document)
    {
        return Err(Error::NotListed {
            secret: administrator.clone(),
            function: function.to_owned(),
        });
    }
    let Some(place) = place else {
        return Ok(());
    };
    let Ok(policy) = policy::of(&client, function).await else {
        return Ok(());
    };
    // instead of the six characters that the ARN gets later
    let arn = place.secret(&format!("{}-??????", tools.arguments.name));
    match policy::admits(&policy, &arn) {
        Admits::Nobody => Err(Error::NotAdmitted {
            allow: policy::allow(&tools.shell, function, place.account()).into_text(),
        }),
        Admits::Conditionally | Admits::Anybody | Admits::Perhaps => Ok(()),
    }
}
