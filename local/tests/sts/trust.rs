//! Who may assume a role.

use serde_json::json;

use super::{World, allow, element, policy, trust};

#[tokio::test]
async fn the_trust_policy_and_the_callers_own_decide_who_may_assume_a_role() {
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
        let answer = world.assume("AKIAMACHINE", "target").await;
        match refusal {
            None => assert!(answer.starts_with("HTTP/1.1 200"), "{case}: {answer}"),
            Some(words) => {
                assert!(answer.starts_with("HTTP/1.1 403"), "{case}: {answer}");
                assert_eq!(element(&answer, "Code"), "AccessDenied", "{case}");
                let message = element(&answer, "Message");
                assert!(message.ends_with(words), "{case}: {message}");
                assert!(
                    message.starts_with(&format!("User: {local} is not")),
                    "{message}"
                );
            }
        }
    }
    let absent = world.assume("AKIAMACHINE", "absent").await;
    let message = element(&absent, "Message");
    assert!(
        message.ends_with("role/absent"),
        "it is not told from one that is not trusted: {message}"
    );
}

#[tokio::test]
async fn a_condition_on_the_external_id_keeps_out_who_does_not_know_it() {
    let world = World::start().await;
    let mut trust = trust("123456789012");
    trust["Statement"]["Condition"] = json!({ "StringEquals": { "sts:ExternalId": "e1" } });
    world.define("reader", trust, &[]);
    let form = "AssumeRole&RoleArn=arn:aws:iam::123456789012:role/reader&RoleSessionName=x.y";
    for (id, code) in [
        ("", "403"),
        ("&ExternalId=e2", "403"),
        ("&ExternalId=e1", "200"),
    ] {
        let answer = world.ask("AKIAANY", "", &format!("{form}{id}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")),
            "{id}: {answer}"
        );
    }
}
