//! The parameters of a read.

use rotating_secret::provider::Selector;
use url::form_urlencoded;

use crate::store::Question;

/// The longest id of the API (its reference).
const LONGEST: usize = 2048;

#[derive(Debug, Default)]
pub(super) struct Parameters {
    secret_id: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
    refresh_now: bool,
    role_arn: Option<String>,
}

impl Parameters {
    /// Of a repeated one the last counts.
    pub(super) fn read(query: &str) -> Result<Self, String> {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "secretId" => read.secret_id = Some(value),
                "versionId" => read.version_id = Some(value),
                "versionStage" => read.version_stage = Some(value),
                "refreshNow" => read.refresh_now = switch(&value)?,
                "roleArn" => read.role_arn = Some(value),
                other => return Err(format!("unknown parameter: {other}")),
            }
        }
        Ok(read)
    }

    /// With the id among them.
    pub(super) fn with_id(mut self) -> Result<Question, String> {
        let id = self.secret_id.take().unwrap_or_default();
        self.question(id, "missing parameter secretId")
    }

    /// With the id that the path names.
    pub(super) fn of(self, id: &str) -> Result<Question, String> {
        match self.secret_id {
            Some(_) => Err("unknown parameter: secretId".to_owned()),
            None => self.question(id.to_owned(), "missing secret ID"),
        }
    }

    fn question(self, id: String, missing: &str) -> Result<Question, String> {
        if id.is_empty() {
            return Err(missing.to_owned());
        }
        let texts = [
            Some(&id),
            self.version_id.as_ref(),
            self.version_stage.as_ref(),
        ];
        if texts.into_iter().flatten().any(|text| !is_sound(text)) {
            return Err(format!(
                "an id or a label has a control character, or more than {LONGEST} characters"
            ));
        }
        if self.role_arn.as_deref().is_some_and(|role| !is_role(role)) {
            return Err(format!("invalid roleArn format, {ROLE}"));
        }
        Ok(Question {
            id,
            selector: Selector::new(self.version_id, self.version_stage),
            refresh: self.refresh_now,
            role: self.role_arn,
        })
    }
}

/// Whether a text may stand in a log and in a cache.
pub(crate) fn is_sound(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// What a role's ARN looks like, in the words of AWS's agent.
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

fn switch(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("invalid refreshNow value".to_owned()),
    }
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
