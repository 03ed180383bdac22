//! The spelling of an id, a label and a role, in requests and in files.

/// The longest id that the API's reference allows.
pub(crate) const LONGEST: usize = 2048;

/// Whether a text is safe in a log and in a cache.
pub(crate) fn is_sound(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// The shape of a role's ARN, in the words of AWS's agent.
pub(crate) const ROLE: &str = "expected arn:<partition>:iam::<account>:role/<name>";

pub(crate) fn is_role(arn: &str) -> bool {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, role] = fields[..] else {
        return false;
    };
    let consists_of = |text: &str, more: &str| {
        let is_one = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.chars().all(is_one)
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let name = role.strip_prefix("role/").unwrap_or_default();
    arn.len() <= LONGEST
        && is_account
        && consists_of(partition, "_-")
        && consists_of(name, "_+=,.@/-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_what_awss_agent_reads_as_one() {
        for role in [
            "arn:aws:iam::123456789012:role/reader",
            "arn:aws-us-gov:iam::123456789012:role/team/a+b=c,d.e@f-g_h",
        ] {
            assert!(is_role(role), "{role}");
        }
        for role in [
            "",
            "reader",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:user/reader",
            "arn:aws:iam::12345678901:role/reader",
            "arn:aws:iam::12345678901x:role/reader",
            "arn:aws:iam:eu-west-1:123456789012:role/reader",
            "arn::iam::123456789012:role/reader",
            "arn:aws:iam::123456789012:role/a:b",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role/é",
            "arn:aws:iam::123456789012:role/a\nb",
            &format!("arn:aws:iam::123456789012:role/{}", "a".repeat(3000)),
        ] {
            assert!(!is_role(role), "{role}");
        }
    }
}
