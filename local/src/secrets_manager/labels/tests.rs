//! Every line of the project's protocol notes on versions and labels, as a table: state before, request, state after.

use super::*;

enum Do {
    Put(&'static str, &'static str, Option<&'static [&'static str]>),
    Stage(&'static str),
    Move(&'static str, Option<&'static str>, Option<&'static str>),
    Promotes(Promotion),
}
use Do::*;

type Labels = &'static [(&'static str, &'static [&'static str])];

struct Row {
    rule: &'static str,
    given: &'static [Do],
    when: Do,
    then: Result<Labels, LabelError>,
}

fn apply(versions: &mut Versions<&'static str>, action: &Do) -> Result<(), LabelError> {
    match action {
        Put(token, value, labels) => versions.put(token, value, *labels).map(|_| ()),
        Stage(token) => versions.stage(token),
        Move(label, to, from) => versions.move_label(label, *to, *from),
        Promotes(promotion) => {
            versions.set_promotion(*promotion);
            Ok(())
        }
    }
}

const ONE: Do = Put("v1", "one", None);
const TWO: Do = Put("v2", "two", None);
const PENDING_TWO: Do = Put("v2", "two", Some(&["AWSPENDING"]));
const PROMOTE_TWO: Do = Move("AWSCURRENT", Some("v2"), Some("v1"));
const BACK_TO_ONE: Do = Move("AWSCURRENT", Some("v1"), Some("v2"));

fn table() -> Vec<Row> {
    vec![
        Row {
            rule: "the first value is current",
            given: &[],
            when: ONE,
            then: Ok(&[("v1", &["AWSCURRENT"])]),
        },
        Row {
            rule: "the first value is current, regardless of the labels in the request",
            given: &[],
            when: Put("v1", "one", Some(&["CUSTOM"])),
            then: Ok(&[("v1", &["AWSCURRENT", "CUSTOM"])]),
        },
        Row {
            rule: "a rotation stages its token before createSecret",
            given: &[ONE],
            when: Stage("v2"),
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v2", &["AWSPENDING"])]),
        },
        Row {
            rule: "staging the pending token once more has no effect",
            given: &[ONE, Stage("v2")],
            when: Stage("v2"),
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v2", &["AWSPENDING"])]),
        },
        Row {
            rule: "a second rotation is refused while AWSPENDING is on a version other than the current one",
            given: &[ONE, Stage("v2")],
            when: Stage("v3"),
            then: Err(LabelError::RotationInProgress("v2".into())),
        },
        Row {
            rule: "AWSPENDING on the current version is no rotation in progress",
            given: &[ONE, Stage("v2"), PENDING_TWO, PROMOTE_TWO],
            when: Stage("v3"),
            then: Ok(&[
                ("v1", &["AWSPREVIOUS"]),
                ("v2", &["AWSCURRENT"]),
                ("v3", &["AWSPENDING"]),
            ]),
        },
        Row {
            rule: "a version of the past can't be staged again",
            given: &[ONE, TWO],
            when: Stage("v1"),
            then: Err(LabelError::TokenInUse("v1".into())),
        },
        Row {
            rule: "PutSecretValue with AWSPENDING leaves AWSCURRENT alone",
            given: &[ONE, Stage("v2")],
            when: PENDING_TWO,
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v2", &["AWSPENDING"])]),
        },
        Row {
            rule: "PutSecretValue without labels promotes, the staged token too",
            given: &[ONE, Stage("v2")],
            when: TWO,
            then: Ok(&[
                ("v1", &["AWSPREVIOUS"]),
                ("v2", &["AWSCURRENT", "AWSPENDING"]),
            ]),
        },
        Row {
            rule: "the same token and value have no effect, labels included",
            given: &[ONE, PENDING_TWO],
            when: TWO,
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v2", &["AWSPENDING"])]),
        },
        Row {
            rule: "the same token and another value conflict",
            given: &[ONE, PENDING_TWO],
            when: Put("v2", "other", Some(&["AWSPENDING"])),
            then: Err(LabelError::TokenInUse("v2".into())),
        },
        Row {
            rule: "a label that is put is taken from the version that had it",
            given: &[ONE, Put("v2", "two", Some(&["a", "b"]))],
            when: Put("v3", "three", Some(&["b", "c"])),
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v2", &["a"]), ("v3", &["b", "c"])]),
        },
        Row {
            rule: "a value put by hand abandons the rotation whose version has no value yet",
            given: &[ONE, Stage("v2")],
            when: Put("v3", "three", None),
            then: Ok(&[("v1", &["AWSPREVIOUS"]), ("v3", &["AWSCURRENT"])]),
        },
        Row {
            rule: "a value put by hand abandons the rotation whose version has one",
            given: &[ONE, Stage("v2"), PENDING_TWO],
            when: Put("v3", "three", None),
            then: Ok(&[("v1", &["AWSPREVIOUS"]), ("v3", &["AWSCURRENT"])]),
        },
        Row {
            rule: "a value put by hand takes AWSPENDING off the version that a rotation promoted",
            given: &[ONE, PENDING_TWO, PROMOTE_TWO],
            when: Put("v3", "three", Some(&["AWSCURRENT"])),
            then: Ok(&[("v2", &["AWSPREVIOUS"]), ("v3", &["AWSCURRENT"])]),
        },
        Row {
            rule: "a pending value put by hand takes AWSPENDING from the rotation",
            given: &[ONE, Stage("v2"), PENDING_TWO],
            when: Put("v3", "three", Some(&["AWSPENDING"])),
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v3", &["AWSPENDING"])]),
        },
        Row {
            rule: "a value put under a custom label leaves the rotation alone",
            given: &[ONE, Stage("v2")],
            when: Put("v3", "three", Some(&["CUSTOM"])),
            then: Ok(&[
                ("v1", &["AWSCURRENT"]),
                ("v2", &["AWSPENDING"]),
                ("v3", &["CUSTOM"]),
            ]),
        },
        Row {
            rule: "moving AWSCURRENT moves AWSPREVIOUS to the version it left; AWSPENDING stays",
            given: &[ONE, PENDING_TWO],
            when: PROMOTE_TWO,
            then: Ok(&[
                ("v1", &["AWSPREVIOUS"]),
                ("v2", &["AWSCURRENT", "AWSPENDING"]),
            ]),
        },
        Row {
            rule: "moving AWSCURRENT may also take AWSPENDING off the version",
            given: &[Promotes(Promotion::DropsPending), ONE, PENDING_TWO],
            when: PROMOTE_TWO,
            then: Ok(&[("v1", &["AWSPREVIOUS"]), ("v2", &["AWSCURRENT"])]),
        },
        Row {
            rule: "AWSPENDING that was kept stays where it is when AWSCURRENT goes back",
            given: &[ONE, PENDING_TWO, PROMOTE_TWO],
            when: BACK_TO_ONE,
            then: Ok(&[
                ("v1", &["AWSCURRENT"]),
                ("v2", &["AWSPENDING", "AWSPREVIOUS"]),
            ]),
        },
        Row {
            rule: "AWSPENDING may also go where AWSCURRENT goes",
            given: &[
                Promotes(Promotion::MovesPending),
                ONE,
                PENDING_TWO,
                PROMOTE_TWO,
            ],
            when: BACK_TO_ONE,
            then: Ok(&[
                ("v1", &["AWSCURRENT", "AWSPENDING"]),
                ("v2", &["AWSPREVIOUS"]),
            ]),
        },
        Row {
            rule: "the AWSPENDING of a rotation in progress never goes where AWSCURRENT goes",
            given: &[Promotes(Promotion::MovesPending), ONE, TWO, Stage("v3")],
            when: BACK_TO_ONE,
            then: Ok(&[
                ("v1", &["AWSCURRENT"]),
                ("v2", &["AWSPREVIOUS"]),
                ("v3", &["AWSPENDING"]),
            ]),
        },
        Row {
            rule: "moving AWSCURRENT back takes AWSPREVIOUS from the version that it moves to",
            given: &[ONE, TWO],
            when: BACK_TO_ONE,
            then: Ok(&[("v1", &["AWSCURRENT"]), ("v2", &["AWSPREVIOUS"])]),
        },
        Row {
            rule: "a label that is attached elsewhere isn't moved without saying where from",
            given: &[ONE, PENDING_TWO],
            when: Move("AWSCURRENT", Some("v2"), None),
            then: Err(LabelError::RemoveFromMissing {
                label: "AWSCURRENT".into(),
                attached_to: "v1".into(),
            }),
        },
        Row {
            rule: "a label isn't moved from a version that doesn't carry it: compare-and-swap",
            given: &[ONE, PENDING_TWO, PROMOTE_TWO],
            when: PROMOTE_TWO,
            then: Err(LabelError::RemoveFromMismatch {
                label: "AWSCURRENT".into(),
                claimed: "v1".into(),
            }),
        },
        Row {
            rule: "a label that is nowhere is attached without saying where from",
            given: &[ONE],
            when: Move("CUSTOM", Some("v1"), None),
            then: Ok(&[("v1", &["AWSCURRENT", "CUSTOM"])]),
        },
        Row {
            rule: "a label that is already there is attached without effect",
            given: &[ONE, TWO],
            when: Move("AWSCURRENT", Some("v2"), None),
            then: Ok(&[("v1", &["AWSPREVIOUS"]), ("v2", &["AWSCURRENT"])]),
        },
        Row {
            rule: "taking AWSPENDING off by hand makes a staged version vanish",
            given: &[ONE, Stage("v2")],
            when: Move("AWSPENDING", None, Some("v2")),
            then: Ok(&[("v1", &["AWSCURRENT"])]),
        },
        Row {
            rule: "taking a label off leaves the others alone",
            given: &[ONE, TWO, Put("v3", "three", Some(&["CUSTOM"]))],
            when: Move("CUSTOM", None, Some("v3")),
            then: Ok(&[("v1", &["AWSPREVIOUS"]), ("v2", &["AWSCURRENT"])]),
        },
        Row {
            rule: "AWSCURRENT can be moved, not removed",
            given: &[ONE],
            when: Move("AWSCURRENT", None, Some("v1")),
            then: Err(LabelError::CurrentCannotBeRemoved),
        },
        Row {
            rule: "AWSCURRENT doesn't move to a version without a value",
            given: &[ONE, Stage("v2")],
            when: PROMOTE_TWO,
            then: Err(LabelError::NoValueForVersion("v2".into())),
        },
        Row {
            rule: "no label moves to a version that isn't there",
            given: &[ONE],
            when: Move("CUSTOM", Some("v9"), None),
            then: Err(LabelError::NoValueForVersion("v9".into())),
        },
        Row {
            rule: "a move that names no version is refused",
            given: &[ONE],
            when: Move("CUSTOM", None, None),
            then: Err(LabelError::NothingToDo),
        },
    ]
}

#[test]
fn labels_move_as_the_service_documents_and_a_refusal_changes_nothing() {
    for Row {
        rule,
        given,
        when,
        then,
    } in table()
    {
        let mut versions = Versions::default();
        for action in given {
            apply(&mut versions, action).unwrap();
        }
        let before = versions.clone();
        match (apply(&mut versions, &when), then) {
            (Ok(()), Ok(expected)) => {
                let expected: BTreeMap<String, Vec<String>> = expected
                    .iter()
                    .map(|(id, labels)| {
                        (
                            id.to_string(),
                            labels.iter().map(|label| label.to_string()).collect(),
                        )
                    })
                    .collect();
                assert_eq!(versions.stages(), expected, "{rule}");
                let left = |id: &str| {
                    !versions.labels(id).is_empty() || versions.read(Some(id), None).is_ok()
                };
                assert!(
                    versions.ids().all(left),
                    "{rule}: nothing is left without both a label and a value"
                );
            }
            (result, expected) => {
                assert_eq!(result, expected.map(|_| ()), "{rule}");
                assert_eq!(versions, before, "{rule}");
            }
        }
    }
}

#[test]
fn a_read_names_a_version_or_a_label_or_both_if_they_agree() {
    let mut versions = Versions::default();
    for action in [ONE, Stage("v2")] {
        apply(&mut versions, &action).unwrap();
    }
    let no_version = |id: &str| Err(LabelError::NoValueForVersion(id.into()));
    let no_label = |label: &str| Err(LabelError::NoValueForLabel(label.into()));
    for (id, label, expected) in [
        (None, None, Ok(("v1", &"one"))),
        (Some("v1"), None, Ok(("v1", &"one"))),
        (None, Some("AWSCURRENT"), Ok(("v1", &"one"))),
        (Some("v1"), Some("AWSCURRENT"), Ok(("v1", &"one"))),
        (Some("v1"), Some("AWSPENDING"), Err(LabelError::Mismatch)),
        // staged, but without a value
        (Some("v2"), None, no_version("v2")),
        (Some("v2"), Some("AWSPENDING"), no_version("v2")),
        (None, Some("AWSPENDING"), no_label("AWSPENDING")),
        // an unknown version
        (Some("v3"), Some("AWSPENDING"), no_version("v3")),
        (None, Some("AWSPREVIOUS"), no_label("AWSPREVIOUS")),
    ] {
        assert_eq!(versions.read(id, label), expected, "{id:?} {label:?}");
    }
}

#[test]
fn the_oldest_unlabelled_versions_are_purged_above_the_limit_unless_they_are_too_young() {
    let mut versions = Versions::default();
    versions.put("labelled", 9, Some(&["CUSTOM"])).unwrap();
    for number in 0..6 {
        versions.put(&format!("v{number}"), number, None).unwrap();
    }
    versions.purge(4, |id| id != "v1");
    let left: Vec<_> = versions.ids().collect();
    // v4 is previous, v5 is current, and v1 is too young
    assert_eq!(left, ["labelled", "v1", "v4", "v5"]);
    versions.purge(1, |_| false);
    assert_eq!(
        versions.ids().count(),
        4,
        "better too many than one that must stay"
    );
}
