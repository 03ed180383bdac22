//! Each JSON document of the page rotates, with the world's host, names and credentials.

use local::{postgres::Postgres, world::World};
use serde_json::{Value, json};

use super::{
    block,
    common::{arn, call, current, log_in, options, options_with, revoke, rotate, start},
    roles::{self, ADMINISTRATOR, APP},
};

pub(super) const KINDS: [&str; 7] = [
    "json single user",
    "json single user through an administrator",
    "json alternating users",
    "json administrator",
    "json rotationhost",
    "json API key",
    "json API master",
];

/// The page's document, with the world's server, `master` in `masterarn`, and the first password of the page's role.
pub(super) fn given(world: &World, kind: &str, master: Option<&str>) -> Value {
    let mut document: Value = serde_json::from_str(&block(kind)).unwrap();
    let role = document["username"].as_str().unwrap().to_owned();
    let placeholder = format!("the password of {role}");
    assert_eq!(document["password"], placeholder, "{kind}");
    assert_eq!(document.get("masterarn").is_some(), master.is_some());
    for (key, value) in [
        ("host", json!(world.postgres().host())),
        ("port", json!(world.postgres().port())),
        ("rotationhost", json!(world.postgres().host())),
        ("rotationport", json!(world.postgres().port())),
        ("password", json!(roles::password(&role))),
        ("masterarn", json!(master.map(|master| arn(world, master)))),
    ] {
        if let Some(of_the_page) = document.get_mut(key) {
            *of_the_page = value;
        }
    }
    if document["dbname"] != "postgres" {
        document["dbname"] = world.dbname().into();
    }
    document
}

/// A secret that this function rotates.
pub(super) async fn create(world: &World, name: &str, document: &Value) {
    let input = json!({ "Name": name, "SecretString": document.to_string() });
    call(world, "CreateSecret", input).await;
    let function = world.function().arn();
    let service = world.secrets_manager();
    service.configure_rotation(name, &function, 30).unwrap();
}

/// It rotates twice, so that each of two users has its turn, and AWSCURRENT logs in after each rotation.
async fn rotates(world: &World, secret: &str, users: [&str; 2]) {
    for user in users {
        let before = current(world, secret).await;
        let rotation = rotate(world, secret).await;
        assert!(rotation.succeeded, "{secret}: {rotation:?}");
        let now = current(world, secret).await;
        assert_eq!(now["username"], user, "{secret}");
        assert_ne!(now["password"], before["password"], "{secret}");
        log_in(world, &now).await.unwrap();
    }
    let revoked = revoke(world, secret).await.unwrap();
    assert_eq!(revoked["outcome"], "revoked", "{secret}");
}

#[tokio::test]
async fn each_json_of_a_login_rotates_with_the_pages_roles() {
    let world = roles::world().await;
    let clone = format!("{APP}_clone");
    for (name, kind, needs_one, users) in [
        ("one", "json single user", false, [APP, APP]),
        (
            "through",
            "json single user through an administrator",
            true,
            [APP, APP],
        ),
        ("two", "json alternating users", true, [&clone, APP]),
    ] {
        roles::make(&world).await;
        let admin = format!("{name}/admin");
        let document = given(&world, "json administrator", None);
        create(&world, &admin, &document).await;
        let document = given(&world, kind, needs_one.then_some(&admin));
        create(&world, name, &document).await;
        rotates(&world, name, users).await;
        // the administrator's own secret rotates too, and still works as the administrator's
        rotates(&world, &admin, [ADMINISTRATOR; 2]).await;
        rotates(&world, name, users).await;
    }
}

#[tokio::test]
async fn the_json_with_a_rotationhost_rotates_behind_a_reader() {
    let primary = Postgres::start(Default::default()).await.unwrap();
    let reader = primary.start_standby().await.unwrap();
    let world = start(options().on_postgres(primary)).await;
    roles::make(&world).await;
    let document = given(&world, "json administrator", None);
    create(&world, "orders/admin", &document).await;
    let mut document = given(&world, "json rotationhost", Some("orders/admin"));
    document["port"] = reader.port().into();
    create(&world, "orders/db", &document).await;
    reader.catch_up_with(world.postgres()).await.unwrap();
    for _ in 0..2 {
        let rotation = rotate(&world, "orders/db").await;
        assert!(rotation.succeeded, "{rotation:?}");
        reader.catch_up_with(world.postgres()).await.unwrap();
        let now = current(&world, "orders/db").await;
        let text = |key: &str| now[key].as_str().unwrap();
        let (user, password) = (text("username"), text("password"));
        reader
            .connect(user, password, world.dbname())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_json_of_an_api_key_rotates_with_its_master() {
    // as the deployment fills it from AdministratorSecretArns
    let listed = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mail/master-??????";
    let options = options_with(&[("ADMINISTRATOR_SECRETS", listed)]);
    let world = start(options.with_key_service()).await;
    let service = world.key_service().unwrap();
    let mut master: Value = serde_json::from_str(&block("json API master")).unwrap();
    assert_eq!(master["key"], "the master key of the account");
    master["key"] = service.master()["key"].clone();
    let input = json!({ "Name": "mail/master", "SecretString": master.to_string() });
    call(&world, "CreateSecret", input).await;

    let page = block("json API key").replace("api.example.com", service.host());
    let mut document: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(document["key"], "the key that is in use now");
    let made_by_hand = service.document("");
    for key in ["key_id", "key"] {
        document[key] = made_by_hand[key].clone();
    }
    document["masterarn"] = arn(&world, "mail/master").into();
    create(&world, "mail/key", &document).await;
    let rotation = rotate(&world, "mail/key").await;
    assert!(rotation.succeeded, "{rotation:?}");
    let now = current(&world, "mail/key").await;
    assert_ne!(now["key_id"], document["key_id"]);
    assert!(
        service
            .keys()
            .contains(&now["key_id"].as_str().unwrap().to_owned())
    );
    let revoked = revoke(&world, "mail/key").await.unwrap();
    assert_eq!(revoked["outcome"], "revoked");
    assert_eq!(service.keys(), [now["key_id"].as_str().unwrap()]);
}
