//! IAM decides about each call of a function's API, before the API does.

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::iam::{ACCOUNT, Denied, Iam, Keys};

#[derive(Clone)]
struct Guarded {
    iam: Iam,
    region: String,
}

/// The API behind IAM. Every path below it names a function.
pub(crate) fn guard(router: Router, iam: Iam, region: &str) -> Router {
    let guarded = Guarded {
        iam,
        region: region.to_owned(),
    };
    router.route_layer(middleware::from_fn_with_state(guarded, check))
}

async fn check(
    State(Guarded { iam, region }): State<Guarded>,
    Path(function): Path<String>,
    request: Request,
    next: Next,
) -> Response {
    let caller = match iam.caller(request.headers()) {
        Ok(Some(caller)) => caller,
        Ok(None) => return next.run(request).await,
        Err(error) => {
            let body = Json(json!({ "message": error.to_string() }));
            let code = [("x-amzn-errortype", error.code())];
            return (StatusCode::FORBIDDEN, code, body).into_response();
        }
    };
    let action = match request.uri().path().rsplit('/').next() {
        Some("invocations") => "lambda:InvokeFunction",
        Some("configuration") => "lambda:GetFunctionConfiguration",
        Some("policy") if request.method() == Method::POST => "lambda:AddPermission",
        Some("policy") => "lambda:GetPolicy",
        _ => "lambda:GetFunction",
    };
    let resource = if function.starts_with("arn:") {
        function
    } else {
        format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{function}")
    };
    let mut keys = Keys::default();
    keys.set("aws:RequestedRegion", [region]);
    let denied = match caller.check(action, &resource, &keys) {
        Ok(()) => return next.run(request).await,
        Err(denied) => denied,
    };
    let status = match denied {
        Denied::ByPolicy(_) => StatusCode::FORBIDDEN,
        Denied::Unjudged(_) => StatusCode::BAD_REQUEST,
    };
    let body = Json(json!({ "Message": denied.to_string() }));
    (status, [("x-amzn-errortype", denied.code())], body).into_response()
}
