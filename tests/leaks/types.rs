//! Debug and Serialize of every type show no secret.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rotating_secret::{
    RotatingSecret,
    provider::{Fixed, SecretProvider, Stage, Value, Version},
};
use rotating_secret_document::{Document, Fields};
use secrecy::{SecretSlice, SecretString};
use secret_rotation::event::{Event, RotationEvent};
use serde_json::json;
use syn::{Attribute, Item, visit::Visit};

use crate::search::{Kind, Place, Secrets, leaks};

/// The last word in the name of a field that holds a secret.
const NAMES: [&str; 12] = [
    "password",
    "token",
    "key",
    "verifier",
    "value",
    "body",
    "text",
    "json",
    "master",
    "credential",
    "string",
    "binary",
];

/// Types whose Debug shows their content.
const SHOWN: [&str; 5] = ["String", "str", "u8", "Value", "Bytes"];

/// Fields of such names, of the types that are released, and why each shows no secret.
const NO_SECRETS: [(&str, &str); 21] = [
    ("Succession.token", "a version's id"),
    ("RotationEvent.token", "a version's id"),
    ("Rotation.token", "a version's id"),
    ("VersionsPage.next_token", "a place in a list"),
    ("SecretsPage.next_token", "a place in a list"),
    ("BatchAnswer.next_token", "a place in a list"),
    (
        "Setting.value",
        "a role's setting, which its owner may read",
    ),
    (
        "SettingsError.value",
        "a setting of the function's own environment",
    ),
    ("FieldNames.password", "the name of a field"),
    ("Request.body", "a template, with a placeholder for the key"),
    ("Request.key", "where the key stands in an answer"),
    ("Row.text", "an example of a document, for tests"),
    ("Reading.password", "an example's, for tests"),
    (
        "Document.password",
        "becomes the document's own text, and is never Debug",
    ),
    (
        "ValueAnswer.secret_string",
        "GetSecretValue's answer, and is never Debug",
    ),
    (
        "ValueAnswer.secret_binary",
        "GetSecretValue's answer, and is never Debug",
    ),
    (
        "Version.value",
        "text or bytes, each in a type that does not show it",
    ),
    ("InitArguments.kms_key", "the ARN of a key"),
    ("Interval.text", "a schedule as it is shown"),
    ("Tag.key", "a tag of a secret"),
    ("Tag.value", "a tag of a secret"),
];

/// The same, of the local world.
const OF_THE_LOCAL_WORLD: [(&str, &str); 4] = [
    ("ReadySecrets.api_key", "a secret's name"),
    ("Condition.key", "a condition's in a policy"),
    ("Seen.key", "a key's id"),
    (
        "LogLine.text",
        "a line of the function's log, which is searched here",
    ),
];

/// The fields of types with Debug or Serialize whose names are those of secrets.
#[derive(Default)]
struct Suspects(BTreeSet<String>);

impl<'ast> Visit<'ast> for Suspects {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Struct(of) if is_shown(&of.attrs) => self.look(&of.ident, of.fields.iter()),
            Item::Enum(of) if is_shown(&of.attrs) => {
                self.look(
                    &of.ident,
                    of.variants.iter().flat_map(|variant| variant.fields.iter()),
                );
            }
            Item::Mod(of) if of.ident == "tests" => return,
            _ => {}
        }
        syn::visit::visit_item(self, item);
    }
}

impl Suspects {
    fn look<'a>(&mut self, of: &syn::Ident, fields: impl Iterator<Item = &'a syn::Field>) {
        for field in fields {
            let Some(name) = field.ident.as_ref().map(ToString::to_string) else {
                continue;
            };
            let mut holds = Names::default();
            holds.visit_type(&field.ty);
            let is_secret = name
                .rsplit('_')
                .next()
                .is_some_and(|last| NAMES.contains(&last));
            if is_secret && SHOWN.iter().any(|shown| holds.0.contains(*shown)) {
                self.0.insert(format!("{of}.{name}"));
            }
        }
    }
}

/// Whether the type derives Debug or Serialize.
fn is_shown(attributes: &[Attribute]) -> bool {
    let mut derived = Names::default();
    for attribute in attributes.iter().filter(|of| of.path().is_ident("derive")) {
        let _ = attribute.parse_nested_meta(|derive| {
            derived.visit_path(&derive.path);
            Ok(())
        });
    }
    ["Debug", "Serialize"]
        .iter()
        .any(|shows| derived.0.contains(*shows))
}

/// Every name in a type.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        self.0.insert(name.to_string());
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn no_type_with_debug_or_serialize_has_a_text_field_with_the_name_of_a_secret() {
    let mut files = Vec::new();
    for package in [
        "src",
        "client/src",
        "document/src",
        "cli/src",
        "local/src",
        "drill/src",
    ] {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(package),
            &mut files,
        );
    }
    let mut fields = Suspects::default();
    for file in &files {
        fields.visit_file(&syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap());
    }
    let known = NO_SECRETS.iter().chain(&OF_THE_LOCAL_WORLD);
    let known: BTreeSet<String> = known.map(|(field, _)| (*field).to_owned()).collect();
    // a new field becomes a SecretString, or joins the list above with its reason
    assert_eq!(fields.0, known);
}

#[tokio::test]
async fn the_debug_of_each_type_that_holds_a_document_or_a_token_shows_no_secret() {
    let (password, key, token) = (
        "the password of types",
        "the key of all types",
        "the token of types",
    );
    let mut secrets = Secrets::default();
    secrets.add(Kind::Password, password);
    secrets.add(Kind::Key, key);
    secrets.add(Kind::RotationToken, token);
    let login =
        json!({ "host": "h", "username": "u", "password": password, "mine": "public" }).to_string();
    let request = json!({ "method": "GET", "url": "https://h/" });
    let create = json!({
        "method": "POST", "url": "https://h/", "key": "/k", "id": "/i", "headers": { "idempotency-key": "{token}" },
    });
    let api = json!({
        "engine": "http-api-key", "masterarn": "m", "key_id": "1", "key": key,
        "create": create, "verify": request, "delete": request,
    });
    let mut shown = String::new();
    for text in [login.clone(), api.to_string()] {
        let json = SecretString::from(text.clone());
        let document = Document::parse(&json).unwrap();
        shown += &format!("{document:?} {document:#?} {:?}", Fields::read(&json));
        let provider = Fixed::new().with("id", Version::text("v1", text.clone()));
        let version = provider.fetch("id", Stage::Current).await.unwrap();
        let binary = Value::Binary(SecretSlice::from(text.clone().into_bytes()));
        shown += &format!("{provider:?} {version:?} {version:#?} {binary:?}");
        let builder = RotatingSecret::builder("id").keep_previous();
        shown += &format!("{builder:?}");
        let secret = builder.build(provider).await.unwrap();
        let credential = secret.current().unwrap();
        shown += &format!(
            "{secret:?} {credential:?} {credential:#?} {:?}",
            secret.reader()
        );
        shown += &format!(
            "{:?} {:?} {:?}",
            credential.password(),
            credential.key(),
            credential.text()
        );
    }
    let event = json!({ "Step": "setSecret", "SecretId": "s", "ClientRequestToken": "t", "RotationToken": token });
    shown += &format!(
        "{:?} {:?}",
        Event::parse(&event),
        RotationEvent::parse(&event)
    );
    assert!(
        shown.contains("public") || shown.contains("mine"),
        "it is shown: {shown}"
    );
    assert_eq!(
        leaks(&secrets, &[Place::new("what is shown", shown)]),
        [] as [String; 0]
    );
}
