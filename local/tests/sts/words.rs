//! What is refused, and in which words.

use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder as Assume;

use super::{
    World,
    common::{post, refused},
    key,
};

/// A request with something else in it.
type Changed = fn(Assume) -> Assume;

#[tokio::test]
async fn a_request_that_sts_refuses_gets_its_error_text() {
    let world = World::start().await;
    let refusals: [(Changed, &str); 18] = [
        (
            |assume| assume.set_role_session_name(None),
            "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null",
        ),
        (
            |assume| assume.set_role_arn(None),
            "'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            |assume| assume.role_arn("arn:aws:iam::123456").duration_seconds(0),
            "2 validation errors detected: Value 'arn:aws:iam::123456' at 'roleArn' failed",
        ),
        (
            |assume| assume.role_session_name("x"),
            "Member must have length greater than or equal to 2",
        ),
        (
            |assume| assume.role_session_name("x".repeat(65)),
            "Member must have length less than or equal to 64",
        ),
        (
            |assume| assume.role_session_name("Session1:2"),
            r"1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*",
        ),
        (
            |assume| assume.role_session_name("é<&>"),
            "Value 'é<&>' at 'roleSessionName'",
        ),
        (
            |assume| assume.external_id("a b"),
            "'externalId' failed to satisfy constraint: Member must satisfy regular expression pattern",
        ),
        (
            |assume| assume.duration_seconds(899),
            "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
        ),
        (
            |assume| assume.duration_seconds(43_201),
            "Member must have value less than or equal to 43200",
        ),
        (
            |assume| assume.duration_seconds(3601),
            "exceeds the MaxSessionDuration set for this role.",
        ),
        (
            |assume| assume.role_arn("nothing-valid-in-here"),
            "nothing-valid-in-here is invalid",
        ),
        (
            |assume| assume.role_arn("arn::b:::something/test-role"),
            "arn::b:::something/test-role is invalid",
        ),
        (
            |assume| assume.role_arn("arn:a::::something/test-role"),
            "arn:a::::something/test-role is invalid",
        ),
        (
            |assume| assume.role_arn("arn:a:::something/test-role"),
            "arn:a:::something/test-role is invalid",
        ),
        (
            |assume| assume.role_arn("arn:a:a::aaaaaaaaaa:"),
            "arn:a:a::aaaaaaaaaa: is invalid",
        ),
        (
            |assume| assume.role_arn("arn:aws:iam::123456789012:user/reader"),
            "Request ARN is invalid",
        ),
        (
            |assume| assume.role_arn("arn:aws:acm:eu-central-1:123456789012:role/reader"),
            "Request ARN is invalid",
        ),
    ];
    for (change, words) in refusals {
        let assume = change(world.assume(&key("AKIAANY"), "reader").await);
        let (code, message) = refused(assume.send().await);
        assert_eq!(code, "ValidationError", "{message}");
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[tokio::test]
async fn an_unsupported_operation_is_refused_by_name() {
    let world = World::start().await;
    let members: [(Changed, &str); 3] = [
        (|assume| assume.policy("{}"), "member Policy of"),
        (
            |assume| assume.transitive_tag_keys("team"),
            "member TransitiveTagKeys.member.1 of",
        ),
        (
            |assume| assume.serial_number("GAHT12345678").token_code("123456"),
            "leave it out",
        ),
    ];
    for (change, words) in members {
        let assume = change(world.assume(&key("AKIAANY"), "reader").await);
        let (code, message) = refused(assume.send().await);
        assert_eq!(code, "NotServedByLocalSts");
        assert!(message.contains(words), "{message}");
    }
    let sts = world.sts(&key("AKIAANY")).await;
    let (code, message) = refused(sts.get_session_token().send().await);
    assert_eq!(code, "InvalidAction");
    assert!(
        message.contains("GetSessionToken; use the real service"),
        "{message}"
    );
}

#[tokio::test]
async fn a_malformed_form_is_refused_as_xml() {
    let world = World::start().await;
    let arn = "RoleArn=arn:aws:iam::123456789012:role/reader&RoleSessionName=xy";
    for (form, words) in [
        (String::new(), "no operation"),
        (
            format!("Action=AssumeRole&{arn}&DurationSeconds=long"),
            "DurationSeconds is no number",
        ),
    ] {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = post(world.address, "/", headers, &form).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("<ErrorResponse xmlns="), "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
}
