//! Requests to a service, as a document tells them: https, to allowed hosts, bounded in time and size.

use std::{borrow::Cow, path::PathBuf};

use leon::{RenderError, Template};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Client, Method, Url,
    header::{HeaderName, HeaderValue},
    redirect, retry,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    document::{Document, Request},
    engine::{EngineError, Limits, roots},
};

/// A key and its id are some hundred bytes, a list of keys some thousand.
const LONGEST_ANSWER: usize = 256 * 1024;

/// The connections to services, made when the first one is asked.
#[derive(Debug)]
pub struct Https {
    ca_file: Option<PathBuf>,
    client: OnceCell<Client>,
}

impl Https {
    /// Trusts the public roots, and those in the PEM file `ca_file` if there is one.
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            client: OnceCell::new(),
        }
    }

    async fn client(&self) -> Result<&Client, EngineError> {
        let make = || async {
            let trusted = roots::with_file(roots::public(), self.ca_file.as_deref())?;
            let tls = roots::client(trusted)?;
            Client::builder()
                .tls_backend_preconfigured(tls)
                .https_only(true)
                .redirect(redirect::Policy::none()) // the master secret would go along
                .retry(retry::never()) // a key that is made twice is one too many
                .build()
                .map_err(|error| EngineError::Roots {
                    reason: error.to_string(),
                })
        };
        self.client.get_or_try_init(make).await
    }

    /// Sends the request that the document calls `name`.
    pub(super) async fn send(
        &self,
        name: &'static str,
        request: &Request,
        values: &Values<'_>,
        allowed: &[String],
        limits: Limits,
    ) -> Result<Answer, EngineError> {
        let invalid = |reason: &str| EngineError::RequestInvalid {
            request: name,
            reason: reason.to_owned(),
        };
        let (host, port) = request.server().ok_or_else(|| invalid("it has no host"))?;
        let server = format!("{host}:{port}");
        let allowed = allowed
            .iter()
            .any(|allowed| *allowed == server || (*allowed == host && port == 443));
        if !allowed {
            return Err(EngineError::HostNotAllowed {
                request: name,
                server,
            });
        }

        let fill = |text: &str| fill(name, text, values);
        let url = fill_encoded(name, &request.url, values)?;
        let url = Url::parse(&url).map_err(|_| invalid("its address is none"))?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid("its method is none"))?;
        let mut sent = self
            .client()
            .await?
            .request(method, url)
            .timeout(limits.connect.saturating_add(limits.statement));
        for (header, value) in &request.headers {
            let header = HeaderName::from_bytes(header.as_bytes())
                .map_err(|_| invalid("the name of a header is none"))?;
            let mut value = HeaderValue::from_str(&fill(value)?)
                .map_err(|_| invalid("the value of a header is none"))?;
            value.set_sensitive(true);
            sent = sent.header(header, value);
        }
        if let Some(body) = &request.body {
            sent = sent.json(&filled(name, body, values)?);
        }
        if let Some(form) = &request.form {
            let mut fields = Vec::new();
            for (field, value) in form {
                fields.push((field, fill(value)?));
            }
            let fields: Vec<_> = fields
                .iter()
                .map(|(field, value)| (field, &**value))
                .collect();
            sent = sent.form(&fields);
        }

        let failed = |error| no_answer(&server, error, limits);
        let mut response = sent.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                let reason = format!("its answer is longer than {LONGEST_ANSWER} bytes");
                return Err(EngineError::Unreachable { server, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            server,
            request: name,
            status,
            body,
        })
    }
}

/// What placeholders stand for.
pub(super) struct Values<'a> {
    /// `key`, `key_id`, `label` and `token`, those that the request can be given.
    pub(super) own: Vec<(&'static str, &'a str)>,
    /// For `master.NAME`.
    pub(super) master: Option<&'a Document>,
}

impl leon::Values for Values<'_> {
    fn get_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = match (name.strip_prefix("master."), self.master) {
            (Some("key"), Some(master)) => Some(master.password().expose_secret()),
            (Some(field), Some(master)) => master.text(field),
            (Some(_), None) => None,
            (None, _) => {
                let mut own = self.own.iter();
                own.find(|(own, _)| *own == name).map(|(_, value)| *value)
            }
        };
        value.map(Cow::Borrowed)
    }
}

/// The same values, each of them one part of an address.
struct Encoded<'a>(&'a Values<'a>);

impl leon::Values for Encoded<'_> {
    fn get_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.0.get_value(name)?;
        Some(Cow::Owned(
            utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string(),
        ))
    }
}

fn fill(
    request: &'static str,
    text: &str,
    values: &dyn leon::Values,
) -> Result<Zeroizing<String>, EngineError> {
    let unreadable = || EngineError::RequestInvalid {
        request,
        reason: "a brace is no placeholder's".to_owned(),
    };
    let template = Template::parse(text).map_err(|_| unreadable())?;
    match template.render(values) {
        Ok(filled) => Ok(Zeroizing::new(filled)),
        Err(RenderError::MissingKey(name)) => Err(EngineError::NoValue { request, name }),
        Err(_) => Err(unreadable()),
    }
}

fn fill_encoded(
    request: &'static str,
    url: &str,
    values: &Values<'_>,
) -> Result<Zeroizing<String>, EngineError> {
    fill(request, url, &Encoded(values))
}

/// The body with every text in it filled in.
fn filled(request: &'static str, body: &Value, values: &Values<'_>) -> Result<Value, EngineError> {
    Ok(match body {
        Value::String(text) => Value::String(fill(request, text, values)?.to_string()),
        Value::Array(parts) => {
            let parts = parts.iter().map(|part| filled(request, part, values));
            Value::Array(parts.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let mut object = Map::new();
            for (name, field) in fields {
                object.insert(name.clone(), filled(request, field, values)?);
            }
            Value::Object(object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => body.clone(),
    })
}

/// Never the address: what was filled in stands in it.
fn no_answer(server: &str, error: reqwest::Error, limits: Limits) -> EngineError {
    let server = server.to_owned();
    if error.is_timeout() {
        let seconds = limits
            .connect
            .saturating_add(limits.statement)
            .as_secs_f32();
        return EngineError::TimedOut { server, seconds };
    }
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason = cause.to_string();
        source = cause.source();
    }
    if reason.contains("certificate") {
        return EngineError::CertificateInvalid { server, reason };
    }
    EngineError::Unreachable { server, reason }
}

/// What a service answered.
pub(super) struct Answer {
    server: String,
    request: &'static str,
    pub(super) status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What to do about an answer that is none of those expected.
    pub(super) fn refused(&self) -> EngineError {
        let cure = match self.status {
            300..400 => "write the final address into the secret, redirects are not followed",
            401 | 403 => {
                "see that the secret which \"masterarn\" names is good, and may do what the request asks for"
            }
            429 => "wait",
            400..500 => "correct the request in the secret with PutSecretValue",
            _ => "see what is wrong with the service",
        };
        EngineError::Answered {
            server: self.server.clone(),
            request: self.request,
            status: self.status,
            cure,
        }
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, EngineError> {
        serde_json::from_slice(&self.body).map_err(|_| self.without(""))
    }

    /// A text or a number of the body.
    pub(super) fn text(
        &self,
        json: &Value,
        pointer: Option<&str>,
    ) -> Result<SecretString, EngineError> {
        let pointer = pointer.unwrap_or_default();
        match json.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.as_str().into()),
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

    pub(super) fn server(&self) -> &str {
        &self.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leon::Values as _;

    #[test]
    fn what_is_filled_into_an_address_stays_one_part_of_it() {
        let values = Values {
            own: vec![("key_id", "../a?b#c/d e")],
            master: None,
        };
        let url = fill_encoded("delete", "https://h/keys/{key_id}", &values).unwrap();
        assert_eq!(&*url, "https://h/keys/%2E%2E%2Fa%3Fb%23c%2Fd%20e");
    }

    #[test]
    fn a_body_is_filled_in_wherever_it_holds_a_text_and_stays_json() {
        let values = Values {
            own: vec![("label", "quote \" and brace }")],
            master: None,
        };
        let body = serde_json::json!({"a": ["{label}", 1.50, null], "b": {"c": "x {label}"}});
        assert_eq!(
            filled("create", &body, &values).unwrap(),
            serde_json::json!({"a": ["quote \" and brace }", 1.50, null], "b": {"c": "x quote \" and brace }"}})
        );
    }

    #[test]
    fn a_placeholder_without_a_value_is_an_error_that_names_it() {
        let values = Values {
            own: vec![],
            master: None,
        };
        assert!(values.get_value("master.key").is_none());
        let error = fill("create", "{master.key}", &values).unwrap_err();
        assert_eq!(error.error_type(), "PlaceholderWithoutValue");
        assert!(error.to_string().contains("{master.key}"), "{error}");
    }
}
