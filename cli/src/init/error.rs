//! Why the new secret was not made, or was made only in part.

use std::io;

use secret_rotation::{
    document::DocumentError, engine::EngineError, password::PasswordError, settings::SettingsError,
};

use super::engine::explain;
use crate::{aws, confirm::NotConfirmed};

/// Why the new secret was not made, or was made only in part.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service of AWS failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The database failed.
    #[error("{}", explain(.0))]
    Engine(#[from] EngineError),
    /// The settings of the login are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No password could be generated.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The administrator's secret, or its value, does not exist.
    #[error(
        "the administrator's secret, {secret}, was not found ({absent}): check its name, --region and --profile"
    )]
    AdministratorAbsent { secret: String, absent: String },
    /// The administrator's secret has no value.
    #[error(
        "the administrator's secret, {secret}, has no value: store one with host, username and password"
    )]
    AdministratorWithoutValue { secret: String },
    /// The administrator's secret cannot be used.
    #[error("the administrator's secret, {secret}, {reason}")]
    Administrator {
        secret: String,
        reason: DocumentError,
    },
    /// The administrator's secret is of another kind.
    #[error(
        "the administrator's secret, {secret}, is not a login of a PostgreSQL server: name one that has host, username and password"
    )]
    NoLogin { secret: String },
    /// The administrator's secret names no host.
    #[error(
        "the administrator's secret, {secret}, names no host, and its password is sent only to the host in that secret: add \"host\" to \
         it; if RDS manages that secret, make a role with CREATEROLE for this, and store it in a secret with its host"
    )]
    NoHost { secret: String },
    /// The administrator's login would go to another server.
    #[error(
        "the administrator of {secret} logs in at {server}, but the new secret is for {asked}: leave out --host and --port, or \
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
    /// The server is a read-only copy.
    #[error(
        "{server} is a standby, which is read-only: store the writer's address in {secret}, as \"rotationhost\" or as its host"
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
    /// The function does not exist.
    #[error(
        "the function {function} does not exist here, and nothing was changed: deploy it, or correct --function"
    )]
    NoFunction { function: String },
    /// The function does not accept this administrator.
    #[error(
        "{secret} is not in the ADMINISTRATOR_SECRETS of {function}, and nothing was changed: add it to AdministratorSecretArns, deploy, \
         and run this again"
    )]
    NotListed { secret: String, function: String },
    /// The function's policy does not allow Secrets Manager.
    #[error(
        "Secrets Manager may not invoke the function, and nothing was changed: allow it with  {allow}  and run this again"
    )]
    NotAdmitted { allow: String },
    /// The region of a replica is invalid.
    #[error("--replica {region} is not possible: name regions other than the secret's, each once")]
    Replica { region: String },
    /// An argument is invalid.
    #[error("--{argument} is not {expected}: correct it")]
    Argument {
        argument: &'static str,
        expected: &'static str,
    },
    /// The arguments do not make a valid document.
    #[error("the document of the new secret {0}")]
    Document(DocumentError),
    /// The name of the role would make it the second one of a pair.
    #[error(
        "the role {user} would be the clone of {base}, because of its name: give the new role a name that does not end in _clone, or use \
         --single-user"
    )]
    NameOfAClone { user: String, base: String },
    /// The secret is scheduled for deletion.
    #[error(
        "the secret {name} is scheduled for deletion: restore it with  {restore}  and run this again, or choose another name"
    )]
    Deleted { name: String, restore: String },
    /// The secret has no value.
    #[error(
        "the secret {name} exists and has no value: delete it with  {delete}  and run this again, or choose another name"
    )]
    NoValue { name: String, delete: String },
    /// The secret's value is no login.
    #[error(
        "the secret {name} exists, and its AWSCURRENT version {reason}; or choose another name for the new secret"
    )]
    Unreadable { name: String, reason: DocumentError },
    /// The existing secret has another purpose.
    #[error(
        "the secret {name} exists with another {field} than in this command, and nothing was changed: choose another name, or give the \
         stored {field}"
    )]
    AnotherSecret { name: String, field: &'static str },
    /// The secret already rotates with another function or schedule.
    #[error(
        "the secret {name} rotates with {function}, {schedule}, and nothing was changed: give the same --function and --schedule, or \
         change them with  aws secretsmanager rotate-secret"
    )]
    RotatesOtherwise {
        name: String,
        function: String,
        schedule: String,
    },
    /// The role exists, and no secret of this name has its password.
    #[error(
        "the role {user} exists on {server}, but the secret {name} does not; nothing was changed, because an application may use the \
         role's password: choose another --username, or store that password and run this again; store it in the console, or with this \
         line in bash, which writes it to no file:  {create}"
    )]
    RoleIsThere {
        name: String,
        create: String,
        user: String,
        server: String,
    },
    /// The stored password does not log in as the role.
    #[error(
        "{server} rejects {user} with the password in the secret {name} (28P01), and nothing was changed, because an existing role keeps \
         its password: store the role's password ({doctor} says how), or choose another name and another --username"
    )]
    Rejected {
        name: String,
        user: String,
        server: String,
        doctor: String,
    },
    /// Another client was faster.
    #[error(
        "another person has made the secret {name} in the meantime, and nothing was changed here: run this again, and it continues \
         with what exists"
    )]
    MadeMeanwhile { name: String },
    /// The service refuses the function or the schedule.
    #[error(
        "the secret and the role are ready, but Secrets Manager refuses to turn on rotation ({code}: {message}): run this again \
         with another --schedule or another --function, and it continues"
    )]
    NotRotated { code: String, message: String },
    /// The work was not finished.
    #[error(
        "{cause}; {so_far}: when the cause is gone, run the same command again, and it continues"
    )]
    Unfinished {
        cause: Box<Self>,
        so_far: &'static str,
    },
    /// The operator did not confirm.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The result could not be written.
    #[error(
        "the result cannot be written ({0}): check where stdout goes, and run the same command again"
    )]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether a call had an unknown result.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::Unfinished { cause, .. } => match &**cause {
                Self::Aws(error) => error.is_transient(),
                Self::Engine(error) => matches!(
                    error,
                    EngineError::Unreachable { .. }
                        | EngineError::TimedOut { .. }
                        | EngineError::AnotherForm { .. }
                ),
                _ => false,
            },
            _ => false,
        }
    }

    /// The document's fields have the names of the arguments.
    pub(super) fn of_arguments(error: DocumentError) -> Self {
        match error {
            DocumentError::WrongType { field, expected } => Self::Argument {
                argument: field,
                expected,
            },
            error => Self::Document(error),
        }
    }

    /// The same error, after something was made.
    pub(super) fn after(so_far: &'static str) -> impl FnOnce(Self) -> Self {
        move |cause| Self::Unfinished {
            cause: Box::new(cause),
            so_far,
        }
    }
}
