//! For any ARN of a secret: the channel that announces its changes is a name that PostgreSQL accepts unchanged, and the same
//! for a replica. (The payload of a notification is compared with versions' ids and never parsed.)
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotating_secret::postgres::channel;

fuzz_target!(|arn: &str| {
    let name = channel(arn);
    assert!(
        name.len() < 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    );
    let mut fields: Vec<&str> = arn.splitn(7, ':').collect();
    if fields.len() == 7 {
        fields[3] = "another-region";
        assert_eq!(channel(&fields.join(":")), name);
        fields[6] = "another-secret";
        assert_eq!(
            channel(&fields.join(":")) == name,
            arn.splitn(7, ':').nth(6) == Some("another-secret")
        );
    }
});
