//! The requests of a service that makes API keys, as a secret's document describes them.

use std::collections::BTreeMap;

use leon::{Item, Template};
use serde::Deserialize;
use serde_json::Value;

use crate::{error::DocumentError, object::Object, url::address};

/// The methods that a request may have.
const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/// Headers that say where a request goes, where it ends, or what happens to its connection; and all of `proxy-…`.
const TRANSPORTS_OWN: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The four requests; only `list` may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Makes a key, as the holder of the master secret.
    pub create: Request,
    /// Shows whether a key is valid, as the holder of that key.
    pub verify: Request,
    /// Ends a key, as the holder of the master secret.
    pub delete: Request,
    /// Lists all keys, on one page.
    pub list: Option<Request>,
}

/// One request, and where its answer holds the result.
///
/// Texts in `url`, `headers`, `body` and `form` may hold `{master.NAME}` (a field of the master secret), `{key_id}`,
/// in `verify` `{key}`, in `create` `{label}` (the key's name) and `{token}` (the rotation's, for services that take an
/// idempotency key). A placeholder is a whole segment of the path, value of the query, text of the body or field of the
/// form; in a header it may follow a fixed text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `DELETE`, `GET`, `HEAD`, `PATCH`, `POST` or `PUT`.
    pub method: String,
    /// Absolute, https. Values that are filled in are percent-encoded; the host must be written exactly as a URL parser returns
    /// it.
    pub url: String,
    /// Name to value; no header that says where the request goes or ends.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON; placeholders may be in every text of it.
    pub body: Option<Value>,
    /// Sent as a form, in place of a body.
    pub form: Option<BTreeMap<String, String>>,
    /// `create`: where the answer has the key, as a JSON pointer.
    pub key: Option<String>,
    /// `create`: where the answer has the key's id. `list`: the same, in each key.
    pub id: Option<String>,
    /// `list`: where the answer has the array of keys.
    pub keys: Option<String>,
    /// `list`: where each key has the name that `create` gave it as `{label}`.
    pub label: Option<String>,
    /// `verify`: the statuses which mean that the key is not valid; 401 by default.
    pub rejected: Option<Vec<u16>>,
}

impl Api {
    /// The requests, by their names.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &Request)> {
        let required = [
            ("create", &self.create),
            ("verify", &self.verify),
            ("delete", &self.delete),
        ];
        let list = self.list.as_ref().map(|list| ("list", list));
        required.into_iter().chain(list)
    }

    /// Reads and checks `create`, `verify`, `delete` and `list`.
    pub(crate) fn read(object: &Object) -> Result<Self, DocumentError> {
        let required = |field| request(object, field)?.ok_or(DocumentError::MissingField { field });
        let api = Self {
            create: required("create")?,
            verify: required("verify")?,
            delete: required("delete")?,
            list: request(object, "list")?,
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
        // a key that was made just before a crash must be found again
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
        let url = address(&self.url)?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    }

    /// Whether it holds this placeholder.
    pub fn holds(&self, placeholder: &str) -> bool {
        let holds = |text| Template::parse(text).is_ok_and(|text| text.has_key(placeholder));
        let bodies = self.body_texts().into_iter().any(holds);
        bodies || holds(&self.url) || self.headers.values().any(|text| holds(text))
    }

    /// Every text of the body or the form.
    fn body_texts(&self) -> Vec<&str> {
        fn inside<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(values) => values.iter().for_each(|value| inside(value, texts)),
                Value::Object(fields) => fields.values().for_each(|value| inside(value, texts)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let form = self.form.iter().flat_map(BTreeMap::values);
        let mut texts: Vec<&str> = form.map(String::as_str).collect();
        if let Some(body) = &self.body {
            inside(body, &mut texts);
        }
        texts
    }

    fn check(&self, field: &'static str, known: &[&str]) -> Result<(), DocumentError> {
        let wrong = |expected| Err(DocumentError::WrongType { field, expected });
        if !METHODS.contains(&self.method.as_str()) {
            return wrong("a request whose method is DELETE, GET, HEAD, PATCH, POST or PUT");
        }
        if self.server().is_none() {
            return wrong(
                "a request to an https:// address in ASCII, with its host written as it is asked, and without user, \
                 backslash, blank and #",
            );
        }
        if self.body.is_some() && self.form.is_some() {
            return wrong("a request with either a body or a form");
        }
        if !self.headers.keys().all(|name| is_a_documents(name)) {
            return wrong(
                "a request without headers that say where it goes, ends or what becomes of its connection (Host, \
                 Content-Length, Connection, …)",
            );
        }
        if self
            .headers
            .values()
            .any(|text| text.contains(char::is_control))
        {
            return wrong("a request whose headers are of one line");
        }
        let headers = self.headers.values().map(|text| (text.as_str(), true));
        let bodies = self.body_texts().into_iter().map(|text| (text, false));
        for (text, may_begin) in headers.chain(bodies) {
            match placeholder(text, may_begin) {
                Err(expected) => return wrong(expected),
                Ok(Some(name)) if !name.starts_with("master.") && !known.contains(&name) => {
                    return wrong(UNKNOWN);
                }
                Ok(_) => {}
            }
        }
        let names = placeholders_of_address(&self.url);
        for name in names.map_err(|expected| DocumentError::WrongType { field, expected })? {
            if name.starts_with("master.") || name == "key" {
                return wrong(
                    "a request whose secrets are in headers or body: addresses get logged",
                );
            }
            if !known.contains(&name) {
                return wrong(UNKNOWN);
            }
        }
        Ok(())
    }
}

const UNKNOWN: &str = "a request with placeholders that it can be given";
const BRACES: &str = "a request whose braces are placeholders, or written \\{ and \\}";

/// Header names are case-insensitive.
fn is_a_documents(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !header.is_empty()
        && header.chars().all(token)
        && !header.starts_with("proxy-")
        && !TRANSPORTS_OWN.contains(&header.as_str())
}

/// The placeholder that a text consists of, or that it ends in, if it may begin with something else.
fn placeholder(text: &str, may_begin: bool) -> Result<Option<&str>, &'static str> {
    let template = Template::parse(text).map_err(|_| BRACES)?;
    match &*template.items {
        [before @ .., Item::Key(name)]
            if before.is_empty() || may_begin && !before.iter().any(is_key) =>
        {
            Ok(Some(name))
        }
        items if items.iter().any(is_key) => Err(
            "a request whose placeholders are each a whole text; in a header one may follow a fixed text, as in \
             Bearer {key}",
        ),
        _ => Ok(None),
    }
}

fn is_key(item: &Item<'_>) -> bool {
    matches!(item, Item::Key(_))
}

/// The placeholders of an address: each a whole segment of the path, or a whole value of the query.
fn placeholders_of_address(url: &str) -> Result<Vec<&str>, &'static str> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let value = |pair| match str::split_once(pair, '=') {
        Some((name, value)) if !name.contains(['{', '}']) => value,
        _ => pair,
    };
    let parts = path.split('/').chain(query.split('&').map(value));
    let mut names = Vec::new();
    for part in parts.filter(|part| part.contains(['{', '}'])) {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        let name = name.filter(|name| !name.contains(['{', '}']));
        names.push(name.ok_or(
            "a request in whose address each placeholder is a whole segment of the path or value of the query",
        )?);
    }
    Ok(names)
}

fn request(object: &Object, field: &'static str) -> Result<Option<Request>, DocumentError> {
    match object.raw(field) {
        None | Some("null") => Ok(None),
        // not serde's message, which quotes values: someone may have written a secret there
        Some(_) => object.read(field).map(Some).ok_or(DocumentError::WrongType {
            field,
            expected: "an object with method, url, headers, body or form, and where the answer has what",
        }),
    }
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

    /// A valid document.
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
        Api::read(&Object::parse(&document.to_string().into()).unwrap())
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
            (
                "create",
                "url",
                json!("https://api.example.com\\{@evil.example/keys"),
            ),
            ("create", "url", json!("https://user@api.example.com/keys")),
            ("create", "url", json!("keys")),
            ("create", "url", json!(format!("{address}x{{label}}"))),
            (
                "create",
                "url",
                json!(format!("{address}{{label}}{{token}}")),
            ),
            ("create", "url", json!(format!("{address}?{{label}}=x"))),
            ("create", "url", json!(format!("{address}?a=x{{label}}"))),
            ("create", "url", json!(format!("{address}?a={{label}};b=1"))),
            ("create", "url", json!(format!("{address}{{label"))),
            ("create", "method", json!("CONNECT")),
            ("create", "method", json!("post")),
            ("create", "headers", json!({"Host": "evil.example"})),
            ("create", "headers", json!({"transfer-encoding": "chunked"})),
            ("create", "headers", json!({"CONNECTION": "close"})),
            ("create", "headers", json!({"Proxy-Authorization": "x"})),
            ("create", "headers", json!({"x y": "z"})),
            ("create", "headers", json!({"": "z"})),
            ("create", "headers", json!({"x": "y\r\nhost: evil.example"})),
            ("create", "headers", json!({"x": "{label} and more"})),
            ("create", "headers", json!({"x": "{label}{token}"})),
            ("create", "key", json!("secret")),
            ("create", "id", json!(null)),
            ("create", "body", json!({"name": "{nobody}"})),
            ("create", "body", json!({"deep": [{"name": "{key}"}]})),
            (
                "create",
                "body",
                json!({"deep": [{"name": "orders {label}"}]}),
            ),
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
    fn a_placeholder_is_a_whole_part_and_in_a_header_it_may_follow_a_fixed_text() {
        let mut document = document();
        document["create"]["url"] =
            json!("https://api.example.com/{label}/keys?name={label}&all=1");
        document["create"]["headers"]["x"] = json!("{label}");
        document["create"]["body"] =
            json!({"query": "mutation \\{ x \\}", "name": "{label}", "all": [1, "{token}"]});
        let api = read(&document).unwrap();
        assert!(api.create.holds("label") && api.create.holds("token") && !api.create.holds("x"));
    }

    #[test]
    fn each_of_the_three_requests_is_required() {
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
    fn a_key_needs_a_label_or_an_idempotency_key_to_be_found_again_after_a_crash() {
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
