//! What a service answered, and what that means.

use std::time::{Duration, SystemTime};

use reqwest::{Response, header::RETRY_AFTER};
use secrecy::SecretString;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::engine::EngineError;

/// A key and its id are some hundred bytes, a list of keys some thousand.
const LONGEST: usize = 256 * 1024;

/// The shortest pause before a retry, even if the service says "at once".
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What a service answered.
pub(super) struct Answer {
    server: String,
    request: &'static str,
    pub(super) status: u16,
    retry_after: Option<Duration>,
    body: Zeroizing<Vec<u8>>,
    /// The body is longer than the part that was read.
    cut: bool,
}

impl Answer {
    /// Reads the body, unless it is too long: then only the status is known.
    pub(super) async fn read(
        mut response: Response,
        server: &str,
        request: &'static str,
        failed: impl Fn(reqwest::Error) -> EngineError,
    ) -> Result<Self, EngineError> {
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER);
        let retry_after = header
            .filter(|_| matches!(status, 429 | 503))
            .and_then(|value| wait(value.to_str().ok()?, SystemTime::now()));
        let mut answer = Self {
            server: server.to_owned(),
            request,
            status,
            retry_after,
            body: Zeroizing::new(Vec::new()),
            cut: false,
        };
        while let Some(chunk) = response.chunk().await.map_err(&failed)? {
            answer.cut = answer.body.len() + chunk.len() > LONGEST;
            if answer.cut {
                break;
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long a busy service asks to wait before the request is repeated.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What to do about an unexpected answer.
    pub(super) fn refused(&self) -> EngineError {
        let cure = match self.status {
            300..400 => "write the final address into the secret, redirects are not followed",
            401 | 403 => {
                "check that the key in the secret which \"masterarn\" names is valid, and may do what the request asks for"
            }
            429 => "wait",
            400..500 => "correct the request in the secret with PutSecretValue",
            _ => "find out what is wrong with the service",
        };
        EngineError::Answered {
            server: self.server.clone(),
            request: self.request,
            status: self.status,
            cure,
        }
    }

    /// The body as JSON; the parser limits its depth.
    pub(super) fn json(&self) -> Result<Value, EngineError> {
        if self.cut {
            return Err(self.unreadable(format!("it is longer than {LONGEST} bytes")));
        }
        // the parser's messages say what and where, and hold nothing of the text
        let read = serde_json::from_slice(&self.body);
        read.map_err(|error| self.unreadable(format!("it is no JSON: {error}")))
    }

    /// A text or a number of the body.
    pub(super) fn text(
        &self,
        json: &Value,
        pointer: Option<&str>,
    ) -> Result<SecretString, EngineError> {
        let pointer = pointer.unwrap_or_default();
        match json.pointer(pointer) {
            // a document with a NUL could not be read back
            Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => {
                Ok(text.as_str().into())
            }
            Some(Value::Number(number)) => Ok(number.to_string().into()),
            _ => Err(self.without(pointer)),
        }
    }

    pub(super) fn without(&self, pointer: &str) -> EngineError {
        EngineError::AnswerWithout {
            server: self.server.clone(),
            request: self.request,
            pointer: format!("\"{pointer}\""),
        }
    }

    fn unreadable(&self, reason: String) -> EngineError {
        EngineError::AnswerUnreadable {
            server: self.server.clone(),
            request: self.request,
            reason,
        }
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }
}

/// What `Retry-After` says: seconds, or a date.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let seconds = value.trim().parse().map(Duration::from_secs).ok();
    let wait = seconds.or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })?;
    Some(wait.max(SHORTEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            server: "h:443".to_owned(),
            request: "create",
            status: 200,
            retry_after: None,
            body: Zeroizing::new(body.as_bytes().to_vec()),
            cut: false,
        }
    }

    #[test]
    fn a_time_to_wait_is_read_in_seconds_or_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("120", Some(120)),
            ("0", Some(1)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                wait(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_not_json_or_too_deep_is_an_error_that_does_not_quote_it() {
        let deep = "[".repeat(100_000);
        for (body, reason) in [
            ("", "EOF"),
            ("<html>hidden-value</html>", "expected value"),
            ("{\"hidden-value\": 1", "EOF"),
            ("\u{1f}\u{8b}", "expected value"),
            (&deep, "recursion limit exceeded"),
        ] {
            let error = answer(body).json().unwrap_err();
            assert_eq!(error.error_type(), "AnswerUnreadable");
            let message = error.to_string();
            assert!(
                message.contains(reason) && !message.contains("hidden"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_number_is_read_as_it_is_written_and_nothing_else_is_a_text() {
        use secrecy::ExposeSecret;

        let answer = answer(
            r#"{"a": 12345678901234567890123, "b": "", "c": null, "d": "x\u0000", "e": [1], "f": "k"}"#,
        );
        let json = answer.json().unwrap();
        let text = |pointer| answer.text(&json, Some(pointer)).ok();
        for (pointer, expected) in [
            ("/a", Some("12345678901234567890123")),
            ("/f", Some("k")),
            ("/e/0", Some("1")),
            ("/b", None),
            ("/c", None),
            ("/d", None),
            ("/e", None),
            ("/g", None),
        ] {
            let read = text(pointer);
            assert_eq!(
                read.as_ref().map(ExposeSecret::expose_secret),
                expected,
                "{pointer}"
            );
        }
    }
}
