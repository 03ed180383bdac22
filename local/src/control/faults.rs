//! Faults as JSON.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, read};
use crate::secrets_manager::{
    Behavior, Fault, Hang, LAGGING, SecretsManager, ServiceError, When, operations,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    operation: String,
    secret: Option<String>,
    #[serde(default = "once")]
    times: usize,
    behavior: Kind,
    when: Option<Side>,
    time: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
}

fn once() -> usize {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Delay,
    Hang,
    Throttle,
    Error,
    Lag,
    Cut,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Before,
    After,
}

pub(super) async fn list(State(service): State<SecretsManager>) -> Json<Value> {
    let faults: Vec<Value> = service.faults().iter().map(shown).collect();
    Json(json!({ "faults": faults }))
}

pub(super) async fn set(
    State(service): State<SecretsManager>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let id = service.inject(fault(read(&body)?).map_err(Refused::request)?);
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

pub(super) async fn clear(State(service): State<SecretsManager>) -> Json<Value> {
    Json(json!({ "cleared": service.clear_faults(None) }))
}

pub(super) async fn clear_one(
    State(service): State<SecretsManager>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let cleared = id.parse().map(|id| service.clear_faults(Some(id)));
    match cleared.unwrap_or_default() {
        0 => {
            let error =
                format!("the fault {id} does not exist: GET /_local/faults lists all faults");
            Err(Refused(StatusCode::NOT_FOUND, error))
        }
        cleared => Ok(Json(json!({ "cleared": cleared }))),
    }
}

/// The error says what is wrong, then what is allowed.
fn fault(wanted: Wanted) -> Result<Fault, String> {
    let operation = wanted.operation.as_str();
    if !operations().any(|served| served == operation) {
        let all: Vec<_> = operations().collect();
        return Err(format!(
            "Secrets Manager has no operation {operation:?}: name one of {}",
            all.join(", ")
        ));
    }
    if wanted.times == 0 {
        return Err(
            "times is 0: write how many requests get the fault, or leave it out for one".to_owned(),
        );
    }
    let behavior = behavior(&wanted)?;
    let fault = Fault::on(operation, behavior).times(wanted.times);
    Ok(match &wanted.secret {
        Some(secret) => fault.secret(secret),
        None => fault,
    })
}

fn behavior(wanted: &Wanted) -> Result<Behavior, String> {
    let kind = wanted.behavior;
    let allowed: &[&str] = match kind {
        Kind::Delay => &["time"],
        Kind::Hang | Kind::Cut => &["when"],
        Kind::Error => &["code", "status", "message"],
        Kind::Throttle | Kind::Lag => &[],
    };
    let given = [
        ("when", wanted.when.is_some()),
        ("time", wanted.time.is_some()),
        ("status", wanted.status.is_some()),
        ("code", wanted.code.is_some()),
        ("message", wanted.message.is_some()),
    ];
    let name = format!("{kind:?}").to_lowercase();
    let useless = |(field, given): &&(&str, bool)| *given && !allowed.contains(field);
    if let Some((field, _)) = given.iter().find(useless) {
        let of_it = match allowed {
            [] => "it has no fields of its own".to_owned(),
            fields => format!("it has {}", fields.join(", ")),
        };
        return Err(format!("the behavior {name} has no field {field}: {of_it}"));
    }
    let when = || match wanted.when {
        Some(Side::Before) => Ok(When::BeforeEffect),
        Some(Side::After) => Ok(When::AfterEffect),
        None => Err(format!(
            "the behavior {name} needs a when: before or after the request's effect"
        )),
    };
    Ok(match kind {
        Kind::Delay => {
            let time = wanted.time.as_deref().unwrap_or_default();
            let time = humantime::parse_duration(time).map_err(|error| {
                format!("the behavior delay needs a time ({error}): write it as 3s or 500ms")
            })?;
            Behavior::Delay(time)
        }
        Kind::Hang => Behavior::Hang(when()?, Hang::default()),
        Kind::Cut => Behavior::Drop(when()?),
        Kind::Throttle => error(400, "ThrottlingException", "Rate exceeded"),
        Kind::Error => {
            let code = wanted.code.as_deref().ok_or(
                "the behavior error needs a code: ResourceNotFoundException, InternalServiceError or another one of AWS's",
            )?;
            let status = wanted.status.unwrap_or(400);
            if !(400..600).contains(&status) {
                return Err(format!(
                    "{status} is not the status of an error: write one from 400 to 599"
                ));
            }
            error(
                status,
                code,
                wanted
                    .message
                    .as_deref()
                    .unwrap_or("A fault that a test has set."),
            )
        }
        Kind::Lag if !LAGGING.contains(&wanted.operation.as_str()) => {
            return Err(format!(
                "{} does not lag: name one of {}",
                wanted.operation,
                LAGGING.join(", ")
            ));
        }
        Kind::Lag => Behavior::Lag,
    })
}

fn error(status: u16, code: &str, message: &str) -> Behavior {
    Behavior::Error(ServiceError {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    })
}

fn shown(fault: &Fault) -> Value {
    let when = |when: &When| match when {
        When::BeforeEffect => "before",
        When::AfterEffect => "after",
    };
    let mut shown = match &fault.behavior {
        Behavior::Delay(time) => {
            json!({ "behavior": "delay", "time": humantime::format_duration(*time).to_string() })
        }
        Behavior::Hang(side, hang) => {
            json!({ "behavior": "hang", "when": when(side), "holds": hang.holds() })
        }
        Behavior::Drop(side) => json!({ "behavior": "cut", "when": when(side) }),
        Behavior::Lag => json!({ "behavior": "lag" }),
        Behavior::Error(error) => json!({
            "behavior": "error", "status": error.status, "code": error.code, "message": error.message,
        }),
    };
    shown["id"] = fault.id().into();
    shown["operation"] = fault.operation.as_str().into();
    shown["secret"] = fault.secret.as_deref().into();
    shown["times"] = fault.times.into();
    shown
}
