//! An answer of the agent: GetSecretValue's, an error of Secrets Manager, or an error of the agent itself.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::StatusCode;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Deserialize;

use super::{
    super::{
        Value,
        codes::{is_code, sorted},
    },
    Kind, ProviderError, Version,
};

/// Status and body; the body may be a secret, so there is no Debug.
pub(super) struct Answer {
    status: StatusCode,
    body: Zeroizing<Vec<u8>>,
}

/// The body of a success, as the agent writes it and the API's reference describes it ("GetSecretValue").
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(rename = "ARN")]
    arn: Option<String>,
    name: Option<String>,
    version_id: String,
    secret_string: Option<SecretString>,
    secret_binary: Option<SecretString>,
    /// Seconds since 1970, as a number or as a text.
    created_date: Option<serde_json::Value>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self {
            status,
            body: Zeroizing::new(body),
        }
    }

    /// Whether the agent itself refuses the question, and says nothing of the secret. "Not ready" does not count: it is not
    /// about the question.
    pub(super) fn refuses_query(&self) -> bool {
        let is_refused = self.status == StatusCode::BAD_REQUEST && self.code().is_none();
        is_refused && self.by_status().0 == Kind::Invalid
    }

    pub(super) fn is_version(&self) -> bool {
        self.status == StatusCode::OK
    }

    pub(super) fn version(&self, secret: &str) -> Result<Version, ProviderError> {
        if self.status != StatusCode::OK {
            return Err(self.refusal(secret));
        }
        // the error would quote the unexpected text
        let found = serde_json::from_slice::<Found>(&self.body).ok();
        let wrong = |what| {
            let message =
                format!("the agent's answer for {secret} is {what}: see what listens at its port");
            ProviderError::new(Kind::Invalid, message)
        };
        if found.as_ref().is_some_and(|found| !found.is_of(secret)) {
            return Err(wrong("another secret's, or does not name its secret"));
        }
        let version = found.and_then(Found::version);
        version.ok_or_else(|| wrong("no version of a secret"))
    }

    fn refusal(&self, secret: &str) -> ProviderError {
        let status = self.status;
        let (said, (kind, advice)) = match self.code() {
            Some(code) => (code, by_code(code)),
            None => ("without a code", self.by_status()),
        };
        let message = format!("{secret} from the agent: {status}, {said}: {advice}");
        ProviderError::new(kind, message)
    }

    /// Secrets Manager's code. The agent writes the message beside it unescaped, so the body may not be JSON.
    fn code(&self) -> Option<&str> {
        let body = str::from_utf8(&self.body).ok()?;
        let (_, behind) = body.split_once("\"__type\":")?;
        let (code, _) = behind.trim_start().strip_prefix('"')?.split_once('"')?;
        is_code(code).then_some(code)
    }

    fn by_status(&self) -> (Kind, &'static str) {
        match self.status.as_u16() {
            401 | 403 => (
                Kind::AccessDenied,
                "the agent expects another token: the one of its own AWS_TOKEN, or of its file",
            ),
            429 => (Kind::Throttled, "it is retried"),
            500.. => (Kind::Unavailable, "it is retried"),
            // the extension, before the first invocation
            400 if self.body.windows(9).any(|part| part == b"not ready") => {
                (Kind::Unavailable, "it is retried")
            }
            _ => (Kind::Invalid, "see what listens at its port"),
        }
    }
}

/// The agent's own codes, and those that Secrets Manager sent to the agent.
fn by_code(code: &str) -> (Kind, &'static str) {
    match (code, sorted(code)) {
        ("TimeoutError" | "ConnectionError", _) => {
            (Kind::Unavailable, "the agent cannot reach Secrets Manager")
        }
        (_, (Kind::AccessDenied, _)) => (
            Kind::AccessDenied,
            "grant secretsmanager:GetSecretValue and DescribeSecret to the agent's identity, and kms:Decrypt on the secret's key",
        ),
        (_, sorted) => sorted,
    }
}

impl Found {
    /// Whether it belongs to the requested secret: by its ARN, with or without the last part, or by its name.
    fn is_of(&self, secret: &str) -> bool {
        match (&self.arn, &self.name) {
            (Some(arn), _) if secret.starts_with("arn:") => {
                arn == secret || without_suffix(arn) == Some(secret)
            }
            (_, Some(name)) => name == secret,
            (Some(arn), None) => {
                let name = |arn: &str| arn.splitn(7, ':').nth(6) == Some(secret);
                without_suffix(arn).is_some_and(name)
            }
            (None, None) => false,
        }
    }

    fn version(self) -> Option<Version> {
        let created = self.created();
        let value = match (self.secret_string, self.secret_binary) {
            (Some(text), _) => Value::Text(text),
            (None, Some(encoded)) => {
                Value::Binary(STANDARD.decode(encoded.expose_secret()).ok()?.into())
            }
            (None, None) => return None,
        };
        let version = Version::new(self.version_id, value);
        Some(Version {
            arn: self.arn,
            created,
            ..version
        })
    }

    fn created(&self) -> Option<SystemTime> {
        let date = self.created_date.as_ref()?;
        let parsed = || date.as_str()?.parse().ok();
        let seconds = date.as_f64().or_else(parsed)?;
        let since = Duration::try_from_secs_f64(seconds).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}

/// Secrets Manager ends an ARN with a hyphen and six characters of its own, which a request may leave out.
fn without_suffix(arn: &str) -> Option<&str> {
    let (before, suffix) = arn.rsplit_once('-')?;
    (suffix.len() == 6).then_some(before)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer::new(StatusCode::from_u16(status).unwrap(), body.into())
    }

    #[test]
    fn only_secrets_managers_own_code_makes_a_secret_absent_and_only_a_refusal_forbidden() {
        let coded = |code: &str| format!(r#"{{"__type":"{code}", "message":"it says "no""}}"#);
        for (status, body, kind) in [
            (400, coded("ResourceNotFoundException"), Kind::NotFound),
            (400, coded("AccessDeniedException"), Kind::AccessDenied),
            (400, coded("ThrottlingException"), Kind::Throttled),
            (500, coded("InternalFailure"), Kind::Unavailable),
            (502, coded("ConnectionError"), Kind::Unavailable),
            (504, coded("TimeoutError"), Kind::Unavailable),
            (400, coded("DecryptionFailure"), Kind::Invalid),
            (400, coded(&"x".repeat(65)), Kind::Invalid),
            (403, "Bad Token".to_owned(), Kind::AccessDenied),
            (429, "Connection limit exceeded".to_owned(), Kind::Throttled),
            (404, "Not found".to_owned(), Kind::Invalid),
            (400, "Forwarded".to_owned(), Kind::Invalid),
            (
                400,
                "not ready to serve traffic, please wait".to_owned(),
                Kind::Unavailable,
            ),
            (301, String::new(), Kind::Invalid),
            (200, "<html>".to_owned(), Kind::Invalid),
            (200, r#"{"VersionId":"v1"}"#.to_owned(), Kind::Invalid),
        ] {
            let refused = answer(status, &body).version("orders/db").unwrap_err();
            assert_eq!(refused.kind(), kind, "{status} {body}: {refused}");
            assert!(!refused.to_string().contains("it says"), "{refused}");
        }
    }

    #[test]
    fn an_answer_belongs_to_the_secret_of_its_arn_or_its_name() {
        const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf";
        const PARTIAL: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db";
        const OTHER: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stock/db-AbCdEf";
        let asked = ["orders/db", ARN, PARTIAL];
        for (arn, name, is_of) in [
            (Some(ARN), Some("orders/db"), [true, true, true]),
            (Some(ARN), None, [true, true, true]),
            (None, Some("orders/db"), [true, false, false]),
            (Some(OTHER), Some("stock/db"), [false; 3]),
            (Some(OTHER), None, [false; 3]),
            // of the same name, in another account
            (
                Some("arn:aws:secretsmanager:eu-west-1:999999999999:secret:orders/db-AbCdEf"),
                None,
                [true, false, false],
            ),
            // made again under the same name, and one whose name only begins in the same way
            (
                Some(&format!("{PARTIAL}-GhIjKl")),
                None,
                [true, false, true],
            ),
            (Some(&format!("{PARTIAL}/x-AbCdEf")), None, [false; 3]),
            (Some("arn"), None, [false; 3]),
            (None, None, [false; 3]),
        ] {
            let body = serde_json::json!({
                "ARN": arn, "Name": name, "VersionId": "v1", "SecretString": "s3cret"
            });
            let read = |asked| answer(200, &body.to_string()).version(asked).is_ok();
            assert_eq!(asked.map(read), is_of, "{arn:?} {name:?}");
        }
    }

    #[test]
    fn a_version_is_read_with_its_date_as_a_number_or_as_a_text_and_its_bytes() {
        for date in ["1569534789.046", "\"1569534789.046\""] {
            let body = format!(
                r#"{{"ARN":"arn","Name":"orders/db","VersionId":"v1","SecretBinary":"AQID","VersionStages":[],"CreatedDate":{date}}}"#
            );
            let version = answer(200, &body).version("orders/db").unwrap();
            assert_eq!(
                (version.id.as_str(), version.arn.as_deref()),
                ("v1", Some("arn"))
            );
            let created = version.created.unwrap();
            let since = created.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(since.as_secs(), 1_569_534_789);
            let Value::Binary(bytes) = version.value else {
                panic!("bytes were expected")
            };
            assert_eq!(bytes.expose_secret(), &[1, 2, 3]);
        }
    }
}
