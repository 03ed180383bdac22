//! The writer of a secret names another application's master secret: only the operator can change the list of allowed ones.

use serde_json::json;

use super::{edit, error, options, service};
use crate::common::{arn, call, options_with, rotate, start};

const LIST: &str = "ADMINISTRATOR_SECRETS";

/// An ARN of this account and region, with a wildcard for the six random characters.
fn listed(name: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-??????")
}

#[tokio::test]
async fn a_readable_secret_that_is_not_listed_is_not_used_as_master_secret() {
    let world = start(options("1h")).await;
    let others = json!({ "key": "another service's", "password": "another application's" });
    let input = json!({ "Name": "others/secret", "SecretString": others.to_string() });
    call(&world, "CreateSecret", input).await;
    // by its ARN, by its name, as a part of its ARN, and a rotated secret of this very function
    let full = arn(&world, "others/secret");
    let masters = [
        full.clone(),
        "others/secret".to_owned(),
        full[..full.len() - 7].to_owned(),
        arn(&world, world.api_key()),
        arn(&world, world.single_user()),
    ];
    for master in masters {
        edit(&world, |document| {
            document["masterarn"] = master.clone().into()
        })
        .await;
        let before = service(&world).keys();
        let rotation = rotate(&world, world.api_key()).await;
        let (kind, message) = error(&rotation);
        assert_eq!(kind, "AdministratorNotListed", "{message}");
        assert!(message.contains("AdministratorSecretArns"), "{message}");
        assert!(!message.contains("another"), "{message}");
        assert_eq!(service(&world).keys(), before, "{master}");
    }
}

/// The list is compared with the ARN in the service's answer, not with the name in the document.
#[tokio::test]
async fn a_listed_secret_may_be_named_without_its_six_characters() {
    let world = start(options("1h")).await;
    service(&world).set_limit(usize::MAX);
    let full = arn(&world, "demo/mail/master");
    for named in ["demo/mail/master", &full[..full.len() - 7], &full] {
        edit(&world, |document| document["masterarn"] = named.into()).await;
        assert!(rotate(&world, world.api_key()).await.succeeded, "{named}");
    }
}

#[tokio::test]
async fn without_a_list_no_service_is_asked_and_with_it_the_same_secret_rotates() {
    for (listed, rotates) in [
        (String::new(), false),
        ("arn:aws:secretsmanager:*:secret:others/*".to_owned(), false),
        (listed("demo/mail/master"), true),
        (
            "arn:aws:secretsmanager:*:secret:demo/mail/*".to_owned(),
            true,
        ),
    ] {
        let world = start(options_with(&[(LIST, &listed)]).with_key_service()).await;
        let rotation = rotate(&world, world.api_key()).await;
        match rotates {
            true => assert!(rotation.succeeded, "{listed}: {rotation:?}"),
            false => assert_eq!(error(&rotation).0, "AdministratorNotListed", "{listed}"),
        }
    }
}

/// With a list, a server's administrator must be on it too.
#[tokio::test]
async fn with_a_list_of_administrators_the_secret_of_another_application_is_refused() {
    let world = start(options_with(&[(LIST, &listed("demo/admin"))])).await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let mut document = crate::common::current(&world, secret).await;
    document["masterarn"] = arn(&world, world.single_user()).into();
    crate::common::put(&world, secret, document).await;
    let before = world.postgres().logins(world.role()).unwrap();
    let rotation = rotate(&world, secret).await;
    assert_eq!(error(&rotation).0, "AdministratorNotListed");
    assert_eq!(world.postgres().logins(world.role()).unwrap(), before);
}
