//! A provider that the application installs. A process has one, so this file has one test.

#![cfg(test)]

use rotating_secret::postgres;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

#[test]
fn a_provider_that_the_application_installs_is_the_one_that_the_client_uses() {
    assert!(postgres::tls(None).is_ok());
    let useless = CryptoProvider {
        cipher_suites: Vec::new(),
        ..aws_lc_rs::default_provider()
    };
    useless.install_default().unwrap();
    let error = postgres::tls(None).err().unwrap().to_string();
    assert!(error.contains("no usable cipher suites"), "{error}");
}
