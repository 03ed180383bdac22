//! Makes what is missing, step by step. Each step may be interrupted.

use std::time::Duration;

use aws_sdk_secretsmanager::types::{ReplicaRegionType, RotationRulesType};
use rand::rngs::SysRng;
use secrecy::ExposeSecret;
use secret_rotation::{
    document::Document,
    engine::postgres::NewRole,
    password::{Policy, Rules},
};

use super::{
    Error, Tools,
    found::{self, Found, of_the_administrator},
    report::{Done, Made, Report},
    server,
    stored::{self, Rotates, Stored},
    value::read,
    wanted::Wanted,
};
use crate::{
    aws::{self, explain, function_arn},
    retry::persist_if,
    schedule::Interval,
};

/// How long a read may not find the new secret.
const LAG: Duration = Duration::from_secs(10);

/// Makes what is missing.
pub(super) async fn make(
    tools: &Tools<'_>,
    wanted: &Wanted,
    found: Found,
    report: &Report<'_>,
) -> Result<Done, Error> {
    let mut made = Made::default();
    let Stored {
        arn,
        document,
        mut rotation,
    } = match found.stored {
        Some(stored) => {
            report.say(format!("the secret exists, {}", stored.arn))?;
            stored
        }
        None => {
            made.secret = true;
            let stored = store(tools, wanted).await?;
            report.say(format!("the secret is stored, {}", stored.arn))?;
            stored
        }
    };
    let (user, server) = (document.username(), server(&document));
    if !found.logs_in {
        made.role = role(tools, wanted, &document).await.map_err(Error::after(
            "the secret is stored; whether its role exists is unknown",
        ))?;
        report.say(match made.role {
            true => format!("the role {user} is made on {server}"),
            false => format!("the role {user} exists on {server}"),
        })?;
        let accepted = tools.logins.accepts(&document).await;
        let accepted = accepted
            .map_err(Error::from)
            .and_then(|accepted| match accepted {
                true => Ok(()),
                false => Err(found::rejected(tools, &document)),
            });
        accepted.map_err(Error::after("secret and role exist"))?;
    }
    report.say(format!("{user} logs in on {server}"))?;
    if let (None, Some(function)) = (&rotation, &tools.arguments.function) {
        let function = function_arn(&arn, function);
        rotation = Some(rotate(tools, &arn, function).await?);
        made.rotation = true;
    }
    if let Some(Rotates { function, schedule }) = &rotation {
        let schedule = schedule
            .as_ref()
            .map(|schedule| format!(", {}", schedule.text));
        report.say(format!(
            "{function} rotates it{}",
            schedule.unwrap_or_default()
        ))?;
    }
    Ok(Done::new(tools, &document, arn, made, rotation))
}

/// Generates a password, stores it, and reads the stored value.
async fn store(tools: &Tools<'_>, wanted: &Wanted) -> Result<Stored, Error> {
    let arguments = tools.arguments;
    let policy = Policy::new(&Rules::default().url_safe())?;
    let document = wanted.document.with_password(policy.generate(&mut SysRng)?);
    let replicas = arguments.replica.iter();
    let replicas: Vec<_> = replicas
        .map(|region| ReplicaRegionType::builder().region(region).build())
        .collect();
    let request = tools.client.create_secret().name(&arguments.name);
    let request = request
        .description("Rotated by secret-rotation")
        .secret_string(document.to_json().expose_secret())
        .set_kms_key_id(arguments.kms_key.clone())
        .set_add_replica_regions(Some(replicas).filter(|replicas| !replicas.is_empty()));
    let created = request.send().await;
    let created = created.map_err(
        |error| match explain("secretsmanager:CreateSecret", error) {
            aws::Error::Refused { code, .. } if code == "ResourceExistsException" => {
                Error::MadeMeanwhile {
                    name: arguments.name.clone(),
                }
            }
            error if error.is_transient() => {
                Error::after("whether the secret is stored is unknown")(error.into())
            }
            error => error.into(),
        },
    )?;
    let (arn, version) = (
        created.arn().unwrap_or(&arguments.name),
        created.version_id(),
    );
    let is_late =
        |error: &aws::Error| matches!(error, aws::Error::Absent { .. }) || error.is_transient();
    let stored = persist_if(is_late, LAG, || read(&tools.client, arn, version)).await;
    let document = stored
        .map_err(Error::from)
        .and_then(|value| stored::document(tools, &value.text))
        .map_err(Error::after(
            "the secret is stored; its role does not exist yet",
        ))?;
    Ok(Stored {
        arn: arn.to_owned(),
        document,
        rotation: None,
    })
}

/// Makes the role with the stored password. False if another client has made it meanwhile.
async fn role(tools: &Tools<'_>, wanted: &Wanted, stored: &Document) -> Result<bool, Error> {
    let postgres = tools.logins.postgres();
    let made = postgres.make_role(&wanted.administrator, stored).await;
    let made = made.map_err(|error| of_the_administrator(tools, error))?;
    match made {
        NewRole::Missing { .. } => Ok(true),
        NewRole::IsThere => Ok(false),
        NewRole::ShutOut { why, sql } => Err(found::shut_out(wanted, why, sql)),
    }
}

/// Turns rotation on without rotating now: the service only runs testSecret.
async fn rotate(tools: &Tools<'_>, arn: &str, function: String) -> Result<Rotates, Error> {
    let schedule = &tools.arguments.schedule;
    let rules = RotationRulesType::builder().schedule_expression(schedule);
    let request = tools.client.rotate_secret().secret_id(arn);
    let request = request
        .rotation_lambda_arn(&function)
        .rotation_rules(rules.build())
        .rotate_immediately(false);
    let turned_on = request.send().await;
    turned_on.map_err(
        |error| match explain("secretsmanager:RotateSecret", error) {
            error if error.is_transient() => Error::after(
                "secret and role exist; whether rotation is on is unknown",
            )(error.into()),
            aws::Error::Refused { code, message, .. } => Error::NotRotated { code, message },
            error => Error::after("secret and role exist, but rotation is not on")(error.into()),
        },
    )?;
    Ok(Rotates {
        function,
        schedule: Interval::read(Some(schedule), None),
    })
}
