//! The requests of a service that makes API keys, as a secret's document tells them.

use std::collections::BTreeMap;

use leon::Template;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::DocumentError;

/// The four requests; only `list` may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Makes a key, as the holder of the master secret.
    pub create: Request,
    /// Tells whether a key is good, as the holder of that key.
    pub verify: Request,
    /// Ends a key, as the holder of the master secret.
    pub delete: Request,
    /// Tells which keys there are, all on one page.
    pub list: Option<Request>,
}

/// One request, and where its answer holds what is wanted.
///
/// Texts in `url`, `headers`, `body` and `form` may hold `{master.NAME}` (a field of the master secret), `{key_id}`,
/// in `verify` `{key}`, in `create` `{label}` (the key's name) and `{token}` (the rotation's, for services that take an
/// idempotency key).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Absolute, https. What is filled in is percent-encoded; the host is written out.
    pub url: String,
    /// Name to value.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON; filled in wherever it holds a text.
    pub body: Option<Value>,
    /// Sent as a form, in place of a body.
    pub form: Option<BTreeMap<String, String>>,
    /// `create`: where the answer has the key, as a JSON pointer.
    pub key: Option<String>,
    /// `create`: where the answer has the key's id. `list`: likewise, in each key.
    pub id: Option<String>,
    /// `list`: where the answer has the array of keys.
    pub keys: Option<String>,
    /// `list`: where each key has the name that `create` gave it as `{label}`.
    pub label: Option<String>,
    /// `verify`: the statuses that say that the key is not good; 401 if none are named.
    pub rejected: Option<Vec<u16>>,
}

impl Api {
    /// Reads and checks `create`, `verify`, `delete` and `list`.
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, DocumentError> {
        let required = |field| request(fields, field)?.ok_or(DocumentError::MissingField { field });
        let api = Self {
            create: required("create")?,
            verify: required("verify")?,
            delete: required("delete")?,
            list: request(fields, "list")?,
        };
        let wrong = |field, expected| Err(DocumentError::WrongType { field, expected });
        if !points(&api.create.key) || !points(&api.create.id) {
            return wrong("create", "a request with \"key\" and \"id\", JSON pointers");
        }
        if let Some(list) = &api.list
            && ![&list.keys, &list.id, &list.label].into_iter().all(points)
        {
            return wrong(
                "list",
                "a request with \"keys\", \"id\" and \"label\", JSON pointers",
            );
        }
        api.create.check("create", &["key_id", "label", "token"])?;
        api.verify.check("verify", &["key", "key_id"])?;
        api.delete.check("delete", &["key_id"])?;
        if let Some(list) = &api.list {
            list.check("list", &[])?;
        }
        // what was made just before a crash has to be found again
        let named = api.list.is_some() && api.create.holds("label");
        if !named && !api.create.holds("token") {
            return Err(DocumentError::NotRepeatable);
        }
        Ok(api)
    }
}

impl Request {
    /// The host and port that it goes to.
    pub fn server(&self) -> Option<(String, u16)> {
        let url = Url::parse(&self.url).ok()?;
        let host = url.host_str().filter(|host| !host.contains(['{', '%']))?;
        Some((host.to_owned(), url.port_or_known_default()?))
    }

    /// Every text that may hold a placeholder.
    fn texts(&self) -> Vec<&str> {
        fn inside<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(values) => values.iter().for_each(|value| inside(value, texts)),
                Value::Object(fields) => fields.values().for_each(|value| inside(value, texts)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let mut texts = vec![self.url.as_str()];
        texts.extend(self.headers.values().map(String::as_str));
        texts.extend(
            self.form
                .iter()
                .flat_map(BTreeMap::values)
                .map(String::as_str),
        );
        if let Some(body) = &self.body {
            inside(body, &mut texts);
        }
        texts
    }

    fn holds(&self, placeholder: &str) -> bool {
        let holds = |text| Template::parse(text).is_ok_and(|text| text.has_key(placeholder));
        self.texts().into_iter().any(holds)
    }

    fn check(&self, field: &'static str, known: &[&str]) -> Result<(), DocumentError> {
        let wrong = |expected| Err(DocumentError::WrongType { field, expected });
        if !self.url.starts_with("https://") || self.server().is_none() {
            return wrong("a request to an https:// address with its host written out");
        }
        if self.body.is_some() && self.form.is_some() {
            return wrong("a request with either a body or a form");
        }
        for text in self.texts() {
            let Ok(template) = Template::parse(text) else {
                return wrong("a request whose braces are placeholders, or written \\{ and \\}");
            };
            for placeholder in template.keys() {
                let master = placeholder.starts_with("master.");
                // no list is longer than the names that it may hold
                if !master && !known.contains(placeholder) {
                    return wrong("a request with placeholders that it can be given");
                }
                if text == self.url && (master || *placeholder == "key") {
                    return wrong(
                        "a request whose secrets stand in headers or body: addresses get logged",
                    );
                }
            }
        }
        Ok(())
    }
}

fn request(
    fields: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<Request>, DocumentError> {
    // not serde's message, which quotes values: somebody may have written a secret out
    let read = |value| {
        Request::deserialize(value).map_err(|_| DocumentError::WrongType {
            field,
            expected: "an object with method, url, headers, body or form, and where the answer has what",
        })
    };
    fields.get(field).map(read).transpose()
}

fn points(pointer: &Option<String>) -> bool {
    pointer
        .as_deref()
        .is_some_and(|pointer| pointer.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A document that is right.
    fn document() -> Value {
        json!({
            "create": {
                "method": "POST", "url": "https://api.example.com/keys",
                "headers": {"authorization": "Bearer {master.key}"}, "body": {"name": "{label}"},
                "key": "/secret", "id": "/id",
            },
            "verify": {
                "method": "GET", "url": "https://api.example.com/me", "headers": {"authorization": "Bearer {key}"},
            },
            "delete": {
                "method": "DELETE", "url": "https://api.example.com/keys/{key_id}",
                "headers": {"authorization": "Bearer {master.key}"},
            },
            "list": {
                "method": "GET", "url": "https://api.example.com/keys",
                "headers": {"authorization": "Bearer {master.key}"},
                "keys": "/keys", "id": "/id", "label": "/name",
            },
        })
    }

    fn read(document: &Value) -> Result<Api, DocumentError> {
        Api::read(document.as_object().unwrap())
    }

    #[test]
    fn a_document_with_four_requests_is_read() {
        let api = read(&document()).unwrap();
        assert_eq!(api.create.method, "POST");
        assert_eq!(
            api.verify.server(),
            Some(("api.example.com".to_owned(), 443))
        );
        assert_eq!(api.list.unwrap().keys.unwrap(), "/keys");
    }

    #[test]
    fn a_request_that_cannot_be_made_as_it_stands_is_refused_by_its_name_and_without_its_values() {
        let address = "https://api.example.com/";
        for (field, key, value) in [
            ("create", "url", json!("http://api.example.com/keys")),
            ("create", "url", json!("https://{master.host}/keys")),
            ("create", "url", json!("keys")),
            ("create", "key", json!("secret")),
            ("create", "id", json!(null)),
            ("create", "body", json!({"name": "{nobody}"})),
            ("create", "body", json!({"deep": [{"name": "{key}"}]})),
            ("create", "form", json!({"name": "{label}"})),
            ("verify", "headers", json!({"authorization": "{token}"})),
            ("verify", "headers", json!("Bearer hidden-value")),
            ("verify", "url", json!(format!("{address}?key={{key}}"))),
            ("delete", "url", json!(format!("{address}{{master.key}}"))),
            ("delete", "headers", json!({"authorization": "{not closed"})),
            ("delete", "header", json!({})),
            ("list", "label", json!(null)),
        ] {
            let mut document = document();
            document[field][key] = value.clone();
            let error = read(&document).unwrap_err();
            assert!(
                matches!(error, DocumentError::WrongType { field: named, .. } if named == field),
                "{value}: {error:?}"
            );
            assert!(!error.to_string().contains("hidden-value"), "{error}");
        }
    }

    #[test]
    fn each_of_the_three_requests_has_to_be_there() {
        for field in ["create", "verify", "delete"] {
            let mut document = document();
            document.as_object_mut().unwrap().remove(field);
            assert_eq!(
                read(&document).unwrap_err(),
                DocumentError::MissingField { field }
            );
        }
    }

    #[test]
    fn a_key_has_to_be_found_again_after_a_crash_by_its_label_or_by_an_idempotency_key() {
        let mut unnamed = document();
        unnamed["create"]["body"] = json!({"name": "orders"});
        let mut unlisted = document();
        unlisted.as_object_mut().unwrap().remove("list");
        for mut document in [unnamed, unlisted] {
            assert_eq!(read(&document).unwrap_err(), DocumentError::NotRepeatable);
            document["create"]["headers"]["idempotency-key"] = json!("{token}");
            assert!(read(&document).is_ok());
        }
    }
}
