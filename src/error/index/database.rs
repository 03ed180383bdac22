//! Of PostgreSQL.

use super::Texts;

pub(super) const LINES: &[Texts] = &[
    (
        "AdministratorForbidden",
        "the administrator lacks a right",
        "run the statement in the message, as a superuser",
    ),
    (
        "AdministratorRejected",
        "the server rejects the administrator's password",
        "store the right one in the secret that `masterarn` names",
    ),
    (
        "AnotherInstance",
        "the administrator's secret leads to another server than the rotated one, perhaps a copy; or a server in between lied about who \
         logged in",
        "correct `host` in one of the two secrets",
    ),
    (
        "AnotherUser",
        "a version names a user whose turn it is not",
        "rotate again, from a version that was not written by hand",
    ),
    (
        "CertificateInvalid",
        "the server's certificate is for another name, has expired, or is signed by an unknown CA",
        "store as `host` (or `rotationhost`) a name that the certificate has; for a private CA, set `TLS_CA_FILE`",
    ),
    (
        "ChangeForbidden",
        "a role may not set passwords",
        "run the GRANT in the message, or have an administrator change the password of a single user",
    ),
    (
        "CleartextAsked",
        "the server asks for the password in clear text, which was not sent",
        "require scram-sha-256 in pg_hba.conf",
    ),
    (
        "CredentialNotAsExpected",
        "the new credential logs in, but its role is not as it has to be",
        "rotate again, which repairs the role; if the session is another user's, correct the pooler",
    ),
    (
        "DatabaseAnswerUnreadable",
        "an answer has another form than PostgreSQL's: it is another server, or a proxy",
        "correct `host` and `port`; for a proxy, store the server's own address as `rotationhost`",
    ),
    (
        "DatabaseIsStandby",
        "the server takes no changes",
        "store the writer's address as `rotationhost`, or as `host`",
    ),
    (
        "DatabaseRefused",
        "the server answered with another SQLSTATE",
        "cure what the message says, then rotate again",
    ),
    (
        "DatabaseTimedOut",
        "the database gave no answer in time",
        "check security groups, routes and name resolution; then see what keeps the server busy",
    ),
    (
        "DatabaseUnreachable",
        "no connection to the database",
        "check `host` and `port` in the secret, then the security groups and name resolution",
    ),
    (
        "LeaseOver",
        "the server ended the transaction while the function waited; nothing was changed",
        "rotate again; if it happens again, see what keeps Secrets Manager or the function busy",
    ),
    (
        "LoginForbidden",
        "the server does not let the role in, regardless of its password",
        "grant LOGIN to the role, and admit it in pg_hba.conf from the function's address",
    ),
    (
        "NoBaseRole",
        "the secret's user ends in `_clone`, and its base role does not exist",
        "run the statements in the message, or take `masterarn` out for a single user",
    ),
    (
        "NoChannelBinding",
        "the administrator's login is not bound to its TLS connection",
        "have the server use scram-sha-256 and an RSA or ECDSA certificate; if that is not possible, set `AdministratorChannelBinding`",
    ),
    (
        "NoFreeConnection",
        "the role has all its connections open, so the new password cannot be tested",
        "let the application close them, or raise the base role's CONNECTION LIMIT",
    ),
    (
        "NoPair",
        "two roles are named like a pair, but one is no member of the other",
        "if they belong to one application, run the statement in the message; otherwise rename one",
    ),
    (
        "NoPasswordAsked",
        "the server lets the role in without a password, which proves nothing",
        "require scram-sha-256 in pg_hba.conf",
    ),
    (
        "OwnerRoleLacks",
        "the role that `ownerrole` names lacks what the base role has",
        "grant it the same, or take `ownerrole` out, then rotate again",
    ),
    (
        "OwnerRoleNotGranted",
        "the base role may not act as the role that `ownerrole` names",
        "correct `ownerrole`, or run the GRANT in the message",
    ),
    (
        "PasswordEnds",
        "the role has a VALID UNTIL, which it cannot lift itself",
        "run the statement in the message, as a superuser",
    ),
    (
        "PoolerBetween",
        "a pooler is between, and might lock a single user out",
        "set `POOLER_ASKS_SERVER=true` if the pooler asks the server for passwords; otherwise use alternating users",
    ),
    (
        "RoleHasReplication",
        "before PostgreSQL 16 only a superuser alters a role with REPLICATION",
        "use a separate role for replication, and run the statement in the message",
    ),
    (
        "RoleIsSuperuser",
        "the application's role is a superuser, which only a superuser may alter",
        "take SUPERUSER away with the statement in the message",
    ),
    (
        "RoleLocked",
        "another session holds a lock on the role",
        "run the statement in the message, unless the session is another rotation's",
    ),
    (
        "TlsRefused",
        "the server has no TLS",
        "turn TLS on at the server",
    ),
    (
        "TlsRootsUnreadable",
        "the file that `TLS_CA_FILE` names cannot be read",
        "point it at a PEM file that the function has",
    ),
    (
        "UserNameTooLong",
        "the name with `_clone` would be longer than the 63 bytes that PostgreSQL keeps",
        "rename the role to 57 bytes or less, or take `masterarn` out for a single user",
    ),
    (
        "VerifyFailed",
        "the new credential logs in, but `VERIFY_SQL` fails",
        "grant the base role what it needs, or correct `VERIFY_SQL`",
    ),
];
