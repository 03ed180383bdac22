//! Vault's wire format: a request, the envelope of an answer, and what may come in its place.

use rustify::{
    Endpoint,
    enums::{RequestMethod, RequestType, ResponseType},
    errors::ClientError,
};
use secrecy::zeroize::Zeroize;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{super::ProviderError, Kind, Vault};

/// A request, as rustify describes it.
pub(super) struct Request {
    method: RequestMethod,
    path: String,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(super) fn read(path: String) -> Self {
        Self {
            method: RequestMethod::GET,
            path,
            body: None,
        }
    }

    /// Asks for the role's default time: it names no increment.
    pub(super) fn renew(lease: &str) -> Self {
        Self {
            method: RequestMethod::PUT,
            path: "sys/leases/renew".to_owned(),
            body: Some(json!({ "lease_id": lease }).to_string().into_bytes()),
        }
    }
}

impl Endpoint for Request {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.body.clone())
    }
}

/// The envelope of every answer.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Answer<T> {
    pub(super) data: Option<T>,
    #[serde(default)]
    pub(super) lease_id: String,
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// Why there is no answer. It may hold a body, so it has no Debug.
pub(super) enum Failure {
    /// A status other than success, and the body that came with it.
    Status { code: u16, body: String },
    /// The request or the answer did not arrive.
    NoAnswer(String),
    /// The answer does not match Vault's reference.
    Garbled,
    /// The question does not fit into a request: the secret's id has a character too many, for example.
    Unaskable,
}

impl Failure {
    /// Vault's own reasons; `None` if something else has answered in its place.
    pub(super) fn reasons(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<String>,
        }
        let Self::Status { body, .. } = self else {
            return None;
        };
        let errors: Errors = serde_json::from_str(body).ok()?;
        Some(errors.errors)
    }
}

impl Vault {
    /// Asks once. A body that held a secret is wiped, as far as this code holds it.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<Answer<T>, Failure> {
        let request = request.with_middleware(&self.client.middle);
        let answer = request
            .exec(&self.client.http)
            .await
            .map_err(|error| match error {
                ClientError::ServerResponseError { code, content } => Failure::Status {
                    code,
                    body: content.unwrap_or_default(),
                },
                // the outer errors name the address, which may have a password
                ClientError::RequestError { source, .. }
                | ClientError::ResponseError { source } => {
                    Failure::NoAnswer(source.root_cause().to_string())
                }
                _ => Failure::Unaskable,
            })?;
        let mut body = answer.response.into_body();
        // the error would quote the unexpected text
        let parsed = serde_json::from_slice(&body).map_err(|_| Failure::Garbled);
        body.zeroize();
        parsed
    }

    /// The caller's error. Vault's reasons are not in it: the database engine's may quote a statement with a password.
    pub(super) fn explain(&self, what: &str, failure: &Failure) -> ProviderError {
        let vault = &self.address;
        let by_vault = failure.reasons().is_some();
        let (kind, message) = match failure {
            Failure::NoAnswer(reason) => (
                Kind::Unavailable,
                format!(
                    "no answer from {vault} for {what} ({reason}): check VAULT_ADDR and the route to it"
                ),
            ),
            Failure::Garbled => (
                Kind::Invalid,
                format!(
                    "{vault} answers for {what}, but not as Vault would: check VAULT_ADDR, and the mount's type"
                ),
            ),
            Failure::Unaskable => (
                Kind::Invalid,
                format!(
                    "{what} does not fit into a request to Vault: check the mount and the secret's id"
                ),
            ),
            Failure::Status { code: 429, .. } => (
                Kind::Throttled,
                format!(
                    "{vault} asks for fewer requests (429, for {what}): it is retried; if that stays, raise its quota"
                ),
            ),
            Failure::Status { code: 503, .. } => (
                Kind::Unavailable,
                format!("{vault} is sealed or has no active node (503, for {what}): unseal it"),
            ),
            Failure::Status {
                code: code @ 500.., ..
            } => (
                Kind::Unavailable,
                format!("{vault} failed ({code}, for {what}): see its log"),
            ),
            Failure::Status { code, .. } if !by_vault => (
                Kind::Invalid,
                format!(
                    "{vault} answers {code} for {what}, but not as Vault would: check VAULT_ADDR"
                ),
            ),
            Failure::Status { code: 403, .. } => (
                Kind::AccessDenied,
                format!(
                    "{vault} refuses {what} (403): check that the token has not expired, and grant its policy read on this path"
                ),
            ),
            Failure::Status { code: 404, .. } => (
                Kind::NotFound,
                format!(
                    "{vault} has no {what} (404): check the mount, the name and VAULT_NAMESPACE"
                ),
            ),
            Failure::Status { code, .. } => (
                Kind::Invalid,
                format!(
                    "{vault} says that the request for {what} is wrong ({code}): check the mount's type and the name"
                ),
            ),
        };
        ProviderError::new(kind, message)
    }
}

/// The answer of every engine of Vault to any stage but [`Stage::Current`](super::super::Stage::Current).
pub(super) fn no_stages(what: &str) -> ProviderError {
    let message = format!("only the current version of {what} is read from Vault: ask for that");
    ProviderError::new(Kind::NotFound, message)
}
