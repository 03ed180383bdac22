//! Whatever a server says at a login, to the function and to an application: it has the password neither in clear nor as
//! part of an error's text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secret_rotation::engine::postgres::fuzzing as function;
use tokio::runtime::Builder;

const PASSWORD: &str = "a-password-to-look-for";

fuzz_target!(|bytes: &[u8]| {
    let runtime = Builder::new_current_thread().build().unwrap();
    let (sent, error) = runtime.block_on(function::log_in(bytes, PASSWORD));
    assert_hidden(&sent, &error);
    let (sent, error) = runtime.block_on(rotating_secret::fuzzing::log_in(bytes, PASSWORD));
    assert_hidden(&sent, &error);
});

fn assert_hidden(sent: &[u8], error: &str) {
    let found = sent
        .windows(PASSWORD.len())
        .any(|part| part == PASSWORD.as_bytes());
    assert!(!found, "the password was sent");
    assert!(!error.contains(PASSWORD), "{error}");
}
