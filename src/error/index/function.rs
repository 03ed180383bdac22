//! Of the event, the settings, the labels, Secrets Manager, and the secret's JSON.

use super::Texts;

pub(super) const LINES: &[Texts] = &[
    (
        "AccessDenied",
        "IAM, a resource policy or a key policy refuses the function a call",
        "give the secret to this function (`SecretArns`, or RotateSecret with its ARN); name its administrator's secret and their keys in `AdministratorSecretArns` and `KmsKeyArns`, and deploy again",
    ),
    (
        "AdministratorDocumentInvalid",
        "the administrator's secret cannot be read",
        "correct the JSON of the secret that `masterarn` names, as the message says",
    ),
    (
        "AdministratorNotFound",
        "the secret that `masterarn` names has no AWSCURRENT version, or does not exist",
        "correct `masterarn`; for a single user that changes its own password, take it out",
    ),
    (
        "AdministratorNotListed",
        "`masterarn` names a secret that is not among the function's `ADMINISTRATOR_SECRETS`, so it was not used",
        "correct `masterarn` (see in CloudTrail who stored it); if it is right, add it to `AdministratorSecretArns`, and deploy again",
    ),
    (
        "AnotherServer",
        "AWSPENDING or AWSPREVIOUS names another server than AWSCURRENT, so nothing was sent there",
        "see in CloudTrail who stored it (PutSecretValue); correct the secret, then rotate again",
    ),
    (
        "CheckUnknown",
        "the event asks for a check that does not exist",
        "send `{\"Check\": \"age\"}`, as the schedule does",
    ),
    (
        "CurrentRejected",
        "nothing was revoked, because AWSCURRENT does not log in: no login would remain",
        "rotate, then revoke again",
    ),
    (
        "DocumentFieldInvalid",
        "a field of the secret's JSON cannot be read",
        "correct the field that the message names with PutSecretValue, then rotate again",
    ),
    (
        "DocumentFieldMissing",
        "the secret's JSON lacks a field",
        "add the field that the message names with PutSecretValue, then rotate again",
    ),
    (
        "DocumentNotAnObject",
        "the secret's value is JSON, but not an object",
        "store an object with `host`, `username` and `password`, then rotate again",
    ),
    (
        "DocumentNotJson",
        "the secret's value is not JSON",
        "store an object with `host`, `username` and `password`, then rotate again",
    ),
    (
        "EngineUnable",
        "the engine cannot do what the message names",
        "implement that method, if the engine is your own; with PostgreSQL, rotate again",
    ),
    (
        "EngineUnknown",
        "`engine` in the secret is not one that this function rotates",
        "correct `engine`, or name the right function in RotateSecret",
    ),
    (
        "EventFieldInvalid",
        "a field of the event is empty, or not a string",
        "have Secrets Manager invoke the function; by hand, send an event as in events/*.json",
    ),
    (
        "EventFieldMissing",
        "the event lacks a field",
        "have Secrets Manager invoke the function; by hand, send an event as in events/*.json",
    ),
    (
        "KeysNotRepeatable",
        "a crash could leave an unknown API key behind",
        "name keys `{label}` in `create` and add `list`, or send `{token}` as the idempotency key",
    ),
    (
        "LabelsMoved",
        "someone moved the labels during the rollback, which moved none",
        "see with `rotatectl doctor` which version is AWSCURRENT before you roll back again",
    ),
    (
        "NoCurrentVersion",
        "no version of the secret is AWSCURRENT",
        "store a credential that logs in with PutSecretValue, then rotate",
    ),
    (
        "NoPendingValue",
        "AWSPENDING has no value yet",
        "nothing: Secrets Manager begins again with createSecret",
    ),
    (
        "NoPreviousVersion",
        "there is no AWSPREVIOUS to roll back to",
        "if AWSCURRENT does not log in, run `rotatectl doctor`",
    ),
    (
        "NoRandomness",
        "the operating system gave no random numbers",
        "rotate again",
    ),
    (
        "NoVersionLogsIn",
        "the server rejects all versions: someone changed the credential by hand",
        "run `rotatectl doctor`, which says how to mend it",
    ),
    (
        "PasswordPolicyTooWeak",
        "the password settings allow fewer than 96 bits",
        "raise `PasswordLength`, or exclude fewer characters, and deploy again",
    ),
    (
        "PendingRejected",
        "the new version does not log in",
        "nothing: Secrets Manager begins again; if it stays, rotate, which repairs the role",
    ),
    (
        "PreviousRejected",
        "nothing was rolled back: AWSPREVIOUS does not log in, because its overlap is over or it was revoked",
        "rotate",
    ),
    (
        "PreviousSameUser",
        "nothing was rolled back: AWSPREVIOUS is of the same user as AWSCURRENT",
        "if its password is the right one, store it with PutSecretValue; otherwise rotate",
    ),
    (
        "ReadLagging",
        "Secrets Manager answered with an old value for a moment; nothing was done",
        "nothing: a rotation begins again by itself; a step that you sent, send again",
    ),
    (
        "RollbackUnsupported",
        "nothing was rolled back: a single user or an API key has nothing to go back to",
        "rotate",
    ),
    (
        "RotationInFlight",
        "a rotation is not over, so nothing was revoked or rolled back",
        "let it end (`rotatectl doctor` says what holds it up), then send the step again",
    ),
    (
        "RotationNotEnabled",
        "the secret is not set up for rotation",
        "name it in `SecretArns` and deploy, or call RotateSecret with the function's ARN",
    ),
    (
        "SecretIsBinary",
        "the secret's value is binary, and not text",
        "store the JSON as SecretString with PutSecretValue",
    ),
    (
        "SecretNotFound",
        "there is no such secret in this account and region",
        "check the ARN",
    ),
    (
        "SettingInvalid",
        "a variable of the function's environment cannot be read",
        "correct the setting that the message names, and deploy again",
    ),
    (
        "StepTimedOut",
        "a step ran out of time; nothing is lost",
        "check the ways to Secrets Manager and to the database or API; if they are open, raise `Timeout`",
    ),
    (
        "StepUnknown",
        "the event names a step that does not exist",
        "have Secrets Manager invoke the function; by hand, send an event as in events/*.json",
    ),
    (
        "StoreRefused",
        "Secrets Manager refused a call",
        "see the code in the message, and the secret with DescribeSecret: it may be marked for deletion",
    ),
    (
        "StoreUnreachable",
        "Secrets Manager gave no answer",
        "give the function a VPC endpoint or a NAT gateway, and a security group that lets it out on port 443",
    ),
    (
        "Throttled",
        "Secrets Manager was called too often; nothing was changed",
        "nothing: it is tried again; if it stays, spread the secrets with `ScheduleWindow`",
    ),
    (
        "TokenNotStaged",
        "the rotation was abandoned: someone stored a value meanwhile",
        "rotate again",
    ),
    (
        "TokenUnknown",
        "the token is no version of the secret",
        "start rotations with RotateSecret, not by invoking a step",
    ),
];
