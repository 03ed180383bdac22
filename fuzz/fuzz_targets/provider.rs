//! For any answer in place of the agent's or Key Vault's: a version, or an error that shows nothing of it. The first two bytes
//! are the status.
#![no_main]

use libfuzzer_sys::fuzz_target;

const SECRET: &str = "value-to-look-for";

fuzz_target!(|bytes: &[u8]| {
    let Some((status, body)) = bytes.split_first_chunk() else {
        return;
    };
    let status = 100 + u16::from_be_bytes(*status) % 500;
    for said in rotating_secret::fuzzing::answers(status, body) {
        assert!(!said.contains(SECRET), "{said}");
        assert!(said.len() < 1000, "{said}");
    }
});
