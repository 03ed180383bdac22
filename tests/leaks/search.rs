//! The secrets, the places in which each kind may stand, and the search for a secret in any encoding.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use percent_encoding::percent_decode;
use serde_json::Value;

/// In bytes. Shorter text could occur by chance.
const SHORTEST: usize = 12;

/// The kinds of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A role's password, the superuser's too.
    Password,
    /// A part of what the server stores in place of a password.
    Verifier,
    /// The credential in a rotation's event.
    RotationToken,
    /// An API key, or the key of the service's account.
    Key,
    /// The credentials with which a process reads the store.
    Access,
    /// A server's private key.
    PrivateKey,
}

/// Every secret that a run made.
#[derive(Default)]
pub(crate) struct Secrets(BTreeMap<String, Kind>);

impl Secrets {
    pub(crate) fn add(&mut self, kind: Kind, secret: &str) {
        assert!(
            secret.len() >= SHORTEST,
            "a secret of {} bytes",
            secret.len()
        );
        self.0.insert(secret.to_owned(), kind);
    }

    /// Adds the secrets in a secret's value. A value that is not a document is one secret.
    pub(crate) fn add_value(&mut self, value: &str) {
        let bytes = BASE64_STANDARD.decode(value).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let value = text.as_deref().unwrap_or(value);
        match serde_json::from_str::<Value>(value) {
            Ok(Value::Object(document)) => {
                for (field, kind) in [("password", Kind::Password), ("key", Kind::Key)] {
                    let text = document.get(field).and_then(Value::as_str);
                    if let Some(text) = text.filter(|text| !text.is_empty()) {
                        self.add(kind, text);
                    }
                }
            }
            _ if value.len() >= SHORTEST => self.add(Kind::Key, value),
            _ => {}
        }
    }

    /// Adds the parts with which an attacker can try passwords or impersonate the server: salt, keys, or md5 hash.
    pub(crate) fn add_verifier(&mut self, verifier: &str) {
        let parts = verifier
            .split(['$', ':'])
            .filter(|part| part.len() > SHORTEST && *part != "SCRAM-SHA-256");
        parts.for_each(|part| self.add(Kind::Verifier, part));
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.0.values().filter(|of| **of == kind).count()
    }
}

/// A text that a process wrote or showed.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
    /// The kinds that may stand there.
    pub(crate) may_hold: &'static [Kind],
}

impl Place {
    pub(crate) fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            may_hold: &[],
        }
    }

    pub(crate) fn that_may_hold(self, kinds: &'static [Kind]) -> Self {
        Self {
            may_hold: kinds,
            ..self
        }
    }
}

/// Each secret in a place that must not hold it, once for each place: its kind, the place, the line without the secret.
pub(crate) fn leaks(secrets: &Secrets, places: &[Place]) -> Vec<String> {
    let forms: Vec<(Vec<u8>, Kind)> = secrets
        .0
        .iter()
        .flat_map(|(secret, kind)| forms(secret).into_iter().map(|form| (form, *kind)))
        .collect();
    let search = AhoCorasick::new(forms.iter().map(|(form, _)| form)).unwrap();
    let mut found = BTreeMap::new();
    for place in places {
        for view in views(&place.text) {
            for at in search.find_overlapping_iter(&view) {
                let kind = forms[at.pattern().as_usize()].1;
                if !place.may_hold.contains(&kind) {
                    let said =
                        || format!("{kind:?} in {}: {}", place.name, around(&view, at.span()));
                    found
                        .entry((at.pattern(), &place.name))
                        .or_insert_with(said);
                }
            }
        }
    }
    found.into_values().collect()
}

/// The secret as it is, in base64 at each offset, in hexadecimal digits, and as Debug shows bytes.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut forms = vec![bytes.to_vec()];
    for offset in 0..3 {
        let mut with_more = vec![0; offset];
        with_more.extend(bytes);
        // the characters that depend on the secret alone
        let own = (offset * 8).div_ceil(6)..with_more.len() * 8 / 6;
        for alphabet in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            forms.push(alphabet.encode(&with_more).as_bytes()[own.clone()].to_vec());
        }
    }
    let in_hex = |byte: &u8| format!("{byte:02x}");
    let hex: String = bytes.iter().map(in_hex).collect();
    forms.push(hex.to_uppercase().into());
    forms.push(hex.into());
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    forms.push(numbers.join(", ").into());
    forms
}

/// The text as it is, and for each encoding the lines that may use it, decoded.
fn views(text: &[u8]) -> Vec<Vec<u8>> {
    let with_spaces: Vec<u8> = lines_with(text, b'%')
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let unescaped = unescape(&lines_with(text, b'\\'));
    let html = [
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    vec![
        percent_decode(&lines_with(text, b'%')).collect(),
        percent_decode(&with_spaces).collect(),
        unescape(&lines_with(&unescaped, b'\\')),
        unescaped,
        replace(&lines_with(text, b'\''), &[("''", "'")]),
        replace(&lines_with(text, b'&'), &html),
        text.to_vec(),
    ]
}

/// The lines that contain this character: an encoded secret stands on one line.
fn lines_with(text: &[u8], character: u8) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.filter(|line| line.contains(&character));
    lines.collect::<Vec<_>>().concat()
}

/// Undoes the escapes of JSON and Debug.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let escaped = (*first == b'\\').then(|| escaped(after)).flatten();
        match escaped {
            Some((character, length)) => {
                plain.extend(character);
                rest = &after[length..];
            }
            None => plain.push(*first),
        }
    }
    plain
}

/// The character that an escape means, and the escape's length in bytes without its backslash.
fn escaped(after: &[u8]) -> Option<(Vec<u8>, usize)> {
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let character = |digits: &[u8]| Some(char::from_u32(number(digits)?)?.to_string().into_bytes());
    Some(match after {
        [b'n', ..] => (vec![b'\n'], 1),
        [b't', ..] => (vec![b'\t'], 1),
        [b'r', ..] => (vec![b'\r'], 1),
        [b'x', ..] => (vec![number(after.get(1..3)?)? as u8], 3),
        [b'u', b'{', ..] => {
            let end = after.iter().take(10).position(|byte| *byte == b'}')?;
            (character(&after[2..end])?, end + 1)
        }
        [b'u', ..] => (character(after.get(1..5)?)?, 5),
        [other, ..] => (vec![*other], 1),
        [] => return None,
    })
}

fn replace(text: &[u8], by: &[(&str, &str)]) -> Vec<u8> {
    let (from, to): (Vec<_>, Vec<_>) = by.iter().copied().unzip();
    AhoCorasick::new(from).unwrap().replace_all_bytes(text, &to)
}

/// A part of the line, with `<secret>` in place of the secret.
fn around(text: &[u8], secret: aho_corasick::Span) -> String {
    let line = |byte: &u8| *byte == b'\n';
    let start = text[..secret.start]
        .iter()
        .rposition(line)
        .map_or(0, |at| at + 1);
    let end = text[secret.end..]
        .iter()
        .position(line)
        .map_or(text.len(), |at| secret.end + at);
    let before = &text[start.max(secret.start.saturating_sub(200))..secret.start];
    let after = &text[secret.end..end.min(secret.end + 60)];
    format!("{}<secret>{}", before.escape_ascii(), after.escape_ascii())
}

/// The search finds a planted leak in each encoding, and nothing else.
mod planted {
    use std::iter;

    use base64::prelude::BASE64_URL_SAFE;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    use super::*;

    /// Each encoding changes at least one of its characters.
    const AWKWARD: &str = "n\"o \\ t/h&é<i>n'g+%41?~>>?";

    /// The name of each encoding, and a text in it.
    fn written(secret: &str) -> Vec<(&'static str, String)> {
        let json = json!({ "password": secret }).to_string();
        let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let html = secret
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        vec![
            ("raw", format!("the password {secret} is wrong")),
            ("Debug", format!("{secret:?}")),
            ("JSON in JSON", json!({ "body": json }).to_string()),
            (
                "JSON with escapes of ASCII",
                secret
                    .chars()
                    .map(|c| format!("\\u{:04x}", u32::from(c)))
                    .collect(),
            ),
            ("Debug of JSON", format!("{json:?}")),
            (
                "URL, capital digits",
                format!("postgres://app:{url}@host/db"),
            ),
            ("URL, small digits", url.to_lowercase()),
            ("a form", form),
            ("Debug of bytes", format!("{:?}", secret.as_bytes())),
            (
                "bytes as text",
                secret.as_bytes().escape_ascii().to_string(),
            ),
            (
                "hexadecimal",
                secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
            ),
            (
                "an SQL literal",
                format!("PASSWORD '{}'", secret.replace('\'', "''")),
            ),
            ("HTML", html.replace('"', "&quot;")),
            ("base64", BASE64_STANDARD.encode(secret)),
            ("base64 for URLs", BASE64_URL_SAFE.encode(secret)),
            (
                "base64 of a login",
                BASE64_STANDARD.encode(format!("app:{secret}")),
            ),
            (
                "base64 one further",
                BASE64_STANDARD.encode(format!("apps:{secret}!")),
            ),
            (
                "base64 two further",
                BASE64_URL_SAFE.encode(format!("p:{secret}??")),
            ),
            (
                "base64 in a URL",
                utf8_percent_encode(&BASE64_STANDARD.encode(secret), NON_ALPHANUMERIC).to_string(),
            ),
            ("JSON", json),
        ]
    }

    fn found(text: &str, may_hold: &'static [Kind]) -> Vec<String> {
        let mut secrets = Secrets::default();
        secrets.add(Kind::Password, AWKWARD);
        secrets.add(Kind::Key, "another secret");
        leaks(
            &secrets,
            &[Place::new("the log", text).that_may_hold(may_hold)],
        )
    }

    #[test]
    fn a_planted_leak_is_found_in_each_encoding_and_reported_without_the_secret() {
        for (how, text) in written(AWKWARD) {
            let around = format!("first line\nbefore {text} after\nlast line");
            let found = found(&around, &[]);
            assert!(!found.is_empty(), "{how} is not found: {text}");
            for said in found {
                assert!(said.starts_with("Password in the log: "), "{how}: {said}");
                assert!(
                    !said.contains(AWKWARD) && !said.contains("first line"),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn a_part_of_a_secret_is_not_a_leak() {
        // one character less, in each form
        let without_its_last = &AWKWARD[..AWKWARD.len() - 1];
        let half = &AWKWARD[..AWKWARD.len() / 2 + 1];
        let others = written(without_its_last).into_iter().chain(written(half));
        for (how, text) in others.chain(iter::once(("nothing", String::new()))) {
            // in base64 no character depends on the last byte alone
            if !how.starts_with("base64") {
                assert_eq!(found(&text, &[]), [] as [String; 0], "{how}");
            }
        }
    }

    #[test]
    fn a_place_may_contain_only_the_kinds_that_it_names() {
        let (raw, other) = (format!("it is {AWKWARD}"), "it is another secret");
        assert_eq!(found(&raw, &[Kind::Password]), [] as [String; 0]);
        assert_eq!(found(&raw, &[Kind::Key]).len(), 1);
        assert_eq!(found(other, &[Kind::Password]).len(), 1);
    }

    #[test]
    fn the_secrets_in_a_stored_value_are_found() {
        let document =
            json!({ "username": "app_user", "password": "the password", "key": "the only key" });
        let mut secrets = Secrets::default();
        secrets.add_value(&document.to_string());
        secrets.add_value(&BASE64_STANDARD.encode(json!({ "key": "a binary one's" }).to_string()));
        secrets.add_value("no document at all");
        secrets
            .add_verifier("SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$c3RvcmVkIGtleQ==:c2VydmVyIGtleQ==");
        let kinds = [Kind::Password, Kind::Key, Kind::Verifier];
        assert_eq!(kinds.map(|kind| secrets.count(kind)), [1, 3, 3]);
    }
}
