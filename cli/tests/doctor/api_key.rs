//! A secret that is no database's: the service is asked, and a rotation mends what it says.

use local::key_service::Recorder;

use super::*;

async fn world_with_key() -> World {
    world(options().with_key_service()).await
}

#[tokio::test]
async fn a_healthy_api_key_is_shown_with_its_service_and_its_master_secret() {
    let world = world_with_key().await;
    let secret = world.api_key();
    assert_mended(&world, secret).await;
    let said = doctor(&world, &[secret], "").await;
    for check in ["AWSCURRENT", "AWSPREVIOUS", "labels", "master", "clients"] {
        assert_eq!(
            said.verdicts().get(check),
            Some(&"ok"),
            "{check}: {}",
            said.stdout
        );
    }
    assert!(
        said.stdout.contains("the service lists 2 keys"),
        "{}",
        said.stdout
    );
    assert!(!said.verdicts().contains_key("hashing"), "{}", said.stdout);
}

#[tokio::test]
async fn a_deleted_key_is_found_and_the_printed_rotation_replaces_it() {
    let world = world_with_key().await;
    let secret = world.api_key();
    let service = world.key_service().unwrap();
    service.delete(&service.keys()[0]);
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("AWSCURRENT", "rejects the key");
    let [rotate] = &said.cure("AWSCURRENT");
    follow_rotation(&world, secret, rotate).await;
    doctor(&world, &[secret], "").await.assert_ok();
}

#[tokio::test]
async fn an_awspending_left_over_and_a_deleted_key_are_repaired_one_after_the_other() {
    let world = world_with_key().await;
    let secret = world.api_key();
    let service = world.key_service().unwrap();
    let token = leave_over(&world, secret, 1).await;
    service.keys().iter().for_each(|key| service.delete(key));
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("labels", &token);
    said.assert_wrong("AWSCURRENT", "rejects the key");
    let [take_off, rotate] = &said.cure("labels");
    follow(&world, take_off, "").await;
    follow_rotation(&world, secret, rotate).await;
    doctor(&world, &[secret], "").await.assert_ok();
}

/// Who writes the secret would have an operator's rights send another service's master secret.
#[tokio::test]
async fn an_unlisted_master_secret_is_reported_and_sent_nowhere() {
    let listed = options_with(&[(
        "ADMINISTRATOR_SECRETS",
        "arn:aws:secretsmanager:*:secret:others/*",
    )]);
    let world = world(listed.with_key_service()).await;
    let said = doctor(&world, &[world.api_key()], "").await;
    said.assert_only_wrong("master", "not in the function's ADMINISTRATOR_SECRETS");
}

#[tokio::test]
async fn a_master_secret_that_the_service_rejects_is_found() {
    let world = world_with_key().await;
    let secret = world.api_key();
    let master = document(&world, secret, "AWSCURRENT").await["masterarn"].clone();
    let wrong = json!({ "key": "not the account's", "account": "acme" }).to_string();
    let input = json!({ "SecretId": master, "SecretString": wrong });
    call(&world, "PutSecretValue", input).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_only_wrong("master", "HTTP 401");
}

#[tokio::test]
async fn a_host_that_the_function_may_not_ask_is_found() {
    let elsewhere = options_with(&[("ALLOWED_HOSTS", "api.example.com")]);
    let world = world(elsewhere.with_key_service()).await;
    let said = doctor(&world, &[world.api_key()], "").await;
    said.assert_wrong("AWSCURRENT", "add the host to its ALLOWED_HOSTS");
}

/// A stranger whom rotatectl would trust, and the secret's requests lead to.
async fn lead_to_a_stranger(world: &World) -> Recorder {
    let stranger = Recorder::start(&["localhost"], r#"{"keys":[]}"#).await;
    let stranger = stranger.unwrap();
    let trusted = std::fs::read_to_string(world.ca_file()).unwrap() + stranger.ca();
    std::fs::write(world.ca_file(), trusted).unwrap();
    let secret = world.api_key();
    let mut hostile = document(world, secret, "AWSCURRENT").await;
    for request in ["verify", "list"] {
        hostile[request]["url"] = format!("https://localhost:{}/", stranger.port()).into();
    }
    let input = json!({ "SecretId": secret, "SecretString": hostile.to_string() });
    call(world, "PutSecretValue", input).await;
    stranger
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_names_another_host_is_found_and_not_followed() {
    let world = world_with_key().await;
    let stranger = lead_to_a_stranger(&world).await;
    let said = doctor(&world, &[world.api_key()], "").await;
    said.assert_wrong("AWSCURRENT", "which this function may not ask");
    said.assert_wrong("master", "which this function may not ask");
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_is_asked_if_the_list_of_allowed_hosts_cannot_be_read() {
    let mut options = options().with_key_service();
    let unreadable = ("ALLOWED_HOSTS".to_owned(), "https://localhost".to_owned());
    options.function_env.push(unreadable);
    let world = world(options).await;
    let stranger = lead_to_a_stranger(&world).await;
    let said = doctor(&world, &[world.api_key()], "").await;
    said.assert_wrong("environment", "ALLOWED_HOSTS");
    for check in ["AWSCURRENT", "master"] {
        assert_eq!(
            said.verdicts().get(check),
            Some(&"skipped"),
            "{}",
            said.stdout
        );
    }
    assert_eq!(stranger.connections(), 0);
}
