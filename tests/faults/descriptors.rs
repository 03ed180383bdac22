//! A process that may open no more files.

use std::{fs::File, process::Command};

use rotating_secret::{LogInError, RotatingSecret, postgres, provider::Aws};

use super::*;

/// Sets the number of files that a process may have open.
fn limit(process: u32, files: u32) {
    shell(&format!("prlimit --pid {process} --nofile={files}:"));
}

#[tokio::test]
async fn a_function_without_a_free_descriptor_says_so_and_continues_when_it_has_one() {
    let world = start(warm(options())).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    for step in ["setSecret", "testSecret"] {
        let [process] = world.function().processes()[..] else {
            panic!("one environment before {step}");
        };
        limit(process, 4);
        let error = fails(&world, secret, step).await;
        assert!(
            error.error_message.contains("Too many open files"),
            "{error}"
        );
        limit(process, 1024);
        outcome(&world, secret, step).await;
    }
    outcome(&world, secret, "finishSecret").await;
    assert_eq!(world.function().environments(), 1);
}

/// Runs in its own process, which does nothing else.
#[tokio::test]
async fn an_application_without_a_free_descriptor_keeps_its_secret_and_logs_in_when_it_has_one() {
    let itself = std::env::current_exe().unwrap();
    let name = "descriptors::runs_out_of_descriptors";
    let mut alone = Command::new(itself);
    alone.args([name, "--exact", "--ignored"]);
    let ended = tokio::task::spawn_blocking(move || alone.output().unwrap());
    let ended = ended.await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by the test before it, in a process of its own"]
async fn runs_out_of_descriptors() {
    let world = start(options()).await;
    // a name lookup fails without a descriptor, with another error
    let mut document = current(&world, world.single_user()).await;
    document["host"] = "127.0.0.1".into();
    put(&world, world.single_user(), document).await;
    let aws = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(world.single_user())
        .build(aws)
        .await;
    let (secret, tls) = (secret.unwrap(), world.tls().unwrap());
    drop(postgres::connect(&secret, tls.clone()).await.unwrap());
    let before = secret.current().unwrap().version().to_owned();
    limit(std::process::id(), 256);
    let mut files = Vec::new();
    let refusal = loop {
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        match postgres::connect(&secret, tls.clone()).await {
            // a connection that closes in the background leaves room for one more
            Ok(_) => {}
            Err(LogInError::Failed(refusal)) => break refusal.to_string(),
            Err(error) => panic!("{error}"),
        }
    };
    assert!(refusal.contains("Too many open files"), "{refusal}");
    assert_eq!(secret.current().unwrap().version(), before);
    drop(files);
    secret.refresh().await.unwrap();
    drop(postgres::connect(&secret, tls).await.unwrap());
    assert!(rotate(&world, world.single_user()).await.succeeded);
}
