//! Documents as people write them, on a real server: each rotates without an edit, and keeps everything that a rotation does not
//! change.

#![cfg(test)]

mod common;

use common::{
    administrator, arn, ask, assert_error, assert_rejected, call, current, execute, failure,
    log_in, outcome, put, revoke, rotate, stage, stage_up_to, stored, world,
};
use local::{secrets_manager::SecretsManager, world::World};
use rotating_secret_document::{Document, table::ROWS};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// A row of the table as a document of this world's secret: the forms of the row, the values of the world.
fn of_this_world(text: &str, own: &Value, administrator: &str) -> String {
    let mut document: Value = serde_json::from_str(text).unwrap();
    // a scratch server has another port
    document["port"] = match &document["port"] {
        Value::String(_) => own["port"].to_string().into(),
        _ => own["port"].clone(),
    };
    for field in ["host", "username", "password", "dbname"] {
        if document
            .get(field)
            .is_some_and(|value| *value != json!("") && !value.is_null())
        {
            document[field] = own[field].clone();
        }
    }
    if document.get("masterarn").is_some() {
        document["masterarn"] = administrator.into();
    }
    document.to_string()
}

#[tokio::test]
async fn every_form_that_awss_functions_accept_rotates_without_an_edit() {
    let world = world().await;
    let master = arn(&world, world.admin());
    let awss = |what: &str| {
        ["AWS's", "as RDS's", "as the"]
            .iter()
            .any(|by| what.starts_with(by))
    };
    let rows: Vec<_> = ROWS.iter().filter(|row| awss(row.what)).collect();
    assert!(rows.len() >= 10);
    for row in rows {
        let has_master = row.text.contains("masterarn");
        let secret = match has_master {
            true => world.alternating_users(),
            false => world.single_user(),
        };
        let before = of_this_world(row.text, &current(&world, secret).await, &master);
        put(&world, secret, &before).await;
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded, "{}: {rotation:?}", row.what);

        let mut after = current(&world, secret).await;
        let mut before: Value = serde_json::from_str(&before).unwrap();
        assert_ne!(before["password"], after["password"], "{}", row.what);
        let mut login = after.clone();
        login["dbname"] = world.dbname().into();
        log_in(&world, &login).await.unwrap();
        for changed in ["password", "username", "overlap_seconds"] {
            for document in [&mut before, &mut after] {
                document.as_object_mut().unwrap().remove(changed);
            }
        }
        assert_eq!(before, after, "{}", row.what);
    }
}

/// AWSCURRENT's `SecretBinary`, in Base64.
async fn binary(world: &World, secret: &str) -> Value {
    call(world, "GetSecretValue", json!({ "SecretId": secret })).await["SecretBinary"].clone()
}

#[tokio::test]
async fn a_document_in_secretbinary_stays_in_secretbinary() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let world = world().await;
    let secret = world.single_user();
    let text = current(&world, secret).await.to_string();
    let bytes = json!({ "SecretId": secret, "SecretBinary": BASE64_STANDARD.encode(&text) });
    call(&world, "PutSecretValue", bytes).await;
    assert!(rotate(&world, secret).await.succeeded);
    let bytes = binary(&world, secret).await;
    let bytes = BASE64_STANDARD.decode(bytes.as_str().unwrap()).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_ne!(document.to_string(), text);
    log_in(&world, &document).await.unwrap();
}

#[tokio::test]
async fn secretbinary_that_is_not_text_is_refused_with_what_to_do() {
    let world = world().await;
    let secret = world.single_user();
    call(
        &world,
        "PutSecretValue",
        json!({ "SecretId": secret, "SecretBinary": "//79" }),
    )
    .await;
    stage(&world, secret);
    let error = failure(&world, secret, "createSecret").await;
    assert_error(
        &error,
        "SecretIsBinary",
        "store the JSON document as SecretString",
    );
}

#[tokio::test]
async fn a_document_is_stored_in_the_form_that_it_had() {
    let world = world().await;
    let secret = world.single_user();
    let document = current(&world, secret).await;
    let text = document.to_string();
    let spaced = text.replacen('{', "\u{feff}{\n  \"a\" : 1E5 ,\n ", 1) + "\n";
    let quoted = json!(text).to_string();
    for form in [spaced, quoted] {
        let password = current_password(world.secrets_manager(), secret).await;
        let form = form.replace(document["password"].as_str().unwrap(), &password);
        put(&world, secret, &form).await;
        assert!(rotate(&world, secret).await.succeeded);
        let after = stored(world.secrets_manager(), secret, "AWSCURRENT")
            .await
            .unwrap();
        let new = current_password(world.secrets_manager(), secret).await;
        assert_ne!(new, password);
        assert_eq!(
            after.replace(&escaped(&new, &form), &escaped(&password, &form)),
            form
        );
    }
}

async fn current_password(service: &SecretsManager, secret: &str) -> String {
    let text = stored(service, secret, "AWSCURRENT").await.unwrap();
    let document = Document::parse(&text.into()).unwrap();
    document.password().expose_secret().to_owned()
}

/// The password as JSON text, or as JSON text in JSON text.
fn escaped(password: &str, form: &str) -> String {
    let inner = |text: &str| {
        let json = json!(text).to_string();
        json[1..json.len() - 1].to_owned()
    };
    match form.starts_with('"') {
        true => inner(&inner(password)),
        false => inner(password),
    }
}

#[tokio::test]
async fn a_pending_version_with_another_ssl_setting_is_checked_with_the_current_setting() {
    for plain in [json!(false), json!("False")] {
        let world = world().await;
        let secret = world.single_user();
        stage_up_to(&world, secret, "createSecret").await;
        let mut pending = current(&world, secret).await;
        pending["ssl"] = plain;
        pending["password"] = "of another person".into();
        common::put_pending(&world, secret, &pending).await;
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            outcome(&world, secret, step).await;
        }
        pending.as_object_mut().unwrap().remove("ssl");
        log_in(&world, &pending).await.unwrap();
    }
}

/// The single user's secret, rotated by the administrator.
async fn through_the_administrator(world: &World) -> (&str, Value) {
    let secret = world.single_user();
    let mut document = current(world, secret).await;
    document["masterarn"] = arn(world, world.admin()).into();
    document["strategy"] = "single-user".into();
    put(world, secret, &document).await;
    (secret, document)
}

#[tokio::test]
async fn an_administrator_changes_the_password_of_a_single_user_without_the_right() {
    let world = world().await;
    let (secret, old) = through_the_administrator(&world).await;
    let (role, admin) = (world.role(), administrator(&world));
    execute(
        &world,
        &format!("GRANT {role} TO {admin} WITH ADMIN OPTION"),
    )
    .await;
    let rotation = rotate(&world, secret).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let new = current(&world, secret).await;
    assert_eq!(new["username"], old["username"]);
    assert_eq!(new.get("overlap_seconds"), None);
    log_in(&world, &new).await.unwrap();
    assert_rejected(log_in(&world, &old).await);
    let clones = format!(
        "SELECT count(*) FROM pg_roles WHERE rolname = '{}_clone'",
        world.role()
    );
    assert_eq!(ask::<i64>(&world, &clones).await, 0);

    let held = log_in(&world, &new).await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    let ended = revoke(&world, secret).await.unwrap();
    assert!(ended["sessions"].as_u64().unwrap() >= 1, "{ended}");
    assert!(held.simple_query("SELECT 1").await.is_err());
}

#[tokio::test]
async fn an_administrator_without_the_right_to_change_a_single_users_password_gets_the_grant_in_the_error()
 {
    let world = world().await;
    let (secret, old) = through_the_administrator(&world).await;
    execute(
        &world,
        &format!("ALTER ROLE {} NOCREATEROLE", administrator(&world)),
    )
    .await;
    stage_up_to(&world, secret, "setSecret").await;
    let error = failure(&world, secret, "setSecret").await;
    assert_error(&error, "AdministratorForbidden", "as a superuser, run ");
    log_in(&world, &old).await.unwrap();
    for cure in common::cures(&error.error_message) {
        execute(&world, cure).await;
    }
    assert_eq!(outcome(&world, secret, "setSecret").await, "changed");
}

#[tokio::test]
async fn an_applications_own_keys_do_not_prevent_a_single_users_rotation() {
    let world = world().await;
    let secret = world.single_user();
    // a log line names them, and only if there are any
    let warns = async || {
        let rotation = rotate(&world, secret).await;
        assert!(rotation.succeeded);
        let log = rotation.attempts[0].steps[0].invoked.log.join("\n");
        log.contains("so they are ignored")
    };
    assert!(!warns().await);
    let mut document = current(&world, secret).await;
    document["overlap"] = 5.into();
    document["ownerrole"] = json!(["sales"]);
    document["strategy"] = json!({ "retry": true });
    put(&world, secret, &document).await;
    assert!(warns().await);
    let after = current(&world, secret).await;
    for key in ["overlap", "ownerrole", "strategy"] {
        assert_eq!(after[key], document[key]);
    }
}
