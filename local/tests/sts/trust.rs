//! Who may assume a role.

use aws_sdk_sts::error::ProvideErrorMetadata;
use serde_json::json;

use super::{World, allow, common::refused, key, policy, trust};

#[tokio::test]
async fn the_trust_policy_and_the_callers_policy_decide_who_may_assume_a_role() {
    let world = World::start().await;
    let machine = "arn:aws:iam::123456789012:role/machine";
    let local = "arn:aws:sts::123456789012:assumed-role/machine/local";
    let (none, own) = (policy("Allow", "s3:*", "*"), allow("sts:AssumeRole", "*"));
    let other = allow("sts:AssumeRole", "arn:aws:iam::123456789012:role/other");
    let deny = policy("Deny", "sts:AssumeRole", "*");
    let mut denies = trust(machine);
    denies["Statement"]["Effect"] = "Deny".into();
    let no_identity = "because no identity-based policy allows the sts:AssumeRole action";
    let identity = "with an explicit deny in an identity-based policy";
    let trusted = "with an explicit deny in the role trust policy";
    let silent = "on resource: arn:aws:iam::123456789012:role/target";
    for (trust, policy, refusal) in [
        (trust("123456789012"), &own, None),
        (trust("123456789012"), &none, Some(no_identity)),
        (trust("123456789012"), &other, Some(no_identity)),
        (trust("arn:aws:iam::123456789012:root"), &own, None),
        (trust(machine), &none, None),
        (trust(local), &none, None),
        (trust("*"), &none, None),
        (trust(machine), &deny, Some(identity)),
        (trust("210987654321"), &own, Some(silent)),
        (
            trust("arn:aws:iam::123456789012:role/reader"),
            &own,
            Some(silent),
        ),
        (denies, &own, Some(trusted)),
    ] {
        let case = format!("{trust} {policy}");
        world.define("target", trust, &[]);
        world.restrict("AKIAMACHINE", "machine", policy.clone());
        let assume = world.assume(&key("AKIAMACHINE"), "target").await;
        match (assume.send().await, refusal) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                assert_eq!(error.code(), Some("AccessDenied"), "{case}");
                let message = error.message().unwrap();
                assert!(message.ends_with(words), "{case}: {message}");
                assert!(
                    message.starts_with(&format!("User: {local} is not")),
                    "{message}"
                );
                assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
            }
            (answer, _) => panic!("{case}: {answer:?}"),
        }
    }
    // the answer does not differ from that of a role that does not trust the caller
    let absent = world.assume(&key("AKIAMACHINE"), "absent").await;
    let (code, message) = refused(absent.send().await);
    assert_eq!(code, "AccessDenied");
    assert!(message.ends_with("role/absent"), "{message}");
    let account = "arn:aws:iam::210987654321:role/target";
    let elsewhere = world.assume(&key("AKIAMACHINE"), "target").await;
    let (code, _) = refused(elsewhere.role_arn(account).send().await);
    assert_eq!(code, "AccessDenied");
}

#[tokio::test]
async fn a_condition_on_the_external_id_refuses_callers_without_it() {
    let world = World::start().await;
    let mut trust = trust("123456789012");
    trust["Statement"]["Condition"] = json!({ "StringEquals": { "sts:ExternalId": "e1" } });
    world.define("reader", trust, &[]);
    for (id, let_in) in [(None, false), (Some("e2"), false), (Some("e1"), true)] {
        let assume = world.assume(&key("AKIAANY"), "reader").await;
        let assumed = assume.set_external_id(id.map(str::to_owned)).send().await;
        assert_eq!(assumed.is_ok(), let_in, "{id:?}");
    }
}
