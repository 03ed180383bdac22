//! The JSON event that Secrets Manager sends, read by hand.
//!
//! The published event types lack `RotationToken`. A generic parser names a Rust type where an operator needs the name of the
//! missing field.

use std::fmt;

use secrecy::SecretString;
use serde_json::Value;

/// One of the four steps of a rotation, or of the two that only an operator sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Generate the new credential and store it as AWSPENDING.
    Create,
    /// Make the database accept it.
    Set,
    /// Prove that it logs in.
    Test,
    /// Make it AWSCURRENT.
    Finish,
    /// End the credential before AWSCURRENT, at once. The service never sends this step.
    Revoke,
    /// Make AWSPREVIOUS current again. The service never sends this step.
    Rollback,
}

impl Step {
    /// The name that the service sends, also used in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
            Self::Revoke => "revokeSecret",
            Self::Rollback => "rollbackSecret",
        }
    }

    /// Reads both spellings: the service sends `createSecret`, AWS's user guide writes `create_secret`.
    fn parse(name: &str) -> Result<Self, EventError> {
        match name {
            "createSecret" | "create_secret" => Ok(Self::Create),
            "setSecret" | "set_secret" => Ok(Self::Set),
            "testSecret" | "test_secret" => Ok(Self::Test),
            "finishSecret" | "finish_secret" => Ok(Self::Finish),
            "revokeSecret" | "revoke_secret" => Ok(Self::Revoke),
            "rollbackSecret" | "rollback_secret" => Ok(Self::Rollback),
            other => Err(EventError::UnknownStep {
                step: other.chars().take(40).collect(),
            }),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one invocation must do.
#[derive(Debug)]
pub enum Event {
    /// A step of a rotation.
    Rotation(RotationEvent),
    /// `{"Check": "age"}`, which a schedule sends: is every secret rotated in time?
    AgeCheck,
}

impl Event {
    /// Reads the event.
    ///
    /// # Errors
    ///
    /// Those of [`RotationEvent::parse`], or the check is unknown.
    pub fn parse(event: &Value) -> Result<Self, EventError> {
        match text(event, "Check")? {
            None => RotationEvent::parse(event).map(Self::Rotation),
            Some("age") => Ok(Self::AgeCheck),
            Some(other) => Err(EventError::UnknownCheck {
                check: other.chars().take(40).collect(),
            }),
        }
    }
}

/// A step that one invocation must take.
#[derive(Debug)]
pub struct RotationEvent {
    /// The step.
    pub step: Step,
    /// The secret's full ARN.
    pub secret: String,
    /// `ClientRequestToken`: the id of the version that this rotation makes. Empty for an operator's step, which makes no
    /// version.
    pub token: String,
    /// A credential of Secrets Manager itself; PutSecretValue requires it in cross-account rotations.
    pub rotation_token: Option<SecretString>,
}

impl RotationEvent {
    /// Reads the event.
    ///
    /// # Errors
    ///
    /// A field is missing or is not a string, or the step is unknown. The message holds no field's value except the step's
    /// name.
    pub fn parse(event: &Value) -> Result<Self, EventError> {
        let step = Step::parse(&required(event, "Step")?)?;
        Ok(Self {
            step,
            secret: required(event, "SecretId")?,
            token: match step {
                Step::Revoke | Step::Rollback => String::new(),
                _ => required(event, "ClientRequestToken")?,
            },
            rotation_token: text(event, "RotationToken")?.map(SecretString::from),
        })
    }
}

fn required(event: &Value, field: &'static str) -> Result<String, EventError> {
    text(event, field)?
        .map(str::to_owned)
        .ok_or(EventError::MissingField { field })
}

fn text<'a>(event: &'a Value, field: &'static str) -> Result<Option<&'a str>, EventError> {
    match event.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(EventError::NotAString { field }),
    }
}

/// Why an event is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum EventError {
    /// A required field is missing.
    #[error(
        "the event has no {field}: Secrets Manager invokes this function with Step, SecretId and ClientRequestToken; to try \
         it by hand, send one of events/*.json"
    )]
    MissingField { field: &'static str },
    /// A field has another type, or is empty.
    #[error("the event's {field} is empty or not a string: send it as in events/*.json")]
    NotAString { field: &'static str },
    /// An unknown step.
    #[error(
        "the event's Step is \"{step}\": send createSecret, setSecret, testSecret or finishSecret, \
         revokeSecret to end AWSPREVIOUS, or rollbackSecret to make it AWSCURRENT again"
    )]
    UnknownStep { step: String },
    /// An unknown check.
    #[error("the event's Check is \"{check}\": send age, or a rotation's event without Check")]
    UnknownCheck { check: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(step: &str) -> Value {
        json!({"Step": step, "SecretId": "arn", "ClientRequestToken": "token"})
    }

    #[test]
    fn both_spellings_of_every_step_are_read() {
        for (spelling, step) in [
            ("createSecret", Step::Create),
            ("create_secret", Step::Create),
            ("setSecret", Step::Set),
            ("set_secret", Step::Set),
            ("testSecret", Step::Test),
            ("test_secret", Step::Test),
            ("finishSecret", Step::Finish),
            ("finish_secret", Step::Finish),
            ("revokeSecret", Step::Revoke),
            ("rollbackSecret", Step::Rollback),
            ("rollback_secret", Step::Rollback),
        ] {
            assert_eq!(RotationEvent::parse(&event(spelling)).unwrap().step, step);
        }
    }

    #[test]
    fn an_event_without_a_field_is_refused_with_the_fields_name() {
        for field in ["Step", "SecretId", "ClientRequestToken"] {
            let mut event = event("createSecret");
            event.as_object_mut().unwrap().remove(field);
            assert_eq!(
                RotationEvent::parse(&event).unwrap_err(),
                EventError::MissingField { field }
            );
        }
    }

    #[test]
    fn an_operators_step_needs_no_token() {
        for step in [Step::Revoke, Step::Rollback] {
            let event = json!({"Step": step.name(), "SecretId": "arn"});
            let event = RotationEvent::parse(&event).unwrap();
            assert_eq!((event.step, event.token.as_str()), (step, ""));
        }
    }

    #[test]
    fn an_age_check_differs_from_a_rotation_and_from_any_other_check() {
        let check = |name: Value| Event::parse(&json!({ "Check": name }));
        assert!(matches!(check("age".into()), Ok(Event::AgeCheck)));
        let error = check("x".repeat(5000).into()).unwrap_err();
        assert!(
            matches!(error, EventError::UnknownCheck { ref check } if check.len() == 40),
            "{error}"
        );
        assert_eq!(
            check(json!(7)).unwrap_err(),
            EventError::NotAString { field: "Check" }
        );
        assert!(matches!(
            Event::parse(&event("setSecret")),
            Ok(Event::Rotation(RotationEvent {
                step: Step::Set,
                ..
            }))
        ));
    }

    #[test]
    fn an_event_that_is_no_object_is_an_error_and_not_a_panic() {
        for event in [json!(null), json!([]), json!("x"), json!(7)] {
            assert_eq!(
                RotationEvent::parse(&event).unwrap_err(),
                EventError::MissingField { field: "Step" }
            );
        }
    }

    #[test]
    fn a_field_of_another_type_is_refused_without_its_value() {
        let mut event = event("createSecret");
        event["RotationToken"] = json!(["hidden-value"]);
        let error = RotationEvent::parse(&event).unwrap_err();
        assert_eq!(
            error,
            EventError::NotAString {
                field: "RotationToken"
            }
        );
        assert!(!error.to_string().contains("hidden-value"));
    }

    #[test]
    fn the_rotation_token_is_optional_and_no_debug_output_shows_it() {
        let mut event = event("createSecret");
        assert!(
            RotationEvent::parse(&event)
                .unwrap()
                .rotation_token
                .is_none()
        );
        event["RotationToken"] = json!("hidden-value");
        let parsed = RotationEvent::parse(&event).unwrap();
        assert!(parsed.rotation_token.is_some());
        assert!(!format!("{parsed:?}").contains("hidden-value"));
    }

    #[test]
    fn an_unknown_step_is_refused_by_name_and_cut_to_a_readable_length() {
        let error = RotationEvent::parse(&event(&"x".repeat(5000))).unwrap_err();
        assert!(matches!(error, EventError::UnknownStep { ref step } if step.len() == 40));
    }
}
