//! Why an engine failed, and what to do about it.

use std::net::IpAddr;

use super::Obstacle;

/// Why a database or a service gave no answer, or refused a change.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum EngineError {
    /// No connection.
    #[error(
        "cannot reach {server} ({reason}): check the secret's host and port, and that the security groups let the \
         function in"
    )]
    Unreachable { server: String, reason: String },
    /// No answer in time.
    #[error(
        "{server} gave no answer within {seconds:.1} s: check that security groups and routes let the function reach it; if they \
         do, see what keeps the server busy, then rotate again"
    )]
    TimedOut { server: String, seconds: f32 },
    /// The server has no TLS.
    #[error(
        "{server} refuses TLS: turn it on at the server; only if the network itself is trusted, set \
         \"ssl\": false in the secret"
    )]
    TlsRefused { server: String },
    /// The certificate is not that server's, or no trusted CA signed it.
    #[error(
        "the certificate of {server} is not valid for it ({reason}): store as host a name that is in the certificate, \
         and name a private CA's file in TLS_CA_FILE"
    )]
    CertificateInvalid { server: String, reason: String },
    /// The roots cannot be loaded.
    #[error("cannot load the trusted roots ({reason}): point TLS_CA_FILE at a readable PEM file")]
    Roots { reason: String },
    /// The server knows the role but does not let it log in from here.
    #[error(
        "{server} does not let {user} log in ({message}): grant LOGIN to the role, and admit it in pg_hba.conf from \
         the function's address"
    )]
    LoginForbidden {
        server: String,
        user: String,
        message: String,
    },
    /// A read-only copy.
    #[error(
        "{server} is a standby, which accepts no changes and proves nothing about its primary: store the writer's address as \
         \"rotationhost\" in the secret, or as its host"
    )]
    Standby { server: String },
    /// The role may not change its own password.
    #[error(
        "{user} may not change its own password on {server} (SQLSTATE 42501: {message}): where rds.restrict_password_commands \
         is on, run GRANT rds_password TO the role"
    )]
    ChangeForbidden {
        server: String,
        user: String,
        message: String,
    },
    /// An answer that the driver cannot read, or whose columns are not those of the question.
    #[error(
        "the answer of {server} has another form than PostgreSQL's ({reason}, as {user}, to {action}): correct the secret's host and port \
         if that is no PostgreSQL server; if it is a proxy, store the server's own address as \"rotationhost\""
    )]
    AnotherForm {
        server: String,
        user: String,
        action: String,
        reason: String,
    },
    /// An obstacle that the catalogs show.
    #[error("nothing was changed on {server}: {first}{}", more(others))]
    Obstacle {
        server: String,
        first: Box<Obstacle>,
        others: Vec<Obstacle>,
    },
    /// The server rejects a new credential, and says why.
    #[error(
        "{server} rejects {user} and its password (28P01), because {why}: rotate again, which repairs the role"
    )]
    RejectedBecause {
        server: String,
        user: String,
        why: &'static str,
    },
    /// A login that is not as it must be.
    #[error(
        "{user} logs in on {server}, but {what}: rotate again, which repairs the role, or repair it by hand"
    )]
    NotAsExpected {
        server: String,
        user: String,
        what: &'static str,
    },
    /// `VERIFY_SQL` failed.
    #[error(
        "{user} logs in on {server}, but VERIFY_SQL fails with SQLSTATE {code} ({message}): grant what it needs to the \
         role, or correct the function's VERIFY_SQL"
    )]
    VerifyFailed {
        server: String,
        user: String,
        code: String,
        message: String,
    },
    /// The other user's name does not fit.
    #[error(
        "the other user's name, {user}, is longer than the 63 bytes that PostgreSQL keeps: rename the role to 57 \
         bytes or less, or take \"masterarn\" out for a single user"
    )]
    NameTooLong { user: String },
    /// The version names the wrong user of the pair.
    #[error(
        "the {label} version names the user {user}, but it is {expected}'s turn: rotate again, from a version that was not \
         written by hand"
    )]
    AnotherUser {
        label: &'static str,
        user: String,
        expected: String,
    },
    /// Another session holds a lock.
    #[error(
        "another session holds a lock that the change needs on {server}: {by}; if that session is not another rotation, run {cure}, then \
         rotate again"
    )]
    Locked {
        server: String,
        by: String,
        cure: String,
    },
    /// The administrator's credential is out of date.
    #[error(
        "{server} rejects the administrator {user} (28P01): store the administrator's password in the secret that \
         \"masterarn\" names"
    )]
    AdministratorRejected { server: String, user: String },
    /// The administrator's secret leads to another running server.
    #[error(
        "the administrator's server {server} is not the server where the secret's own credential logs in ({secrets}), but perhaps a copy \
         of it: correct the host of either secret; if both are correct, a server in between lied about who logged in"
    )]
    AnotherInstance { server: String, secrets: String },
    /// The server rejects the new credential, so the administrator's is not sent to it.
    #[error(
        "{server} rejects {user}, the credential of the new version, so the administrator's credential was not sent to it, and nothing \
         was changed: wait for the next attempt of Secrets Manager; AWSCURRENT still works"
    )]
    SuccessorRejected { server: String, user: String },
    /// The server asks for the password in clear text.
    #[error(
        "{server} asks for the password of {user} in clear text, which was not sent: require scram-sha-256 in pg_hba.conf"
    )]
    WantsCleartext { server: String, user: String },
    /// A pooler that may keep passwords itself.
    #[error(
        "{server} is a pooler, and a pooler with its own list of passwords would lock {user} out: if this one asks the server for \
         passwords (as PgBouncer's auth_query does), set POOLER_ASKS_SERVER=true in the function's environment; otherwise use \
         alternating users, or let applications log in at the server"
    )]
    Pooler { server: String, user: String },
    /// The server lets everyone in.
    #[error(
        "{server} lets {user} in without a password, which proves nothing about the server: require scram-sha-256 in pg_hba.conf"
    )]
    AsksNoPassword { server: String, user: String },
    /// Nothing binds the administrator's login to the TLS connection.
    #[error(
        "{server} does not bind the login of the administrator {user} to its TLS connection: use scram-sha-256, a certificate with an RSA \
         or ECDSA signature, and no TLS proxy in front of the server; if that is not possible, set \
         ADMINISTRATOR_CHANNEL_BINDING=prefer in the function's environment"
    )]
    NoChannelBinding { server: String, user: String },
    /// The server ended the transaction, because no confirmation came in time that the change is still wanted.
    #[error(
        "{server} has ended the transaction, because the function was silent for too long while a role was locked: nothing \
         was changed; see what keeps Secrets Manager or the function busy, then rotate again"
    )]
    LeaseOver { server: String },
    /// Secrets Manager does not confirm that the change is still wanted.
    #[error(
        "Secrets Manager gave no answer within {seconds:.1} s while a role was locked on {server}, where nothing was \
         changed: rotate again"
    )]
    Unasked { server: String, seconds: f32 },
    /// The administrator lacks a right.
    #[error(
        "the administrator {user} may not {action} on {server} (SQLSTATE 42501: {message}): as a superuser, {}",
        if cure.is_empty() { "grant it that right".to_owned() } else { format!("run {cure}") }
    )]
    AdministratorForbidden {
        server: String,
        user: String,
        action: String,
        message: String,
        cure: String,
    },
    /// A service that does not answer.
    #[error(
        "cannot reach {server} for the {request} request ({reason}): check the address in the secret, and that the function \
         may connect to it; proxies are not used"
    )]
    ServiceUnreachable {
        server: String,
        request: &'static str,
        reason: String,
    },
    /// No answer of a service in time.
    #[error(
        "{server} gave no answer to the {request} request within {seconds:.1} s: check that the function may connect to it; \
         if it may, see what is wrong with the service, or raise the function's timeout, then rotate again"
    )]
    ServiceTimedOut {
        server: String,
        request: &'static str,
        seconds: f32,
    },
    /// A service's certificate is not its own, or no trusted CA signed it.
    #[error(
        "the certificate of {server} is not valid for it ({reason}): write into the secret a name that is in the certificate, and name a \
         private CA's file in TLS_CA_FILE"
    )]
    ServiceCertificateInvalid { server: String, reason: String },
    /// A request to a service that the function may not ask.
    #[error(
        "the secret's {request} request goes to {server}, which this function may not ask: add the host to its \
         ALLOWED_HOSTS, or correct the secret"
    )]
    HostNotAllowed {
        request: &'static str,
        server: String,
    },
    /// An allowed host at an address that is not public.
    #[error(
        "the secret's {request} request goes to {server}, whose address {address} is not public: if that is right, list it \
         as private:{server} in the function's ALLOWED_HOSTS; otherwise correct the name's DNS"
    )]
    AddressNotAllowed {
        request: &'static str,
        server: String,
        address: IpAddr,
    },
    /// A placeholder without a value.
    #[error(
        "the secret's {request} request needs {{{name}}}, which is missing or not text: add it to the secret that \
         \"masterarn\" names, or correct the request"
    )]
    NoValue { request: &'static str, name: String },
    /// A request that cannot be sent as it is.
    #[error(
        "the secret's {request} request cannot be sent ({reason}): correct it with PutSecretValue, then rotate again"
    )]
    RequestInvalid {
        request: &'static str,
        reason: String,
    },
    /// A service's answer to a request, whose body may hold a secret.
    #[error(
        "{server} answered the {request} request with HTTP {status}: {cure}, then rotate again"
    )]
    Answered {
        server: String,
        request: &'static str,
        status: u16,
        cure: &'static str,
    },
    /// An answer that cannot be read.
    #[error(
        "the answer of {server} to the {request} request cannot be read ({reason}): see what the service answers there, \
         correct the request in the secret with PutSecretValue, then rotate again"
    )]
    AnswerUnreadable {
        server: String,
        request: &'static str,
        reason: String,
    },
    /// An answer that is not what the document says.
    #[error(
        "the answer of {server} to the {request} request has no text or number at {pointer}: correct the pointer in the \
         secret with PutSecretValue, then rotate again"
    )]
    AnswerWithout {
        server: String,
        request: &'static str,
        pointer: String,
    },
    /// An id that no request can name, or that belongs to another key.
    #[error(
        "{server} made a key, and the id in its answer {what}: correct the pointer to the id in the secret's create \
         request with PutSecretValue, then rotate again"
    )]
    KeyIdUnusable { server: String, what: &'static str },
    /// A key was made, and cannot be stored.
    #[error("{cause}; the key that was made {left}")]
    KeyNotStored {
        cause: Box<Self>,
        left: &'static str,
    },
    /// The service refuses another key, and the previous key is still needed.
    #[error(
        "{server} refuses another key (HTTP {status}), and the AWSPREVIOUS key must be kept until its overlap is over and no other \
         staging label can be on it: rotate again after that, or end the key now with rotatectl revoke"
    )]
    NoRoom { server: String, status: u16 },
    /// A key that the service should have deleted.
    #[error(
        "{server} answers that there is no key {user} to delete, but still accepts that key: correct the secret's delete request, which \
         names another key, then rotate again"
    )]
    StillAccepted { server: String, user: String },
    /// A method that an engine does not have.
    #[error(
        "this engine cannot {what}: let its author implement Engine::{what}, or do its work by hand"
    )]
    Unable { what: &'static str },
    /// Any other answer.
    #[error(
        "{server} answered with SQLSTATE {code} ({message}): correct what the server reports, then rotate again"
    )]
    Refused {
        server: String,
        code: String,
        message: String,
    },
}

fn more(others: &[Obstacle]) -> String {
    others
        .iter()
        .map(|other| format!("; and {other}"))
        .collect()
}

impl EngineError {
    /// The stable name of the kind, for alarms.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "DatabaseUnreachable",
            Self::TimedOut { .. } => "DatabaseTimedOut",
            Self::TlsRefused { .. } => "TlsRefused",
            Self::CertificateInvalid { .. } => "CertificateInvalid",
            Self::Roots { .. } => "TlsRootsUnreadable",
            Self::LoginForbidden { .. } => "LoginForbidden",
            Self::Standby { .. } => "DatabaseIsStandby",
            Self::ChangeForbidden { .. } => "ChangeForbidden",
            Self::AnotherForm { .. } => "DatabaseAnswerUnreadable",
            Self::NotAsExpected { .. } => "CredentialNotAsExpected",
            Self::VerifyFailed { .. } => "VerifyFailed",
            Self::NameTooLong { .. } => "UserNameTooLong",
            Self::AnotherUser { .. } => "AnotherUser",
            Self::Obstacle { first, .. } => first.kind,
            Self::RejectedBecause { .. } => "PendingRejected",
            Self::Locked { .. } => "RoleLocked",
            Self::AdministratorRejected { .. } => "AdministratorRejected",
            Self::AnotherInstance { .. } => "AnotherInstance",
            Self::SuccessorRejected { .. } => "PendingRejected",
            Self::WantsCleartext { .. } => "CleartextAsked",
            Self::Pooler { .. } => "PoolerBetween",
            Self::AsksNoPassword { .. } => "NoPasswordAsked",
            Self::NoChannelBinding { .. } => "NoChannelBinding",
            Self::LeaseOver { .. } => "LeaseOver",
            Self::Unasked { .. } => "StoreUnreachable",
            Self::AdministratorForbidden { .. } => "AdministratorForbidden",
            Self::ServiceUnreachable { .. } => "ServiceUnreachable",
            Self::ServiceTimedOut { .. } => "ServiceTimedOut",
            Self::ServiceCertificateInvalid { .. } => "ServiceCertificateInvalid",
            Self::HostNotAllowed { .. } => "HostNotAllowed",
            Self::AddressNotAllowed { .. } => "AddressNotAllowed",
            Self::NoValue { .. } => "PlaceholderWithoutValue",
            Self::RequestInvalid { .. } => "RequestInvalid",
            Self::Answered { .. } => "ServiceRefused",
            Self::AnswerUnreadable { .. } | Self::AnswerWithout { .. } => "AnswerUnreadable",
            Self::KeyIdUnusable { .. } => "KeyIdUnusable",
            Self::KeyNotStored { cause, .. } => cause.error_type(),
            Self::NoRoom { .. } => "TooManyKeys",
            Self::StillAccepted { .. } => "KeyStillAccepted",
            Self::Unable { .. } => "EngineUnable",
            Self::Refused { .. } => "DatabaseRefused",
        }
    }

    /// Whether the server knows the credential, and does not accept it as it is. Silence, a server without room, or a lock says
    /// nothing about it.
    pub(crate) fn is_about_the_credential(&self) -> bool {
        match self {
            Self::RejectedBecause { .. }
            | Self::NotAsExpected { .. }
            | Self::LoginForbidden { .. } => true,
            Self::VerifyFailed { code, .. } | Self::Refused { code, .. } => {
                !PASSING.iter().any(|class| code.starts_with(class))
            }
            _ => false,
        }
    }
}

/// Classes of SQLSTATE that pass without a change of the role (PostgreSQL's manual, appendix A): connection, conflict, no room, a lock or
/// a database that is not open, a time limit or a shutdown, the system, the server's own fault.
const PASSING: [&str; 7] = ["08", "40", "53", "55", "57", "58", "XX"];
