//! CloudWatch Logs for an operator's command that reads the function's log: FilterLogEvents.
//!
//! The log group is the function's own, `/aws/lambda/<name>`. Like the real one, it does not exist before the first invocation.
//! Patterns compare JSON fields with strings, joined by `||`. All other options of the service are refused by name: no test may
//! pass because a pattern was ignored.

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    iam::{ACCOUNT, Iam, Keys, Role, TokenError},
    lambda::{Function, LogLine},
};

const TARGET: &str = "Logs_20140328.";
/// Events on a page, if the request does not ask for fewer (docs: 10,000).
const PAGE: usize = 10_000;
const LARGEST_REQUEST: usize = 1 << 20;

/// Adds CloudWatch Logs to the router: it answers from this function's log, if IAM allows it. The services share one path; a header
/// with the operation distinguishes them.
pub fn beside(router: Router, function: Function, iam: Iam) -> Router {
    router.layer(from_fn_with_state((function, iam), serve))
}

async fn serve(
    State((function, iam)): State<(Function, Iam)>,
    request: Request,
    next: Next,
) -> Response {
    let caller = iam.caller(request.headers());
    let target = request.headers().get("x-amz-target");
    let target = target
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    let Some(operation) = target.strip_prefix(TARGET).map(str::to_owned) else {
        return next.run(request).await;
    };
    let body = to_bytes(request.into_body(), LARGEST_REQUEST)
        .await
        .unwrap_or_default();
    let answer = match operation.as_str() {
        "FilterLogEvents" => serde_json::from_slice(&body)
            .map_err(|error| Refused("InvalidParameterException", error.to_string()))
            .and_then(|input| may_filter(&caller, &function, &input).map(|()| input))
            .and_then(|input| filter_log_events(&function, input)),
        other => Err(Refused(
            "UnknownOperationException",
            format!("{other} is not served here."),
        )),
    };
    let mut response = match answer {
        Ok(answer) => answer.to_string().into_response(),
        Err(Refused(code, message)) => (
            StatusCode::BAD_REQUEST,
            json!({ "__type": code, "message": message }).to_string(),
        )
            .into_response(),
    };
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.1"),
    );
    response
}

struct Refused(&'static str, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FilterLogEvents {
    log_group_name: String,
    filter_pattern: Option<String>,
    /// Milliseconds since 1970.
    start_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<usize>,
}

fn may_filter(
    caller: &Result<Option<Role>, TokenError>,
    function: &Function,
    input: &FilterLogEvents,
) -> Result<(), Refused> {
    let caller = match caller {
        Ok(Some(caller)) => caller,
        Ok(None) => return Ok(()),
        Err(error) => return Err(Refused(error.code(), error.to_string())),
    };
    let region = function.region();
    let group = format!(
        "arn:aws:logs:{region}:{ACCOUNT}:log-group:{}:*",
        input.log_group_name
    );
    let mut keys = Keys::default();
    keys.set("aws:RequestedRegion", [region]);
    caller
        .check("logs:FilterLogEvents", &group, &keys)
        .map_err(|denied| Refused(denied.code(), denied.to_string()))
}

fn filter_log_events(function: &Function, input: FilterLogEvents) -> Result<Value, Refused> {
    let log = function.log();
    if input.log_group_name != function.log_group() || log.is_empty() {
        return Err(Refused(
            "ResourceNotFoundException",
            "The specified log group does not exist.".to_owned(),
        ));
    }
    let invalid = |message: String| Refused("InvalidParameterException", message);
    let limit = input.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(invalid(format!("limit must be within 1 and {PAGE}.")));
    }
    // a token is the position of the page's first line in the log
    let first = match &input.next_token {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| invalid("The specified nextToken is invalid.".to_owned()))?,
    };
    let pattern = match &input.filter_pattern {
        None => Vec::new(),
        Some(text) => {
            pattern(text).ok_or_else(|| invalid(format!("Invalid filter pattern: {text}")))?
        }
    };
    let found: Vec<(usize, &LogLine)> = log
        .iter()
        .enumerate()
        .skip(first)
        .filter(|(_, line)| input.start_time.is_none_or(|start| line.time >= start))
        .filter(|(_, line)| matches(&pattern, &line.text))
        .take(limit)
        .collect();
    let mut answer = json!({ "searchedLogStreams": [] });
    if let Some((last, _)) = found.last().filter(|_| found.len() == limit) {
        answer["nextToken"] = (last + 1).to_string().into();
    }
    answer["events"] = found
        .into_iter()
        .map(|(place, line)| {
            json!({
                "eventId": place.to_string(), "logStreamName": "local", "message": line.text,
                "timestamp": line.time, "ingestionTime": line.time,
            })
        })
        .collect();
    Ok(answer)
}

/// Parses `{ $.field = "value" || $.field = "value" }`. One comparison must match.
fn pattern(text: &str) -> Option<Vec<(String, String)>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    inner
        .split("||")
        .map(|term| {
            let (field, value) = term.split_once('=')?;
            let field = field.trim().strip_prefix("$.")?;
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            let plain = |text: &str| !text.is_empty() && !text.contains(['"', '*', '&', '(']);
            (plain(field) && plain(value)).then(|| (field.to_owned(), value.to_owned()))
        })
        .collect()
}

/// A line that is not a JSON object has no fields.
fn matches(pattern: &[(String, String)], line: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    pattern.iter().any(|(field, value)| line[field] == **value)
}
