//! A request with its placeholders filled in.

use std::borrow::Cow;

use leon::{RenderError, Template, Values as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    document::{self, Document, is_segment},
    engine::EngineError,
};

/// The values of placeholders.
pub(super) struct Values<'a> {
    /// `key`, `key_id`, `label` and `token`: those that this request may use.
    pub(super) own: Vec<(&'static str, &'a str)>,
    /// For `master.NAME`.
    pub(super) master: Option<&'a Document>,
}

impl leon::Values for Values<'_> {
    fn get_value(&self, name: &str) -> Option<Cow<'_, str>> {
        match (name.strip_prefix("master."), self.master) {
            (Some(field), Some(master)) => master.text(field),
            (Some(_), None) => None,
            (None, _) => {
                let mut own = self.own.iter();
                let found = own.find(|(own, _)| *own == name);
                found.map(|(_, value)| Cow::Borrowed(*value))
            }
        }
    }
}

/// The same values, each as one part of an address.
struct Parts<'a>(&'a Values<'a>);

impl leon::Values for Parts<'_> {
    fn get_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.0.get_value(name)?;
        Some(Cow::Owned(
            utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string(),
        ))
    }
}

/// The address of a request. It is parsed once, after the values are filled in, and nothing else decides where a request goes.
pub(super) fn address(
    request: &'static str,
    address: &str,
    values: &Values<'_>,
) -> Result<Url, EngineError> {
    let invalid = |reason| EngineError::RequestInvalid { request, reason };
    let filled = text(request, address, &Parts(values))?;
    for name in Template::parse(address).iter().flat_map(Template::keys) {
        let value = values.get_value(name);
        if value.is_some_and(|value| !is_segment(&value)) {
            return Err(invalid(format!("{{{name}}} is not a path segment")));
        }
    }
    let url = document::address(&filled);
    url.ok_or_else(|| invalid("its address can be read in more than one way".to_owned()))
}

/// A header's value, or a text of a body or form.
pub(super) fn text(
    request: &'static str,
    text: &str,
    values: &dyn leon::Values,
) -> Result<Zeroizing<String>, EngineError> {
    let unreadable = || EngineError::RequestInvalid {
        request,
        reason: "a brace is not part of a placeholder".to_owned(),
    };
    let template = Template::parse(text).map_err(|_| unreadable())?;
    match template.render(values) {
        Ok(filled) => Ok(Zeroizing::new(filled)),
        Err(RenderError::MissingKey(name)) => Err(EngineError::NoValue { request, name }),
        Err(_) => Err(unreadable()),
    }
}

/// The body with every text in it filled in.
pub(super) fn body(
    request: &'static str,
    body: &Value,
    values: &Values<'_>,
) -> Result<Value, EngineError> {
    Ok(match body {
        Value::String(template) => Value::String(text(request, template, values)?.to_string()),
        Value::Array(parts) => {
            let parts = parts.iter().map(|part| self::body(request, part, values));
            Value::Array(parts.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let mut object = Map::new();
            for (name, field) in fields {
                object.insert(name.clone(), self::body(request, field, values)?);
            }
            Value::Object(object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => body.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'a>(name: &'static str, value: &'a str) -> Values<'a> {
        Values {
            own: vec![(name, value)],
            master: None,
        }
    }

    #[test]
    fn a_value_in_an_address_stays_one_part_of_it() {
        let filled = |id| {
            let url = "https://h.example/keys/{key_id}?id={key_id}";
            address("delete", url, &values("key_id", id)).map(String::from)
        };
        assert_eq!(
            filled("a b&c=d+é@x:1").unwrap(),
            "https://h.example/keys/a%20b%26c%3Dd%2B%C3%A9%40x%3A1?id=a%20b%26c%3Dd%2B%C3%A9%40x%3A1"
        );
        for id in ["", ".", "..", "%2e%2e", "a/b", "a?b", "a#b", "a\\b", "a\nb"] {
            let error = filled(id).unwrap_err();
            assert_eq!(error.error_type(), "RequestInvalid", "{id}");
            assert!(error.to_string().contains("{key_id}"), "{error}");
        }
    }

    #[test]
    fn an_address_that_unescapes_to_another_host_is_refused() {
        for url in [
            r"https://h.example\{@evil.example/",
            r"https://h.example\\@evil.example/",
            r"https://\}h.example/",
        ] {
            let error = address("create", url, &values("label", "x")).unwrap_err();
            assert_eq!(error.error_type(), "RequestInvalid", "{url}");
        }
    }

    #[test]
    fn a_body_is_filled_in_wherever_it_holds_a_text_and_stays_json() {
        let template = serde_json::json!({"a": ["{label}", 1.50, null], "b": {"c": "\\{x\\}"}});
        assert_eq!(
            body(
                "create",
                &template,
                &values("label", "quote \" and brace }")
            )
            .unwrap(),
            serde_json::json!({"a": ["quote \" and brace }", 1.50, null], "b": {"c": "{x}"}})
        );
    }

    #[test]
    fn a_placeholder_without_a_value_is_an_error_that_names_it() {
        let values = values("label", "x");
        assert!(values.get_value("master.key").is_none());
        let error = text("create", "{master.key}", &values).unwrap_err();
        assert_eq!(error.error_type(), "PlaceholderWithoutValue");
        assert!(error.to_string().contains("{master.key}"), "{error}");
    }
}
