//! Why there is no new secret, or not all of it.

use std::io;

use secret_rotation::{
    document::DocumentError, engine::EngineError, password::PasswordError, settings::SettingsError,
};

use super::engine::told;
use crate::{aws, confirm::NotConfirmed};

/// Why there is no new secret, or not all of it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The database.
    #[error("{}", told(.0))]
    Engine(#[from] EngineError),
    /// The settings of the login.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The administrator's secret cannot be used.
    #[error("the administrator's secret, {secret}, {reason}")]
    Administrator {
        secret: String,
        reason: DocumentError,
    },
    /// The administrator's secret is of another kind.
    #[error(
        "the administrator's secret, {secret}, is no login of a PostgreSQL server: name one that has host, username and password"
    )]
    NoLogin { secret: String },
    /// The administrator's secret does not say where it is to be sent.
    #[error(
        "the administrator's secret, {secret}, names no host, and the administrator is sent to no other: add \"host\" to it; where RDS \
         manages that secret, make a role with CREATEROLE for this, and store it in a secret with its host"
    )]
    NoHost { secret: String },
    /// The administrator would be sent elsewhere.
    #[error(
        "the administrator of {secret} logs in at {server}, and the new secret is to be for {asked}: leave --host and --port out, or \
         name an administrator of that server; where applications log in elsewhere, make the secret first, then change its \
         \"host\", and store this one as its \"rotationhost\""
    )]
    AnotherServer {
        secret: String,
        server: String,
        asked: String,
    },
    /// The administrator's password is out of date.
    #[error(
        "{server} rejects the administrator {user} (28P01), and nothing was changed: store its password in {secret}"
    )]
    AdministratorRejected {
        secret: String,
        server: String,
        user: String,
    },
    /// A read-only copy.
    #[error(
        "{server} is a standby, which takes no changes: store the writer's address in {secret}, as \"rotationhost\" or as its host"
    )]
    Standby { secret: String, server: String },
    /// The role could not log in to its database.
    #[error(
        "{why} on {server}, and nothing was changed: name another --dbname, or as a superuser, run {sql}"
    )]
    ShutOut {
        server: String,
        why: String,
        sql: String,
    },
    /// No such function.
    #[error(
        "there is no function {function} here, and nothing was changed: deploy it, or correct --function"
    )]
    NoFunction { function: String },
    /// The function's operator does not list the administrator.
    #[error(
        "{secret} is none of the ADMINISTRATOR_SECRETS of {function}, and nothing was changed: add it to AdministratorSecretArns, deploy, \
         and run this again"
    )]
    NotListed { secret: String, function: String },
    /// The function's policy does not name the service.
    #[error(
        "Secrets Manager may not invoke the function, and nothing was changed: allow it with  {allow}  and run this again"
    )]
    NotAdmitted { allow: String },
    /// A replica that is none.
    #[error("--replica {region} cannot be: name another region than the secret's, and each once")]
    Replica { region: String },
    /// An argument is not what it has to be.
    #[error("--{argument} is not {expected}: correct it")]
    Argument {
        argument: &'static str,
        expected: &'static str,
    },
    /// The arguments make no document.
    #[error("the document of the new secret {0}")]
    Document(DocumentError),
    /// It would be the second one of a pair.
    #[error(
        "the role {user} would take turns with {base}, as its clone: give the new role a name that does not end in _clone, or use \
         --single-user"
    )]
    NameOfAClone { user: String, base: String },
    /// The secret is on its way out.
    #[error(
        "the secret {name} is scheduled for deletion: restore it with  {restore}  and run this again, or choose another name"
    )]
    Deleted { name: String, restore: String },
    /// It has no value.
    #[error(
        "the secret {name} is there and has no value: delete it with  {delete}  and run this again, or choose another name"
    )]
    NoValue { name: String, delete: String },
    /// Its value cannot be read as a login.
    #[error(
        "the secret {name} is there, and its AWSCURRENT version {reason}; or choose another name for the new secret"
    )]
    Unreadable { name: String, reason: DocumentError },
    /// It is about something else.
    #[error(
        "the secret {name} is there, with another {field} than this command says, and nothing was changed: choose another name, or \
         give the {field} that is stored"
    )]
    AnotherSecret { name: String, field: &'static str },
    /// It rotates already, otherwise.
    #[error(
        "the secret {name} is rotated by {function}, {schedule}, and nothing was changed: give these with --function and --schedule, or \
         change them with  aws secretsmanager rotate-secret"
    )]
    RotatesOtherwise {
        name: String,
        function: String,
        schedule: String,
    },
    /// The role has a password that somebody knows.
    #[error(
        "there is a role {user} on {server} already, and no secret {name}; nothing was changed, for its password is somebody's: store \
         that one and run this again, or choose another --username; store it with the console, or where it is typed and kept nowhere, in \
         bash:  {create}"
    )]
    RoleIsThere {
        name: String,
        create: String,
        user: String,
        server: String,
    },
    /// What is stored is not the role's password.
    #[error(
        "{server} rejects {user} with the password that the secret {name} holds (28P01), and a role that is there keeps its password: \
         store the role's own one ({doctor} says how), or choose another name and another --username"
    )]
    Rejected {
        name: String,
        user: String,
        server: String,
        doctor: String,
    },
    /// Another one was faster.
    #[error(
        "somebody else has made the secret {name} meanwhile, and nothing was changed here: run this again, and it goes on with what is \
         there"
    )]
    MadeMeanwhile { name: String },
    /// The service does not take function or schedule.
    #[error(
        "secret and role are there; Secrets Manager refuses to have it rotated ({code}: {message}), and rotation is not on: run this again \
         with what it takes, another --schedule or another --function, and it goes on"
    )]
    NotRotated { code: String, message: String },
    /// It was not finished.
    #[error(
        "{cause}; {so_far}: when the cause is gone, run the same command again, and it goes on"
    )]
    Unfinished {
        cause: Box<Self>,
        so_far: &'static str,
    },
    /// Nobody said yes.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The result could not be written.
    #[error(
        "the result cannot be written ({0}): check where it goes, and run the same command again"
    )]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether something was begun of which it is not known how it ended.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::Unfinished { cause, .. } => match &**cause {
                Self::Aws(error) => error.is_transient(),
                Self::Engine(error) => matches!(
                    error,
                    EngineError::Unreachable { .. } | EngineError::TimedOut { .. }
                ),
                _ => false,
            },
            _ => false,
        }
    }

    /// The document's fields are called as the arguments are.
    pub(super) fn of_arguments(error: DocumentError) -> Self {
        match error {
            DocumentError::WrongType { field, expected } => Self::Argument {
                argument: field,
                expected,
            },
            error => Self::Document(error),
        }
    }

    /// The same, after something was begun.
    pub(super) fn after(so_far: &'static str) -> impl FnOnce(Self) -> Self {
        move |cause| Self::Unfinished {
            cause: Box::new(cause),
            so_far,
        }
    }
}
