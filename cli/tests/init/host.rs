//! The administrator is sent to the host that its own secret names, and to no other.

use std::net::TcpListener;

use serde_json::{Value, json};
use snapbox::str;

use crate::{
    assert_nothing_was_made,
    common::{administrator, call, command, document, put, run, world},
    init, new_role,
};

#[tokio::test]
async fn the_administrators_login_is_sent_to_no_other_host_or_port() {
    let world = world().await;
    let role = new_role(&world);
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port().to_string();
    let with_port = format!("localhost:{port}");
    let before = world.postgres().logins(&administrator(&world)).unwrap();
    for given in [
        &["--port", port.as_str()][..],
        &["--host", "127.0.0.1", "--port", &port],
        &["--host", &with_port],
        &["--host", "127.0.0.1"],
    ] {
        let ran = run(init(&world, &role, given)).await;
        ran.code(1).stdout_eq("").stderr_eq(str![[r#"
rotatectl: the administrator of demo/admin logs in at localhost:[..], but the new secret is for [..]: leave out --host and --port, or name an administrator of that server; where applications log in elsewhere, make the secret first, then change its "host", and store this one as its "rotationhost"

"#]]);
    }
    let came = elsewhere.accept().unwrap_err();
    assert_eq!(came.kind(), std::io::ErrorKind::WouldBlock);
    let after = world.postgres().logins(&administrator(&world)).unwrap();
    assert_eq!(after, before);
    assert_nothing_was_made(&world, &role).await;
}

#[tokio::test]
async fn the_administrators_own_host_may_be_given() {
    let world = world().await;
    let role = new_role(&world);
    let port = world.postgres().port().to_string();
    let given = ["--host", "LOCALHOST", "--port", &port];
    run(init(&world, &role, &given)).await.success();
}

#[tokio::test]
async fn an_invalid_host_is_refused_before_anything_is_sent() {
    let world = world().await;
    let role = new_role(&world);
    for host in ["a,b", "/run/postgresql", "postgres://db"] {
        let ran = run(init(&world, &role, &["--host", host])).await.code(1);
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(
            said.contains("rotatectl: --host is not the name or the address of one server"),
            "{said}"
        );
    }
    assert_nothing_was_made(&world, &role).await;
}

/// Stores another administrator's secret.
async fn store(world: &local::world::World, change: impl FnOnce(&mut Value)) {
    let mut stored = document(world, world.admin(), "AWSCURRENT").await;
    change(&mut stored);
    put(world, world.admin(), &stored).await;
}

#[tokio::test]
async fn an_administrators_login_without_a_host_is_sent_nowhere() {
    let world = world().await;
    let role = new_role(&world);
    let before = world.postgres().logins(&administrator(&world)).unwrap();
    store(&world, |stored| {
        stored.as_object_mut().unwrap().remove("host");
    })
    .await;
    let ran = run(init(&world, &role, &["--host", "localhost"])).await;
    ran.code(1).stderr_eq(str![[r#"
rotatectl: the administrator's secret, demo/admin, names no host, and its password is sent only to the host in that secret: add "host" to it; if RDS manages that secret, make a role with CREATEROLE for this, and store it in a secret with its host

"#]]);
    let after = world.postgres().logins(&administrator(&world)).unwrap();
    assert_eq!(after, before);
    assert_nothing_was_made(&world, &role).await;
}

#[tokio::test]
async fn the_new_secret_uses_the_rotation_address_of_the_administrators_secret() {
    let world = world().await;
    let role = new_role(&world);
    let port = world.postgres().port();
    store(&world, |stored| {
        stored["rotationhost"] = stored["host"].take();
        stored["rotationport"] = port.into();
        stored["host"] = "reader.invalid".into();
    })
    .await;
    run(init(&world, &role, &[])).await.success();
    let stored = crate::current(&world).await.unwrap();
    assert_eq!(
        (&stored["host"], &stored["port"]),
        (&json!("localhost"), &json!(port))
    );
}

#[tokio::test]
async fn a_rejected_administrator_is_reported_with_its_secret() {
    let world = world().await;
    let role = new_role(&world);
    store(&world, |stored| stored["password"] = "wrong".into()).await;
    let ran = run(init(&world, &role, &[])).await;
    ran.code(1).stderr_eq(str![[r#"
rotatectl: localhost:[..] rejects the administrator admin_of_orders_[..] (28P01), and nothing was changed: store its password in demo/admin

"#]]);
    assert_nothing_was_made(&world, &role).await;
}

#[tokio::test]
async fn text_of_a_secret_or_a_server_is_shown_without_characters_that_reverse_or_hide_text() {
    let world = world().await;
    let role = new_role(&world);
    for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{1b}', '\u{9b}'] {
        let user = format!("ad{hidden}min");
        store(&world, |stored| stored["username"] = user.into()).await;
        let ran = run(init(&world, &role, &[])).await.code(1);
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(
            said.contains("rejects the administrator ad\u{fffd}min"),
            "{said:?}"
        );
        assert!(!said.contains(hidden), "{said:?}");
    }
}

#[tokio::test]
async fn an_administrators_arn_is_shown_by_its_account_and_region_only() {
    let world = world().await;
    let role = new_role(&world);
    let arn = world.secrets_manager().arn(world.admin()).unwrap();
    let given = [
        "init",
        "app/db",
        "--username",
        &role,
        "--administrator",
        &arn,
        "--yes",
    ];
    let ran = run(command(&world, &given)).await.success();
    let asked = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    let expected = "init app/db in region us-east-1, with an administrator's secret of account 123456789012, region us-east-1: ";
    assert!(asked.starts_with(expected), "{asked}");
}

#[tokio::test]
async fn a_secret_that_is_not_a_login_is_refused_as_the_administrators() {
    let world = world().await;
    let role = new_role(&world);
    for (value, said) in [
        (
            "no json",
            "the administrator's secret, demo/admin, is not JSON",
        ),
        (
            r#"{"engine":"mysql","host":"h"}"#,
            "names the engine \"mysql\"",
        ),
        (
            r#"{"host":"localhost","username":"x"}"#,
            "has no \"password\"",
        ),
    ] {
        let input = json!({ "SecretId": world.admin(), "SecretString": value });
        call(&world, "PutSecretValue", input).await;
        let ran = run(init(&world, &role, &[])).await.code(1);
        let stderr = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(said), "{stderr}");
    }
    assert_nothing_was_made(&world, &role).await;
}
