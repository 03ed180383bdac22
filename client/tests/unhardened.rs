//! The application of `harden.rs` without the wiping allocator: the number of copies differs from run to run, and is printed.
#![cfg(all(
    feature = "aws",
    feature = "bb8",
    feature = "deadpool",
    feature = "harden",
    feature = "listen",
    feature = "sqlx",
    feature = "tls",
    target_os = "linux"
))]
#![cfg(test)]

mod memory;

use std::time::Duration;

use memory::{application, hand_over};

// the world runs on while the test waits for the other process
#[tokio::test(flavor = "multi_thread")]
async fn without_the_allocator_the_same_application_leaves_old_passwords_in_memory() {
    let found = hand_over("the_application", Duration::from_secs(1)).await;
    println!("{found}");
    assert!(found.in_use.old.count() > 0, "it cannot see: {found}");
}

#[test]
#[ignore = "the process that is looked into; the test above starts it"]
fn the_application() {
    application();
}
