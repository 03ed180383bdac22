//! Checks a request against the constraints of the [`model`](super::model), before the operation.
//!
//! Two faults have their own errors (recorded): a missing or wrongly sized token, and forbidden characters in a name.
//!
//! A member that is not served here, or not in the model, is refused by name: a request is served completely or not at all.

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::{
    error::ServiceError,
    model::{
        Member,
        Shape::{
            self, Binary, List, Matching, NotServed, Number, OneOf, Sensitive, Structure, Text,
        },
        TOKEN, members,
    },
};

/// Whether an operation has a `ClientRequestToken`. SDKs generate it if the caller gives none.
pub(super) fn takes_a_token(operation: &str) -> bool {
    members(operation).is_some_and(|members| members.iter().any(|member| member.name == TOKEN.name))
}

/// Refuses a request that breaks the model, and lists all faults in AWS's words.
pub(super) fn check(operation: &str, request: &Value) -> Result<(), ServiceError> {
    let (Some(members), Some(request)) = (members(operation), request.as_object()) else {
        return Ok(()); // the operation reports it
    };
    check_request(members, request)?;
    check_name(request)
}

/// The same for any request with these members, also of another service.
pub(crate) fn check_request(
    members: &[Member],
    request: &Map<String, Value>,
) -> Result<(), ServiceError> {
    let mut broken = Vec::new();
    check_members(members, "", request, &mut broken)?;
    let errors = match broken.len() {
        0 => return Ok(()),
        1 => "1 validation error".to_owned(),
        more => format!("{more} validation errors"),
    };
    Err(ServiceError::validation(format!(
        "{errors} detected: {}",
        broken.join("; ")
    )))
}

fn check_members(
    members: &[Member],
    within: &str,
    request: &Map<String, Value>,
    broken: &mut Vec<String>,
) -> Result<(), ServiceError> {
    for name in request.keys() {
        if !members
            .iter()
            .any(|member| member.name == name && !matches!(member.shape, NotServed))
        {
            return Err(ServiceError::not_served(&format!("{within}{name}")));
        }
    }
    for Member {
        name,
        shape,
        required,
    } in members
    {
        let path = format!("{within}{}{}", name[..1].to_lowercase(), &name[1..]);
        match request.get(*name) {
            None | Some(Value::Null) if *required => {
                broken.push(format!(
                    "Value null at '{path}' failed to satisfy constraint: Member must not be null"
                ));
            }
            None | Some(Value::Null) => {}
            Some(value) => check_value(shape, &path, value, broken)?,
        }
    }
    Ok(())
}

/// Ignores a value of another type: the operation refuses it.
fn check_value(
    shape: &Shape,
    path: &str,
    value: &Value,
    broken: &mut Vec<String>,
) -> Result<(), ServiceError> {
    let rules = match (shape, value) {
        (Text(min, max) | Matching(min, max, _) | Sensitive(min, max, _), Value::String(text)) => {
            let length = length(text.chars().count(), *min, *max);
            length.into_iter().chain(pattern(shape, text)).collect()
        }
        // base64 encodes three bytes as four characters
        (Binary(min, max), Value::String(base64)) => {
            let bytes = base64.trim_end_matches('=').len() * 3 / 4;
            Vec::from_iter(length(bytes, *min, *max))
        }
        (OneOf(choices), Value::String(text)) if !choices.contains(&text.as_str()) => {
            vec![format!("satisfy enum value set: [{}]", choices.join(", "))]
        }
        (Number(min, max), Value::Number(number)) => match number.as_i64() {
            Some(number) if number < *min => {
                vec![format!("have value greater than or equal to {min}")]
            }
            Some(number) if number > *max => {
                vec![format!("have value less than or equal to {max}")]
            }
            _ => Vec::new(),
        },
        (List(min, max, of), Value::Array(values)) => {
            for (place, value) in values.iter().enumerate() {
                check_value(of, &format!("{path}.{}.member", place + 1), value, broken)?;
            }
            Vec::from_iter(length(values.len(), *min, *max))
        }
        (Structure(members), Value::Object(fields)) => {
            check_members(members, &format!("{path}."), fields, broken)?;
            Vec::new()
        }
        _ => Vec::new(),
    };
    let shown = match (shape, value) {
        (Sensitive(..) | Binary(..), _) => String::new(),
        (_, Value::String(text)) => format!(" '{text}'"),
        (_, value) => format!(" '{value}'"),
    };
    broken.extend(rules.into_iter().map(|rule| {
        format!("Value{shown} at '{path}' failed to satisfy constraint: Member must {rule}")
    }));
    Ok(())
}

fn length(length: usize, min: usize, max: usize) -> Option<String> {
    if length < min {
        Some(format!("have length greater than or equal to {min}"))
    } else if length > max {
        Some(format!("have length less than or equal to {max}"))
    } else {
        None
    }
}

fn pattern(shape: &Shape, text: &str) -> Option<String> {
    let (Matching(_, _, pattern) | Sensitive(_, _, Some(pattern))) = shape else {
        return None;
    };
    // like the model's own language: the whole text must match, and \w and \d are ASCII
    let whole = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .unicode(false)
        .build();
    let matches = whole.is_ok_and(|whole| whole.is_match(text));
    (!matches).then(|| format!("satisfy regular expression pattern: {pattern}"))
}

/// Checks the characters of a secret's name, but not of an ARN (recorded).
fn check_name(request: &Map<String, Value>) -> Result<(), ServiceError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-/_+=.@!".contains(c);
    let named = ["Name", "SecretId"]
        .into_iter()
        .filter_map(|field| request.get(field)?.as_str());
    match named
        .filter(|name| !name.starts_with("arn:"))
        .all(|name| name.chars().all(allowed))
    {
        true => Ok(()),
        false => Err(ServiceError::validation(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        )),
    }
}
