//! The function asks an allowed host at a public address only, unless the host is marked as private, and never through a proxy.

use super::{document, edit, error, trust};
use crate::common::{options_with, rotate, start};
use local::{key_service::Recorder, world::World};

/// A world whose function also has these variables.
async fn world_with(variables: &[(&str, &str)]) -> World {
    start(options_with(variables).with_key_service()).await
}

async fn a_recorder() -> Recorder {
    Recorder::start(&["localhost", "127.0.0.1", "::1"], "{}")
        .await
        .unwrap()
}

/// Directs all requests of the secret to this server, rotates, and returns the last error.
async fn rotate_by(world: &World, server: &str) -> (String, String) {
    edit(world, |document| {
        for request in ["create", "verify", "delete", "list"] {
            document[request]["url"] = format!("https://{server}/").into();
        }
    })
    .await;
    error(&rotate(world, world.api_key()).await)
}

#[tokio::test]
async fn a_listed_host_without_the_private_mark_is_not_asked_at_a_local_address() {
    let recorder = a_recorder().await;
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
    ] {
        let server = format!("{host}:{}", recorder.port());
        let world = world_with(&[("ALLOWED_HOSTS", &server)]).await;
        trust(&world, &recorder);
        let (error_type, message) = rotate_by(&world, &server).await;
        assert_eq!(error_type, "AddressNotAllowed", "{message}");
        assert!(
            message.contains(&format!("list it as private:{server}")),
            "{message}"
        );
    }
    assert_eq!(recorder.connections(), 0);
}

#[tokio::test]
async fn the_cure_in_the_error_is_to_mark_the_host_as_private() {
    for host in ["localhost", "127.0.0.1"] {
        let recorder = a_recorder().await;
        let server = format!("{host}:{}", recorder.port());
        let marked = format!("api.example.com, private:{server}");
        let world = world_with(&[("ALLOWED_HOSTS", &marked)]).await;
        trust(&world, &recorder);
        // it is asked, and returns no keys
        let (error_type, message) = rotate_by(&world, &server).await;
        assert_eq!(error_type, "AnswerUnreadable", "{message}");
        assert!(!recorder.take_requests().is_empty());
    }
}

#[tokio::test]
async fn a_mark_applies_only_to_its_own_port() {
    let recorder = a_recorder().await;
    let server = format!("localhost:{}", recorder.port());
    let hosts = format!("private:localhost:9, {server}");
    let world = world_with(&[("ALLOWED_HOSTS", &hosts)]).await;
    trust(&world, &recorder);
    assert_eq!(rotate_by(&world, &server).await.0, "AddressNotAllowed");
    assert_eq!(recorder.connections(), 0);
}

#[tokio::test]
async fn the_metadata_service_is_not_asked_at_any_of_its_addresses() {
    for host in [
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
    ] {
        let world = world_with(&[("ALLOWED_HOSTS", host)]).await;
        assert_eq!(
            rotate_by(&world, host).await.0,
            "AddressNotAllowed",
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let recorder = a_recorder().await;
    let proxy = format!("http://127.0.0.1:{}", recorder.port());
    let variables = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let world = world_with(&variables.map(|name| (name, proxy.as_str()))).await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert_eq!(recorder.connections(), 0);
    assert!(document(&world, "AWSPREVIOUS").await.is_some());
}
