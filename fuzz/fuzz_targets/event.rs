//! For any event: the function reads it, or returns an error, and neither shows a credential.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secret_rotation::event::{Event, RotationEvent};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut json) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    match Event::parse(&json) {
        Ok(
            event @ Event::Rotation(RotationEvent {
                rotation_token: Some(_),
                ..
            }),
        ) => {
            // what is shown does not depend on the token
            json["RotationToken"] = "another".into();
            let another = Event::parse(&json).unwrap();
            assert_eq!(format!("{event:?}"), format!("{another:?}"));
        }
        Ok(_) => {}
        Err(error) => assert!(error.to_string().len() < 400, "{error}"),
    }
});
