//! The requests in AWS's published model of the API: the members of each operation, and their constraints.
//!
//! A test reads the model from AWS's SDK for Python, and breaks each constraint once.

/// A member of a request, or of a structure in a request.
pub(crate) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
}

/// A member's constraint. Lengths of text are in characters; both bounds are inclusive.
pub(crate) enum Shape {
    Text(usize, usize),
    Matching(usize, usize, &'static str),
    OneOf(&'static [&'static str]),
    /// Text that no error message may repeat.
    Sensitive(usize, usize, Option<&'static str>),
    /// Base64. The length is that of the decoded bytes.
    Binary(usize, usize),
    Number(i64, i64),
    Flag,
    List(usize, usize, &'static Shape),
    Structure(&'static [Member]),
    /// In the model, but not served here.
    NotServed,
}

use Shape::{Binary, Flag, List, Matching, NotServed, Number, OneOf, Sensitive, Structure, Text};

pub(crate) const fn required(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        shape,
        required: true,
    }
}

pub(crate) const fn member(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        shape,
        required: false,
    }
}

const ANY: usize = usize::MAX;
const BYTES: usize = 65_536;
const REGION: Shape = Matching(1, 128, r"^([a-z]+-)+\d+$");

const SECRET: Member = required("SecretId", Text(1, 2048));
/// The operations check the length themselves.
pub(super) const TOKEN: Member = member("ClientRequestToken", Text(0, ANY));
const DESCRIPTION: Member = member("Description", Text(0, 2048));
const KEY: Member = member("KmsKeyId", Text(0, 2048));
const BINARY: Member = member("SecretBinary", Binary(1, BYTES));
const STRING: Member = member("SecretString", Sensitive(1, BYTES, None));
const EXTERNAL: Member = member("Type", NotServed);
const NEXT: Member = member("NextToken", Text(1, 4096));
const TAGS: Shape = List(
    0,
    ANY,
    &Structure(&[member("Key", Text(1, 128)), member("Value", Text(0, 256))]),
);
const REPLICAS: Shape = List(1, ANY, &Structure(&[member("Region", REGION), KEY]));
const OVERWRITE: Member = member("ForceOverwriteReplicaSecret", Flag);
const POLICY: Member = required("ResourcePolicy", Text(1, 20_480));
const FILTERS: Member = member(
    "Filters",
    List(
        0,
        10,
        &Structure(&[
            member(
                "Key",
                OneOf(&[
                    "description",
                    "name",
                    "tag-key",
                    "tag-value",
                    "primary-region",
                    "owning-service",
                    "all",
                ]),
            ),
            member(
                "Values",
                List(
                    1,
                    10,
                    &Matching(0, 512, r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$"),
                ),
            ),
        ]),
    ),
);
const RULES: Shape = Structure(&[
    member("AutomaticallyAfterDays", Number(1, 1000)),
    member("Duration", Matching(2, 3, r"^[0-9]+h$")),
    member(
        "ScheduleExpression",
        Matching(1, 256, r"^[0-9A-Za-z\(\)#\?\*\-\/, ]+$"),
    ),
]);

/// Every operation that is served here, with the members of its request.
const OPERATIONS: [(&str, &[Member]); 23] = [
    (
        "BatchGetSecretValue",
        &[
            member("SecretIdList", List(1, 20, &Text(1, 2048))),
            FILTERS,
            member("MaxResults", Number(1, 20)),
            NEXT,
        ],
    ),
    ("CancelRotateSecret", &[SECRET]),
    (
        "CreateSecret",
        &[
            required("Name", Text(1, 512)),
            TOKEN,
            DESCRIPTION,
            KEY,
            BINARY,
            STRING,
            member("Tags", TAGS),
            member("AddReplicaRegions", REPLICAS),
            OVERWRITE,
            EXTERNAL,
        ],
    ),
    ("DeleteResourcePolicy", &[SECRET]),
    (
        "DeleteSecret",
        &[
            SECRET,
            member("RecoveryWindowInDays", Number(i64::MIN, i64::MAX)),
            member("ForceDeleteWithoutRecovery", Flag),
        ],
    ),
    ("DescribeSecret", &[SECRET]),
    (
        "GetRandomPassword",
        &[
            member("PasswordLength", Number(1, 4096)),
            member("ExcludeCharacters", Text(0, 4096)),
            member("ExcludeNumbers", Flag),
            member("ExcludePunctuation", Flag),
            member("ExcludeUppercase", Flag),
            member("ExcludeLowercase", Flag),
            member("IncludeSpace", Flag),
            member("RequireEachIncludedType", Flag),
        ],
    ),
    ("GetResourcePolicy", &[SECRET]),
    (
        "GetSecretValue",
        &[
            SECRET,
            member("VersionId", Text(32, 64)),
            member("VersionStage", Text(1, 256)),
        ],
    ),
    (
        "ListSecretVersionIds",
        &[
            SECRET,
            member("MaxResults", Number(1, 100)),
            NEXT,
            member("IncludeDeprecated", Flag),
        ],
    ),
    (
        "ListSecrets",
        &[
            member("IncludePlannedDeletion", Flag),
            member("MaxResults", Number(1, 100)),
            NEXT,
            FILTERS,
            member("SortOrder", OneOf(&["asc", "desc"])),
            member(
                "SortBy",
                OneOf(&[
                    "created-date",
                    "last-accessed-date",
                    "last-changed-date",
                    "name",
                ]),
            ),
        ],
    ),
    (
        "PutResourcePolicy",
        &[SECRET, POLICY, member("BlockPublicPolicy", Flag)],
    ),
    (
        "PutSecretValue",
        &[
            SECRET,
            TOKEN,
            BINARY,
            STRING,
            member("VersionStages", List(1, 20, &Text(1, 256))),
            member(
                "RotationToken",
                Sensitive(36, 256, Some(r"^[a-zA-Z0-9\-]+$")),
            ),
        ],
    ),
    (
        "RemoveRegionsFromReplication",
        &[
            SECRET,
            required("RemoveReplicaRegions", List(1, ANY, &REGION)),
        ],
    ),
    (
        "ReplicateSecretToRegions",
        &[SECRET, required("AddReplicaRegions", REPLICAS), OVERWRITE],
    ),
    ("RestoreSecret", &[SECRET]),
    (
        "RotateSecret",
        &[
            SECRET,
            TOKEN,
            member("RotationLambdaARN", Text(0, 2048)),
            member("RotationRules", RULES),
            member("ExternalSecretRotationMetadata", NotServed),
            member("ExternalSecretRotationRoleArn", NotServed),
            member("RotateImmediately", Flag),
        ],
    ),
    ("StopReplicationToReplica", &[SECRET]),
    ("TagResource", &[SECRET, required("Tags", TAGS)]),
    (
        "UntagResource",
        &[SECRET, required("TagKeys", List(0, ANY, &Text(1, 128)))],
    ),
    (
        "UpdateSecret",
        &[SECRET, TOKEN, DESCRIPTION, KEY, BINARY, STRING, EXTERNAL],
    ),
    (
        "UpdateSecretVersionStage",
        &[
            SECRET,
            required("VersionStage", Text(1, 256)),
            member("RemoveFromVersionId", Text(32, 64)),
            member("MoveToVersionId", Text(32, 64)),
        ],
    ),
    (
        "ValidateResourcePolicy",
        &[member("SecretId", Text(1, 2048)), POLICY],
    ),
];

/// The names of all operations that are served here.
pub fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

/// The members of an operation's request. None if the operation does not exist.
pub(super) fn members(operation: &str) -> Option<&'static [Member]> {
    let mut operations = OPERATIONS.iter();
    operations
        .find(|(name, _)| *name == operation)
        .map(|(_, members)| *members)
}
