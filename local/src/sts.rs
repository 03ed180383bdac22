//! The Security Token Service: GetCallerIdentity and AssumeRole.
//!
//! AWS's query protocol: a form at `POST /`, and XML. The form distinguishes STS from the other services at this path. All other
//! operations and members are refused by name.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, HeaderMap},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    iam::{ACCOUNT, Denied, Iam, ROOT, Role, Session, TokenError},
    secrets_manager::{
        Member, ServiceError,
        Shape::{Matching, Number, Text},
        check_request, member, required,
    },
};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const LARGEST_REQUEST: usize = 1 << 20;
/// The MaxSessionDuration of every role here: AWS's default, in seconds. A session lasts this long, unless the request sets less (docs).
const HOUR: u64 = 3600;

/// The members of AssumeRole that are served, with the published model's constraints. A request with another member is refused: to
/// ignore it would give another session.
const MEMBERS: [Member; 4] = [
    required("RoleArn", Text(20, 2048)),
    required("RoleSessionName", Matching(2, 64, r"[\w+=,.@-]*")),
    member("DurationSeconds", Number(900, 43_200)),
    member("ExternalId", Matching(2, 1224, r"[\w+=,.@:\/-]*")),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<u64>,
    external_id: Option<String>,
}

/// The router, with STS for forms at its root.
pub fn beside(router: Router, iam: Iam) -> Router {
    router.layer(from_fn_with_state(iam, serve))
}

async fn serve(State(iam): State<Iam>, request: Request, next: Next) -> Response {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if request.uri().path() != "/" || !kind.starts_with("application/x-www-form-urlencoded") {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_REQUEST).await.unwrap_or_default();
    let form = form_urlencoded::parse(&body).into_owned().collect();
    let (status, answer) = match answer(&iam, &head.headers, form) {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => (
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error_body(&error),
        ),
    };
    let xml = [(CONTENT_TYPE, HeaderValue::from_static("text/xml"))];
    (status, xml, answer).into_response()
}

fn answer(
    iam: &Iam,
    headers: &HeaderMap,
    mut form: HashMap<String, String>,
) -> Result<String, ServiceError> {
    let caller = iam.caller(headers).map_err(of_token)?;
    let caller = caller.as_ref().unwrap_or(&ROOT);
    form.remove("Version");
    match form.remove("Action").unwrap_or_default().as_str() {
        "GetCallerIdentity" => Ok(get_caller_identity(caller)),
        "AssumeRole" => assume_role(iam, caller, form),
        other => Err(refused(
            400,
            "InvalidAction",
            format!("The local STS has no operation {other}; use the real service for it."),
        )),
    }
}

/// It needs no permission: even a policy that denies it has no effect (docs).
fn get_caller_identity(caller: &Role) -> String {
    let id = match caller.name() {
        Some(name) => format!("{}:{}", role_id(name), caller.session()),
        None => ACCOUNT.to_owned(),
    };
    let arn = element("Arn", &caller.session_arn());
    response(
        "GetCallerIdentity",
        &(arn + &element("UserId", &id) + &element("Account", ACCOUNT)),
    )
}

fn assume_role(
    iam: &Iam,
    caller: &Role,
    form: HashMap<String, String>,
) -> Result<String, ServiceError> {
    // a form has only text
    let typed = |(name, text): (String, String)| match (name.as_str(), text.parse::<i64>()) {
        ("DurationSeconds", Ok(number)) => (name, number.into()),
        _ => (name, text.into()),
    };
    let request: Map<String, Value> = form.into_iter().map(typed).collect();
    check_request(&MEMBERS, &request).map_err(|error| match error.code.as_str() {
        "ValidationException" => invalid(error.message),
        _ => refused(400, "NotServedByLocalSts", error.message),
    })?;
    let request: AssumeRole = serde_json::from_value(request.into())
        .map_err(|error| invalid(format!("DurationSeconds is no number: {error}")))?;
    check_arn(&request.role_arn)?;
    let seconds = request.duration_seconds.unwrap_or(HOUR);
    check_duration(seconds, caller)?;
    let assumed = iam.assume(
        caller,
        &request.role_arn,
        &request.role_session_name,
        Duration::from_secs(seconds),
        request.external_id.as_deref(),
    );
    Ok(response("AssumeRole", &shown(&assumed.map_err(of_policy)?)))
}

fn shown(assumed: &Session) -> String {
    let role = assumed.role.name().unwrap_or_default();
    let id = format!("{}:{}", role_id(role), assumed.role.session());
    let user = element("AssumedRoleId", &id) + &element("Arn", &assumed.role.session_arn());
    let expiration = assumed.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
    let credentials = [
        ("AccessKeyId", assumed.access_key_id.as_str()),
        ("SecretAccessKey", assumed.secret_access_key.expose_secret()),
        ("SessionToken", assumed.token.expose_secret()),
        ("Expiration", &expiration),
    ];
    let credentials: String = credentials
        .iter()
        .map(|(name, value)| element(name, value))
        .collect();
    format!("<AssumedRoleUser>{user}</AssumedRoleUser><Credentials>{credentials}</Credentials>")
}

/// Messages: recorded for text that is not an ARN; reported by users for an ARN that is not a role's.
fn check_arn(arn: &str) -> Result<(), ServiceError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", "aws", "iam", "", _, resource] if resource.starts_with("role/") => Ok(()),
        ["arn", partition, service, _, _, resource]
            if ![partition, service, resource].contains(&"") =>
        {
            Err(invalid("Request ARN is invalid"))
        }
        _ => Err(invalid(format!("{arn} is invalid"))),
    }
}

fn check_duration(seconds: u64, caller: &Role) -> Result<(), ServiceError> {
    match caller.is_root() {
        _ if seconds <= HOUR => Ok(()),
        true => Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )),
        false => Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )),
    }
}

/// A role's id: always the same for the same name.
fn role_id(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("AROA{:017X}", hasher.finish())
}

fn refused(status: u16, code: &str, message: impl Into<String>) -> ServiceError {
    ServiceError {
        status,
        code: code.to_owned(),
        message: message.into(),
    }
}

fn invalid(message: impl Into<String>) -> ServiceError {
    refused(400, "ValidationError", message)
}

/// Converts the error: the query protocol has its own names for these errors and for a denial.
fn of_token(error: TokenError) -> ServiceError {
    let code = match error {
        TokenError::Expired => "ExpiredToken",
        TokenError::Invalid => "InvalidClientTokenId",
    };
    refused(403, code, error.to_string())
}

fn of_policy(denied: Denied) -> ServiceError {
    match denied {
        Denied::ByPolicy(message) => refused(403, "AccessDenied", message),
        Denied::Unjudged(_) => refused(400, denied.code(), denied.to_string()),
    }
}

fn error_body(error: &ServiceError) -> String {
    let error = element("Type", "Sender")
        + &element("Code", &error.code)
        + &element("Message", &error.message);
    let id = request_id();
    format!("<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>{error}</Error>{id}</ErrorResponse>")
}

fn response(action: &str, result: &str) -> String {
    let result = format!("<{action}Result>{result}</{action}Result>");
    let id = format!("<ResponseMetadata>{}</ResponseMetadata>", request_id());
    format!("<{action}Response xmlns=\"{NAMESPACE}\">{result}{id}</{action}Response>")
}

fn request_id() -> String {
    element("RequestId", &Uuid::new_v4().to_string())
}

fn element(name: &str, text: &str) -> String {
    let text = text
        .replace(|c: char| c.is_control(), "\u{fffd}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<{name}>{text}</{name}>")
}
