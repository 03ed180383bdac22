//! The Security Token Service, as far as who calls and who acts as a role: GetCallerIdentity and AssumeRole.
//!
//! AWS's query protocol: a form at `POST /`, and XML. A form is what tells it from the other services there. Whatever else the
//! service understands is refused by name.

use std::{
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
use url::form_urlencoded;
use uuid::Uuid;

use crate::iam::{ACCOUNT, Denied, Iam, ROOT, Role, Session, TokenError};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const LARGEST_REQUEST: usize = 1 << 20;
/// Unless the request says otherwise, in seconds (docs).
const DURATION: u64 = 3600;

/// The router with forms at its root answered by this service.
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
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let (status, answer) = match answer(&iam, &head.headers, &form) {
        Ok(answer) => (StatusCode::OK, answer),
        Err(refused) => (refused.status, refused.xml()),
    };
    let xml = [(CONTENT_TYPE, HeaderValue::from_static("text/xml"))];
    (status, xml, answer).into_response()
}

fn answer(iam: &Iam, headers: &HeaderMap, form: &[(String, String)]) -> Result<String, Refused> {
    let caller = iam.caller(headers)?;
    let caller = caller.as_ref().unwrap_or(&ROOT);
    let field = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    };
    match field("Action").unwrap_or_default() {
        "GetCallerIdentity" => Ok(get_caller_identity(caller)),
        "AssumeRole" => assume_role(iam, caller, form),
        other => Err(Refused::request(
            "InvalidAction",
            format!("The local STS has no operation {other}; use the real service for it."),
        )),
    }
}

/// Needs no permission, not even where a policy denies it (docs).
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

fn assume_role(iam: &Iam, caller: &Role, form: &[(String, String)]) -> Result<String, Refused> {
    let (mut role, mut session, mut external_id, mut duration) = (None, None, None, DURATION);
    for (field, value) in form {
        match field.as_str() {
            "Action" | "Version" => {}
            "RoleArn" => role = Some(value.as_str()),
            "RoleSessionName" => session = Some(value.as_str()),
            "ExternalId" => external_id = Some(value.as_str()),
            "DurationSeconds" => {
                duration = value.parse().map_err(|_| {
                    Refused::constraint(value, "durationSeconds", "Member must be a number")
                })?;
            }
            // a session that was to be less, or to be told apart, is none without it
            other => {
                return Err(Refused::request(
                    "InvalidParameterValue",
                    format!("The local STS does not know {other}; assume the role without it."),
                ));
            }
        }
    }
    let role = role.ok_or_else(|| Refused::missing("roleArn"))?;
    let session = session.ok_or_else(|| Refused::missing("roleSessionName"))?;
    check_session_name(session)?;
    check_duration(duration, caller)?;
    let assumed = iam.assume(
        caller,
        role,
        session,
        Duration::from_secs(duration),
        external_id,
    )?;
    Ok(response("AssumeRole", &shown(&assumed)))
}

fn shown(assumed: &Session) -> String {
    let role = assumed.role.name().unwrap_or_default();
    let id = format!("{}:{}", role_id(role), assumed.role.session());
    let user = element("AssumedRoleId", &id) + &element("Arn", &assumed.role.session_arn());
    let expiration = assumed.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
    let credentials = [
        ("AccessKeyId", assumed.access_key_id.as_str()),
        ("SecretAccessKey", assumed.secret_access_key.as_str()),
        ("SessionToken", assumed.token.as_str()),
        ("Expiration", &expiration),
    ];
    let credentials: String = credentials
        .iter()
        .map(|(name, value)| element(name, value))
        .collect();
    format!("<AssumedRoleUser>{user}</AssumedRoleUser><Credentials>{credentials}</Credentials>")
}

/// Docs: 2 to 64 of letters, digits and these.
fn check_session_name(name: &str) -> Result<(), Refused> {
    let constraint = match name.len() {
        0 | 1 => "Member must have length greater than or equal to 2",
        65.. => "Member must have length less than or equal to 64",
        _ if name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)) =>
        {
            return Ok(());
        }
        _ => "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
    };
    Err(Refused::constraint(name, "roleSessionName", constraint))
}

/// Every role here has the MaxSessionDuration of one that nobody gave another: an hour.
fn check_duration(seconds: u64, caller: &Role) -> Result<(), Refused> {
    let message = match seconds {
        900..=3600 => return Ok(()),
        0..900 => {
            return Err(Refused::constraint(
                &seconds.to_string(),
                "durationSeconds",
                "Member must have value greater than or equal to 900",
            ));
        }
        43_201.. => {
            return Err(Refused::constraint(
                &seconds.to_string(),
                "durationSeconds",
                "Member must have value less than or equal to 43200",
            ));
        }
        _ if caller.name().is_some() => {
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        }
        _ => "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    };
    Err(Refused::request("ValidationError", message))
}

/// The same for a role each time.
fn role_id(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("AROA{:017X}", hasher.finish())
}

/// An error of this service.
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refused {
    fn request(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    fn constraint(value: &str, field: &str, constraint: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {constraint}"
        );
        Self::request("ValidationError", message)
    }

    fn missing(field: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
        );
        Self::request("ValidationError", message)
    }

    fn xml(&self) -> String {
        let error = element("Type", "Sender")
            + &element("Code", self.code)
            + &element("Message", &self.message);
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>{error}</Error>{}</ErrorResponse>",
            request_id()
        )
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        // the query protocol's names for them
        let code = match error {
            TokenError::Expired => "ExpiredToken",
            TokenError::Invalid => "InvalidClientTokenId",
        };
        Self {
            status: StatusCode::FORBIDDEN,
            code,
            message: error.to_string(),
        }
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        let (status, code) = match denied {
            Denied::ByPolicy(_) => (StatusCode::FORBIDDEN, "AccessDenied"),
            Denied::Unjudged(_) => (StatusCode::BAD_REQUEST, denied.code()),
        };
        Self {
            status,
            code,
            message: denied.to_string(),
        }
    }
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
