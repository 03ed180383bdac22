//! For any request that a writer of the secret can describe: it goes to an allowed host, at the address as it is written, or
//! nowhere. The document, a key's id and a field of the master secret are the writer's; one line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotating_secret_document::Document;
use secret_rotation::{engine::api_key::fuzzing::addresses, settings::AllowedHost};
use serde_json::json;

const ALLOWED: &str = "api.example.com";

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (url, key_id, other) = (line(), line(), line());
    let request = |method: &str| json!({ "method": method, "url": url });
    let mut document = json!({
        "engine": "http-api-key", "masterarn": "master", "key_id": key_id, "key": "the key",
        "create": request("POST"), "verify": request("GET"), "delete": request("DELETE"),
    });
    document["create"]["key"] = "/key".into();
    document["create"]["id"] = "/id".into();
    document["create"]["headers"] = json!({ "idempotency-key": "{token}" });
    let Ok(document) = Document::parse(&document.to_string().into()) else {
        return;
    };
    let master = json!({ "key": "the master's", "other": other }).to_string();
    let allowed: AllowedHost = ALLOWED.parse().unwrap();
    for address in addresses(&document, &master.into(), &[allowed]) {
        let path = address
            .strip_prefix("https://api.example.com/")
            .or_else(|| address.strip_prefix("https://api.example.com?"))
            .or_else(|| (address == "https://api.example.com").then_some(""));
        let path = path.unwrap_or_else(|| panic!("{address} of {url}"));
        assert!(
            !path.contains(['\\', '#', ' ', '\n', '\t']),
            "{address} of {url}"
        );
        // as many parts as were written: no value splits one or removes one
        let written = url.split(['?', '#']).next().unwrap();
        if !written.split('/').any(|part| is_dots(part)) {
            let parts = |of: &str| of.split('?').next().unwrap().matches('/').count();
            assert!(
                parts(&address) <= parts(written).max(3),
                "{address} of {url}"
            );
        }
    }
});

/// What the URL standard reads as `.` or `..`.
fn is_dots(part: &str) -> bool {
    let plain = part.to_ascii_lowercase().replace("%2e", ".");
    matches!(&*plain, "." | "..")
}
