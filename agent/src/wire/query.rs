//! The parameters of a read.

use rotating_secret::provider::Selector;
use url::form_urlencoded;

use crate::{
    spelling::{LONGEST, ROLE, is_role, is_sound},
    store::Question,
};

#[derive(Debug, Default)]
pub(super) struct Parameters {
    secret_id: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
    refresh_now: bool,
    role_arn: Option<String>,
}

impl Parameters {
    /// If a parameter is repeated, the last one counts.
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

    /// The id is one of the parameters.
    pub(super) fn with_id(mut self) -> Result<Question, String> {
        let id = self.secret_id.take().unwrap_or_default();
        self.question(id, "missing parameter secretId")
    }

    /// The id is in the path.
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

fn switch(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("invalid refreshNow value".to_owned()),
    }
}
