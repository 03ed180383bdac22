//! The environment and `.env`, for local work.
#![cfg(feature = "env")]
#![cfg(test)]

mod common;

use std::{fs, path::PathBuf};

use common::stores::text;
use rotating_secret::{
    RotatingSecret,
    provider::{Env, ProviderErrorKind as Kind, SecretProvider, Stage},
};
use secrecy::ExposeSecret;

/// A file that is deleted after the test.
struct File(PathBuf);

impl File {
    fn with(name: &str, text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_secret_is_the_environment_variable_of_its_name_and_an_edit_is_seen_like_a_rotation() {
    let file = File::with(
        "edited.env",
        "ORDERS_DB='{\"username\":\"orders\",\"password\":\"one\"}'\n",
    );
    let secret = RotatingSecret::builder("orders/db")
        .build(Env::with_file(&file.0))
        .await
        .unwrap();
    let first = secret.current().unwrap();
    assert_eq!(first.password().unwrap().expose_secret(), "one");
    assert_eq!(secret.refresh().await.unwrap().version(), first.version());
    fs::write(
        &file.0,
        "ORDERS_DB='{\"username\":\"orders\",\"password\":\"two\"}'\n",
    )
    .unwrap();
    let second = secret.refresh().await.unwrap();
    assert_eq!(second.password().unwrap().expose_secret(), "two");
    assert_ne!(second.version(), first.version());
}

#[tokio::test]
async fn the_environment_comes_before_the_file() {
    // cargo sets this for every test
    let file = File::with("second.env", "CARGO_PKG_NAME=from the file\n");
    let version = Env::with_file(&file.0)
        .fetch("cargo/pkg-name", Stage::Current)
        .await
        .unwrap();
    assert_eq!(text(&version), "rotating-secret");
}

#[tokio::test]
async fn a_name_in_neither_place_is_absent_and_the_error_names_the_variable() {
    let missing = Env::with_file("no such file")
        .fetch("orders/db", Stage::Current)
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert!(missing.to_string().contains("ORDERS_DB"), "{missing}");
    let file = File::with("pending.env", "ORDERS_DB=x\n");
    let pending = Env::with_file(&file.0)
        .fetch("orders/db", Stage::Pending)
        .await
        .unwrap_err();
    assert_eq!(pending.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_line_that_cannot_be_read_is_an_error_that_does_not_quote_it() {
    let file = File::with("broken.env", "ORDERS_DB='s3cret\n");
    let broken = Env::with_file(&file.0)
        .fetch("orders/db", Stage::Current)
        .await
        .unwrap_err();
    assert_eq!(broken.kind(), Kind::Invalid);
    assert!(!broken.to_string().contains("s3cret"), "{broken}");
}
