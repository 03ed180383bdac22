//! What is refused, and in which words.

use super::{World, element};

#[tokio::test]
async fn what_sts_does_not_take_is_refused_in_its_words_and_what_is_not_served_by_name() {
    let world = World::start().await;
    let arn = "RoleArn=arn:aws:iam::123456789012:role/reader";
    for (form, code, words) in [
        (
            "GetSessionToken".to_owned(),
            "InvalidAction",
            "GetSessionToken; use the real service",
        ),
        (String::new(), "InvalidAction", "no operation"),
        (
            format!("AssumeRole&{arn}"),
            "ValidationError",
            "'roleSessionName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "AssumeRole&RoleSessionName=xy".to_owned(),
            "ValidationError",
            "'roleArn'",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=x"),
            "ValidationError",
            "length greater than or equal to 2",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=a%20b"),
            "ValidationError",
            "pattern",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName={}", "x".repeat(65)),
            "ValidationError",
            "less than or equal to 64",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=899"),
            "ValidationError",
            "equal to 900",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=3601"),
            "ValidationError",
            "MaxSessionDuration",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=43201"),
            "ValidationError",
            "equal to 43200",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=long"),
            "ValidationError",
            "number",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&Policy=%7B%7D"),
            "InvalidParameterValue",
            "Policy",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=%3Ca%26"),
            "ValidationError",
            "'&lt;a&amp;'",
        ),
    ] {
        let answer = world.ask("AKIAANY", "", &form).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{form}: {answer}");
        assert_eq!(element(&answer, "Code"), code, "{form}");
        assert!(answer.contains(words), "{form}: {answer}");
    }
}
