//! Whatever a secret holds: the function and the client read the same of it, a new password changes nothing else, and
//! nothing shows the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotating_secret_document::{DEFAULT_PORT, Document, ENGINES, Fields, Overlap};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

fuzz_target!(|text: &str| {
    let json = SecretString::from(text);
    let fields = Fields::read(&json);
    let document = match Document::parse(&json) {
        Ok(document) => document,
        Err(error) => {
            assert!(error.to_string().len() < 2000, "{error}");
            return;
        }
    };
    let _ = Document::parse_administrator(&json, &document, ENGINES);
    // what is shown is the same whatever the password is
    let another = document.with_password("another".into());
    assert_eq!(format!("{document:?}"), format!("{another:?}"));
    if document.login().is_none() {
        return;
    }

    let fields = fields.expect("the function reads it, and the client does not");
    assert_eq!(fields.host.as_deref(), Some(document.host()));
    assert_eq!(fields.port.unwrap_or(DEFAULT_PORT), document.port());
    assert_eq!(fields.username.as_deref(), Some(document.username()));
    let read = fields.password.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(read, Some(document.password().expose_secret()));
    assert_eq!(fields.tls.unwrap_or(true), document.tls());

    let new = "a new password";
    for changed in [
        document.with_password(new.into()),
        document.with_user("another".to_owned(), new.into(), Overlap::Unbounded),
    ] {
        let written = changed.to_json();
        let again = Document::parse(&written).expect("what is written is read again");
        assert_eq!(again.password().expose_secret(), new);
        assert_eq!(
            (again.host(), again.port()),
            (document.host(), document.port())
        );
        assert_eq!(again.tls(), document.tls());
        // half of a surrogate pair is JSON, but nothing that this can compare; what nobody reads may hold it
        let Ok(mut before) = serde_json::from_str::<Value>(text) else {
            continue;
        };
        let mut after: Value = serde_json::from_str(written.expose_secret()).unwrap();
        for key in ["password", "username", "overlap_seconds"] {
            for object in [&mut before, &mut after] {
                object.as_object_mut().unwrap().remove(key);
            }
        }
        assert_eq!(before, after, "what is not its business was changed");
    }
});
