//! The rules on staging labels, pure: what a token's labels say about the state of its rotation.

use crate::store::{Versions, Which};

/// The state of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Its rotation is in progress; `current` is the version that it will replace.
    Pending {
        /// The version with AWSCURRENT.
        current: &'a str,
    },
    /// Its rotation is over, with or without AWSPENDING on it: both end states are legal.
    Current,
}

/// Finds the state of `token`.
///
/// # Errors
///
/// The secret is not set up for rotation, or the token is not the version being rotated to.
pub fn standing<'a>(versions: &'a Versions, token: &str) -> Result<Standing<'a>, Refusal> {
    let has =
        |labels: &[String], which: Which<'_>| labels.iter().any(|label| label == which.label());

    if !versions.rotation_enabled {
        return Err(Refusal::RotationNotEnabled);
    }
    let labels = versions.labels.get(token).ok_or(Refusal::UnknownToken)?;
    if has(labels, Which::Current) {
        return Ok(Standing::Current);
    }
    if !has(labels, Which::Pending(token)) {
        return Err(Refusal::TokenNotStaged);
    }
    labelled(versions, Which::Current)
        .map(|current| Standing::Pending { current })
        .ok_or(Refusal::NoCurrentVersion)
}

/// The version with this label.
pub fn labelled<'a>(versions: &'a Versions, which: Which<'_>) -> Option<&'a str> {
    let mut labels = versions.labels.iter();
    let found = labels.find(|(_, labels)| labels.iter().any(|label| label == which.label()));
    found.map(|(id, _)| id.as_str())
}

/// Whether all labels are the service's own, and none was made by people.
pub fn are_the_services_own(versions: &Versions) -> bool {
    let own = [Which::Current, Which::Previous, Which::Pending("")].map(Which::label);
    let mut labels = versions.labels.values().flatten();
    labels.all(|label| own.contains(&label.as_str()))
}

/// Whether a value belongs to the version with this label. A read may lag behind the last change.
///
/// # Errors
///
/// [`Refusal::Lagging`] if it belongs to another version.
pub fn up_to_date(versions: &Versions, which: Which<'_>, id: &str) -> Result<(), Refusal> {
    match labelled(versions, which) {
        Some(labelled) if labelled != id => Err(Refusal::Lagging),
        _ => Ok(()),
    }
}

/// Whether no rotation is pending: no version has AWSPENDING, or AWSCURRENT has it.
///
/// # Errors
///
/// [`Refusal::RotationInFlight`] otherwise.
pub fn at_rest(versions: &Versions) -> Result<(), Refusal> {
    let in_flight = versions.labels.values().any(|labels| {
        let has = |which: Which<'_>| labels.iter().any(|label| label == which.label());
        has(Which::Pending("")) && !has(Which::Current)
    });
    if in_flight {
        Err(Refusal::RotationInFlight)
    } else {
        Ok(())
    }
}

/// Why a rotation must not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Someone invoked the function for a secret without rotation.
    #[error(
        "the secret is not enabled for rotation: configure it with RotateSecret and this function's ARN"
    )]
    RotationNotEnabled,
    /// The token is no version of the secret.
    #[error(
        "the token is no version of the secret: start rotations with RotateSecret, which stages it before it \
         invokes this function"
    )]
    UnknownToken,
    /// The token is a version, but not AWSPENDING: a newer write has abandoned this rotation.
    #[error(
        "the token is not staged as AWSPENDING, so this rotation was abandoned, usually because of a PutSecretValue in the \
         middle of it: rotate again"
    )]
    TokenNotStaged,
    /// A rotation is pending.
    #[error(
        "a rotation is in flight (AWSPENDING is not on AWSCURRENT), and this step could touch what it needs: let it end \
         (rotatectl doctor shows what holds it up), then invoke the step again"
    )]
    RotationInFlight,
    /// A value belongs to another version than its label.
    #[error(
        "Secrets Manager names a version and answers with the value of another one, which can happen for a moment after a \
         change: nothing was done; a rotation begins again by itself, a step that an operator sent must be invoked again"
    )]
    Lagging,
    /// No version is current.
    #[error(
        "no version of the secret is AWSCURRENT: store the credential with PutSecretValue and rotate again"
    )]
    NoCurrentVersion,
}

impl Refusal {
    /// The stable name of the kind, for alarms.
    pub fn error_type(self) -> &'static str {
        match self {
            Self::RotationNotEnabled => "RotationNotEnabled",
            Self::UnknownToken => "TokenUnknown",
            Self::TokenNotStaged => "TokenNotStaged",
            Self::RotationInFlight => "RotationInFlight",
            Self::Lagging => "ReadLagging",
            Self::NoCurrentVersion => "NoCurrentVersion",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Labels<'a> = &'a [(&'a str, &'a [&'a str])];

    fn versions(rotation_enabled: bool, labels: Labels<'_>) -> Versions {
        let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        let labels = labels.iter();
        Versions {
            rotation_enabled,
            labels: labels.map(|(id, l)| ((*id).to_owned(), owned(l))).collect(),
            ..Versions::default()
        }
    }

    #[test]
    fn the_labels_decide_the_state_of_a_token() {
        let cases: [(&str, bool, Labels<'_>, Result<Standing<'_>, Refusal>); 9] = [
            (
                "before createSecret the token is staged beside AWSCURRENT",
                true,
                &[("old", &["AWSCURRENT"]), ("token", &["AWSPENDING"])],
                Ok(Standing::Pending { current: "old" }),
            ),
            (
                "labels that people made, and older versions, do not matter",
                true,
                &[
                    ("a", &["AWSPREVIOUS"]),
                    ("b", &["MINE", "AWSCURRENT"]),
                    ("token", &["MINE2", "AWSPENDING"]),
                ],
                Ok(Standing::Pending { current: "b" }),
            ),
            (
                "a finished rotation may keep AWSPENDING",
                true,
                &[
                    ("old", &["AWSPREVIOUS"]),
                    ("token", &["AWSCURRENT", "AWSPENDING"]),
                ],
                Ok(Standing::Current),
            ),
            (
                "a finished rotation may have lost AWSPENDING",
                true,
                &[("old", &["AWSPREVIOUS"]), ("token", &["AWSCURRENT"])],
                Ok(Standing::Current),
            ),
            (
                "a secret without rotation is refused",
                false,
                &[("old", &["AWSCURRENT"]), ("token", &["AWSPENDING"])],
                Err(Refusal::RotationNotEnabled),
            ),
            (
                "a token that is no version",
                true,
                &[("old", &["AWSCURRENT"])],
                Err(Refusal::UnknownToken),
            ),
            (
                "a manual write has taken AWSPENDING away",
                true,
                &[("new", &["AWSCURRENT"]), ("token", &[])],
                Err(Refusal::TokenNotStaged),
            ),
            (
                "AWSPENDING is on another version",
                true,
                &[
                    ("old", &["AWSCURRENT"]),
                    ("token", &["AWSPREVIOUS"]),
                    ("other", &["AWSPENDING"]),
                ],
                Err(Refusal::TokenNotStaged),
            ),
            (
                "no version is AWSCURRENT",
                true,
                &[("token", &["AWSPENDING"])],
                Err(Refusal::NoCurrentVersion),
            ),
        ];
        for (case, rotation_enabled, labels, expected) in cases {
            assert_eq!(
                standing(&versions(rotation_enabled, labels), "token"),
                expected,
                "{case}"
            );
        }
    }

    #[test]
    fn a_secret_is_at_rest_unless_awspending_is_elsewhere_than_on_awscurrent() {
        let cases: [(Labels<'_>, Result<(), Refusal>); 4] = [
            (&[("a", &["AWSCURRENT"]), ("b", &["AWSPREVIOUS"])], Ok(())),
            (&[("a", &["AWSCURRENT", "AWSPENDING"])], Ok(())),
            (
                &[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"])],
                Err(Refusal::RotationInFlight),
            ),
            (
                &[("b", &["AWSPREVIOUS", "AWSPENDING"])],
                Err(Refusal::RotationInFlight),
            ),
        ];
        for (labels, expected) in cases {
            assert_eq!(at_rest(&versions(true, labels)), expected);
        }
    }

    #[test]
    fn a_value_of_another_version_than_its_label_says_is_a_read_that_lags() {
        let versions = versions(true, &[("a", &["AWSCURRENT"]), ("b", &[])]);
        for (which, id, expected) in [
            (Which::Current, "a", Ok(())),
            (Which::Current, "b", Err(Refusal::Lagging)),
            // no version has the label: another rule decides
            (Which::Previous, "b", Ok(())),
        ] {
            assert_eq!(up_to_date(&versions, which, id), expected, "{which:?} {id}");
        }
    }

    #[test]
    fn a_label_that_a_person_made_is_distinguished_from_the_services_own() {
        let own: Labels<'_> = &[
            ("a", &["AWSCURRENT", "AWSPENDING"]),
            ("b", &["AWSPREVIOUS"]),
            ("c", &[]),
        ];
        assert!(are_the_services_own(&versions(true, own)));
        let mine: Labels<'_> = &[("a", &["AWSCURRENT"]), ("b", &["AWSPREVIOUS", "mine"])];
        assert!(!are_the_services_own(&versions(true, mine)));
    }
}
