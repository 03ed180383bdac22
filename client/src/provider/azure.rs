//! Azure Key Vault.

use std::{env, error::Error as _, fmt, sync::Arc};

use azure_core::{
    credentials::TokenCredential,
    error::{Error, ErrorKind},
    http::{ClientOptions, RetryOptions, StatusCode, Transport},
};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use azure_security_keyvault_secrets::{ResourceExt, SecretClient, SecretClientOptions};
use reqwest::redirect;
use serde::Deserialize;

use super::{
    ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version, codes::is_code, https,
};

/// Azure Key Vault: the secrets of one vault.
///
/// A secret's id is its name. The current version is the latest one; the version's id is the last segment of the identifier
/// that Key Vault gives it. The caller needs the role "Key Vault Secrets User", or `get` in the vault's access policy.
///
/// A disabled version is [`NotFound`](Kind::NotFound): Key Vault answers 403 with the inner code `SecretDisabled`, but that is
/// the state of the secret, not a missing permission. Expired and not yet valid versions are delivered: `exp`
/// and `nbf` are "for informational purposes only", and get "will work for not-yet-valid and expired secrets" ("About Azure
/// Key Vault secrets", date-time controlled operations).
#[derive(Clone)]
pub struct Azure {
    client: Arc<SecretClient>,
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Azure").field(&self.name()).finish()
    }
}

impl Azure {
    /// The vault at this address, `https://{name}.vault.azure.net`, with a credential from the environment:
    ///
    /// - with `AZURE_TOKEN_CREDENTIALS=dev` the user who is signed in to the Azure CLI or the Azure Developer CLI;
    /// - otherwise, with `AZURE_FEDERATED_TOKEN_FILE`, the workload identity of a Kubernetes pod;
    /// - otherwise, with `AZURE_CLIENT_SECRET`, the service principal of `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`;
    /// - otherwise the managed identity of the machine, the one of `AZURE_CLIENT_ID` if that is set.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Kind::Invalid): a variable is missing or not usable, or the address is not.
    pub fn from_env(vault_url: &str) -> Result<Self, ProviderError> {
        Self::new(vault_url, credential_from_env()?)
    }

    /// The vault at this address, `https://{name}.vault.azure.net`, with this credential.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Kind::Invalid): the address is not an https address, or there are no root certificates.
    pub fn new(
        vault_url: &str,
        credential: Arc<dyn TokenCredential>,
    ) -> Result<Self, ProviderError> {
        Self::with_options(vault_url, credential, SecretClientOptions::default())
    }

    /// With the caller's options, including the transport. Retries are this crate's.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_options(
        vault_url: &str,
        credential: Arc<dyn TokenCredential>,
        mut options: SecretClientOptions,
    ) -> Result<Self, ProviderError> {
        // otherwise the SDK finds out at the first request
        if !vault_url.starts_with("https://") {
            return Err(invalid(format!(
                "{vault_url} is not an https address: give https://{{name}}.vault.azure.net"
            )));
        }
        options.client_options.retry = RetryOptions::none();
        if options.client_options.transport.is_none() {
            options.client_options.transport = Some(transport()?);
        }
        let client = SecretClient::new(vault_url, credential, Some(options));
        let client = client.map_err(|error| {
            invalid(format!(
                "{vault_url} is not a vault's address ({error}): correct it"
            ))
        })?;
        Ok(Self {
            client: Arc::new(client),
        })
    }

    fn name(&self) -> &str {
        self.client.endpoint().host_str().unwrap_or_default()
    }

    fn explain(&self, secret: &str, error: &Error) -> ProviderError {
        let vault = self.name();
        // a credential's error wraps its cause
        let mut cause = error;
        while let Some(inner) = cause.source().and_then(|inner| inner.downcast_ref()) {
            cause = inner;
        }
        let by_credential = *error.kind() == ErrorKind::Credential;
        let (kind, message) = match cause.kind() {
            ErrorKind::HttpResponse {
                status, error_code, ..
            } if by_credential => {
                let kind = match *status {
                    StatusCode::TooManyRequests => Kind::Throttled,
                    status if status.is_server_error() => Kind::Unavailable,
                    _ => Kind::Invalid,
                };
                let code = error_code.as_deref().unwrap_or("without a code");
                (
                    kind,
                    format!(
                        "no token for {secret} in {vault}: {status}, {code}: check the credential's tenant, client and secret"
                    ),
                )
            }
            ErrorKind::HttpResponse {
                status,
                raw_response,
                ..
            } => {
                let body = raw_response
                    .as_ref()
                    .map(|response| response.body().as_ref());
                return refused(vault, secret, *status, body.unwrap_or_default());
            }
            ErrorKind::Connection | ErrorKind::Io => {
                let reason = root_cause(cause);
                (
                    Kind::Unavailable,
                    format!(
                        "no answer for {secret} in {vault} ({reason}): check the route to it, and to the credential's authority"
                    ),
                )
            }
            ErrorKind::Credential => {
                let reason = error.to_string().replace(['\r', '\n'], " ");
                (
                    Kind::Invalid,
                    format!("no token for {secret} in {vault}: {reason}"),
                )
            }
            _ => (
                Kind::Invalid,
                format!(
                    "{vault} answers for {secret}, but not as Key Vault would: check the vault's address"
                ),
            ),
        };
        ProviderError::new(kind, message)
    }
}

/// Sorts a refusal by the status, and by Key Vault's own codes. Its message is not shown.
fn refused(vault: &str, secret: &str, status: StatusCode, body: &[u8]) -> ProviderError {
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    let error = refusal.as_ref().map(|refusal| &refusal.error);
    let code = error.and_then(Code::shown);
    let inner = error.and_then(|error| error.inner.as_deref()?.shown());
    let (kind, advice) = match (u16::from(status), code, inner) {
        (429, ..) => (Kind::Throttled, "it is retried"),
        (500.., ..) => (Kind::Unavailable, "it is retried"),
        (_, None, _) => (
            Kind::Invalid,
            "that is not Key Vault's answer: check the vault's address",
        ),
        (403, _, Some("SecretDisabled")) => {
            (Kind::NotFound, "enable the version, or set a new one")
        }
        (401, ..) => (Kind::AccessDenied, "check the credential's tenant"),
        (403, ..) => (
            Kind::AccessDenied,
            "grant Key Vault Secrets User, or get in the access policy, and see the vault's firewall",
        ),
        (404, Some("SecretNotFound"), _) => (
            Kind::NotFound,
            "check the name; a deleted secret can be recovered",
        ),
        _ => (Kind::Invalid, "look the code up in Key Vault's reference"),
    };
    let code = code.unwrap_or("no code");
    let inner = inner.map(|inner| format!(", {inner}")).unwrap_or_default();
    let message = format!("{secret} in {vault}: {status} ({code}{inner}): {advice}");
    ProviderError::new(kind, message)
}

/// The body of a refusal ("Key Vault error response" in the REST API's reference).
#[derive(Deserialize)]
struct Refusal {
    error: Code,
}

#[derive(Deserialize)]
struct Code {
    code: String,
    #[serde(rename = "innererror")]
    inner: Option<Box<Code>>,
}

impl Code {
    fn shown(&self) -> Option<&str> {
        is_code(&self.code).then_some(&self.code)
    }
}

#[cfg(fuzzing)]
pub(crate) fn error_text(status: u16, body: &[u8]) -> String {
    refused("vault", "secret", status.into(), body).to_string()
}

impl SecretProvider for Azure {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        // the SDK puts it into the path unchanged
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if secret.is_empty() || secret.len() > 127 || !secret.bytes().all(is_name) {
            return Err(invalid(format!(
                "{secret:?} names no secret of Key Vault: use 1 to 127 of a-z, A-Z, 0-9 and -"
            )));
        }
        if stage != Stage::Current {
            let message = format!(
                "only the current version of {secret} is read from Key Vault: ask for that"
            );
            return Err(ProviderError::new(Kind::NotFound, message));
        }
        let answer = self.client.get_secret(secret, None).await;
        let answer = answer.and_then(|answer| answer.into_model());
        let answer = answer.map_err(|error| self.explain(secret, &error))?;
        let id = answer.resource_id().ok().and_then(|id| id.version);
        let (Some(id), Some(value)) = (id, answer.value) else {
            let message = format!(
                "the answer for {secret} in {} holds no value or no version: see the secret in the portal",
                self.name()
            );
            return Err(invalid(message));
        };
        Ok(Version::text(id, value))
    }
}

fn credential_from_env() -> Result<Arc<dyn TokenCredential>, ProviderError> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let unusable = |error: Error| invalid(format!("no credential from the environment: {error}"));
    match variable("AZURE_TOKEN_CREDENTIALS").as_deref() {
        Some("dev") => return Ok(DeveloperToolsCredential::new(None).map_err(unusable)?),
        None | Some("prod") => {}
        Some(other) => {
            return Err(invalid(format!(
                "AZURE_TOKEN_CREDENTIALS is {other}: set it to dev or prod, or unset it"
            )));
        }
    }
    let client_options = ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(transport()?),
        ..ClientOptions::default()
    };
    let client_id = variable("AZURE_CLIENT_ID");
    if variable("AZURE_FEDERATED_TOKEN_FILE").is_some() {
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            ..Default::default()
        };
        return Ok(WorkloadIdentityCredential::new(Some(options)).map_err(unusable)?);
    }
    if let Some(client_secret) = variable("AZURE_CLIENT_SECRET") {
        let credential = ClientSecretCredential::new(
            &variable("AZURE_TENANT_ID").unwrap_or_default(),
            client_id.unwrap_or_default(),
            client_secret.into(),
            Some(ClientSecretCredentialOptions { client_options }),
        );
        return Ok(credential.map_err(unusable)?);
    }
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(UserAssignedId::ClientId),
        client_options,
    };
    Ok(ManagedIdentityCredential::new(Some(options)).map_err(unusable)?)
}

/// A redirect would take the token elsewhere, and Azure's APIs send none.
fn transport() -> Result<Transport, ProviderError> {
    let client = https::client(None, redirect::Policy::none(), false).map_err(invalid)?;
    Ok(Transport::new(Arc::new(client)))
}

fn root_cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(Kind::Invalid, message)
}
