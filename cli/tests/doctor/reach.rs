//! The way to the server: each check needs the one before, and what could not be asked is not called wrong.

use tokio::net::TcpSocket;

use super::*;

const DATABASE: [&str; 5] = [
    "AWSCURRENT",
    "AWSPREVIOUS",
    "hashing",
    "administrator",
    "roles",
];

#[tokio::test]
async fn a_host_without_an_address_is_reported_and_the_functions_own_route_can_be_tested() {
    let world = world(options()).await;
    let secret = world.single_user();
    store(&world, secret, "host", json!("nowhere.invalid")).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.checks("unknown"), ["name"], "{}", said.stdout);
    said.assert_unknown();
    let skipped = [&["connection", "certificate"], &DATABASE[..]].concat();
    assert_eq!(said.checks("skipped"), skipped, "{}", said.stdout);
    let [test] = &said.cure("name");
    let said = follow(&world, test, "").await;
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let tested = world
        .secrets_manager()
        .rotation(secret, answer["VersionId"].as_str().unwrap())
        .await;
    let steps: Vec<&str> = tested.attempts[0]
        .steps
        .iter()
        .map(|step| &*step.step)
        .collect();
    assert_eq!(steps, ["testSecret"]);
    assert!(!tested.succeeded, "the function does not find it either");
}

#[tokio::test]
async fn a_closed_port_is_not_reported_as_a_wrong_password() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    // bound, and not listening: nobody else can take it meanwhile
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    store(&world, secret, "port", json!(port)).await;
    let token = leave_over(&world, secret, 1).await;
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.checks("unknown"), ["connection"], "{}", said.stdout);
    assert_eq!(said.checks("wrong"), ["labels"], "{}", said.stdout);
    let skipped = [&["certificate"], &DATABASE[..]].concat();
    assert_eq!(said.checks("skipped"), skipped, "{}", said.stdout);
    said.assert_wrong("labels", &token);
    assert_eq!(said.commands("labels"), [], "what logs in is not known");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_is_accepted_once_its_file_is_named() {
    let world = world(options()).await;
    let secret = world.single_user();
    let ca_file = world.postgres().ca_file();
    let with = async |arguments: &[&str]| {
        let arguments = [&["doctor", secret], arguments].concat();
        run(common::at(world.endpoint(), &arguments), "").await
    };
    let said = with(&[]).await;
    // the function has a CA file, and this machine was not given it
    assert_eq!(said.checks("unknown"), ["certificate"], "{}", said.stdout);
    said.assert_unknown();
    assert_eq!(said.checks("skipped"), DATABASE, "{}", said.stdout);
    let said = with(&["--ca-file", ca_file.to_str().unwrap()]).await;
    said.assert_ok();
    // what ails this machine says nothing about the server, nor about the function
    let elsewhere = crate::world(options().own_postgres(Settings::default())).await;
    let other = elsewhere.postgres().ca_file();
    for file in ["/nowhere/ca.pem", other.to_str().unwrap()] {
        let said = with(&["--ca-file", file]).await;
        assert_eq!(said.checks("unknown"), ["certificate"], "{}", said.stdout);
        said.assert_unknown();
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_is_reported_with_its_name() {
    let elsewhere = Settings {
        certificate_hosts: vec!["elsewhere.example".to_owned()],
        ..Settings::default()
    };
    let world = world(options().own_postgres(elsewhere)).await;
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_wrong("certificate", "elsewhere.example");
}

#[tokio::test]
async fn a_server_without_tls_is_a_fault_unless_the_secret_turns_tls_off() {
    let plain = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = world(options().own_postgres(plain)).await;
    let secret = world.single_user();
    doctor(&world, &[secret], "")
        .await
        .assert_wrong("certificate", "the server refuses TLS");
    store(&world, secret, "ssl", json!(false)).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["certificate"]);
}

#[tokio::test]
async fn no_credential_is_sent_to_another_server_that_a_pending_version_names() {
    let world = world(options()).await;
    let secret = world.single_user();
    let token = leave_over(&world, secret, 0).await;
    let mut forged = document(&world, secret, "AWSCURRENT").await;
    forged["host"] = "127.0.0.1".into();
    let input = json!({
        "SecretId": secret, "ClientRequestToken": token, "SecretString": forged.to_string(), "VersionStages": ["AWSPENDING"],
    });
    call(&world, "PutSecretValue", input).await;
    let said = doctor(&world, &[secret], "").await;
    assert!(
        said.stdout
            .contains("names another host than AWSCURRENT, and was not tried"),
        "{}",
        said.stdout
    );
    assert_eq!(
        world.postgres().logins(world.role()).unwrap().accepted,
        2,
        "AWSCURRENT's alone, and as testSecret has it"
    );
}

#[tokio::test]
async fn a_standby_is_reported_because_it_is_read_only() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = world(options().on_postgres(primary)).await;
    standby.catch_up_with(world.postgres()).await.unwrap();
    for secret in [world.single_user(), world.alternating_users()] {
        store(&world, secret, "port", json!(standby.port())).await;
    }
    for secret in [world.single_user(), world.alternating_users()] {
        let said = doctor(&world, &[secret], "").await;
        said.assert_wrong("AWSCURRENT", "on a standby");
        assert!(said.stdout.contains("\"rotationhost\""), "{}", said.stdout);
        let port = json!(world.postgres().port());
        store(&world, secret, "rotationport", port).await;
        let said = doctor(&world, &[secret], "").await;
        said.assert_ok();
    }
}
