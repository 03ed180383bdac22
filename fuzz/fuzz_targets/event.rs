//! Whatever the function is invoked with: an event or an error, and neither shows a credential.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secret_rotation::event::{Event, RotationEvent};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    match Event::parse(&json) {
        Ok(
            event @ Event::Rotation(RotationEvent {
                rotation_token: Some(_),
                ..
            }),
        ) => {
            let token = json["RotationToken"].as_str().unwrap();
            let elsewhere = json.to_string().matches(token).count() > 1;
            let shown = format!("{event:?}");
            assert!(
                token.len() < 16 || elsewhere || !shown.contains(token),
                "{shown}"
            );
        }
        Ok(_) => {}
        Err(error) => assert!(error.to_string().len() < 400, "{error}"),
    }
});
