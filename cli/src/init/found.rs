//! Finds what already exists, and everything that prevents the new secret. Changes nothing.

use secrecy::ExposeSecret;
use secret_rotation::{
    document::Document,
    engine::{EngineError, postgres::NewRole},
};

use super::{
    Error, Tools, server,
    stored::{self, Stored},
    wanted::Wanted,
};

/// The things that already exist.
pub(super) struct Found {
    /// The secret, if it exists. It is for the same role.
    pub(super) stored: Option<Stored>,
    /// The role exists and logs in with the stored password.
    pub(super) logs_in: bool,
    /// The role needs a grant to connect to its database.
    pub(super) by_grant: bool,
    /// A pooler is between the administrator and the server.
    pub(super) pooled: bool,
}

impl Found {
    /// The remaining steps, in words.
    pub(super) fn steps(&self, tools: &Tools<'_>, wanted: &Wanted) -> Vec<String> {
        let (arguments, document) = (tools.arguments, &wanted.document);
        let mut steps = Vec::new();
        if self.stored.is_none() {
            steps.push(format!("store the secret ({})", document.strategy().name()));
        }
        if !self.logs_in {
            let (user, administrator) = (document.username(), wanted.administrator.username());
            let password = match &self.stored {
                Some(_) => " with the stored password",
                None => "",
            };
            let connects = match (self.by_grant, document.login()) {
                (true, Some(login)) => format!(", which may connect to {},", login.dbname()),
                _ => String::new(),
            };
            let server = server(document);
            steps.push(format!(
                "make the role {user}{password}{connects} on {server}, as {administrator}"
            ));
        }
        let rotates = self
            .stored
            .as_ref()
            .and_then(|stored| stored.rotation.as_ref());
        if let (Some(function), None) = (&arguments.function, rotates) {
            steps.push(format!("have {function} rotate it, {}", arguments.schedule));
        }
        if self.pooled && !document.takes_turns() {
            let server = server(document);
            steps.push(format!(
                "{server} is a pooler: there a function rotates a single user only with POOLER_ASKS_SERVER=true"
            ));
        }
        steps
    }
}

/// Examines the secret and the role.
pub(super) async fn look(tools: &Tools<'_>, wanted: &Wanted) -> Result<Found, Error> {
    let postgres = tools.logins.postgres();
    let stored = stored::find(tools, wanted).await?;
    if let Some(found) = &stored
        && postgres
            .accepts_stored(&found.document)
            .await
            .map_err(|error| of_the_server(&tools.arguments.name, error))?
    {
        return Ok(Found {
            stored,
            logs_in: true,
            by_grant: false,
            pooled: false,
        });
    }
    let role = postgres.find_role(&wanted.administrator, &wanted.document);
    let role = role
        .await
        .map_err(|error| of_the_administrator(tools, error))?;
    // after a rotation the secret may hold the other user: then it is not new
    let stored_user = stored.as_ref().map(|stored| stored.document.username());
    match role {
        NewRole::Missing { by_grant, pooled }
            if stored_user.is_none_or(|user| user == wanted.document.username()) =>
        {
            Ok(Found {
                stored,
                logs_in: false,
                by_grant,
                pooled,
            })
        }
        NewRole::ShutOut { why, sql } => Err(shut_out(wanted, why, sql)),
        NewRole::IsThere | NewRole::Missing { .. } => Err(match &stored {
            Some(found) => rejected(tools, &found.document),
            None => Error::RoleIsThere {
                name: tools.arguments.name.clone(),
                create: store_by_hand(tools, &wanted.document),
                user: wanted.document.username().to_owned(),
                server: server(&wanted.document),
            },
        }),
    }
}

/// The error for a role that could not log in to its database.
pub(super) fn shut_out(wanted: &Wanted, why: String, sql: String) -> Error {
    Error::ShutOut {
        server: server(&wanted.document),
        why,
        sql,
    }
}

/// The command that stores an existing password. A person types the password, so it is in no file, argument or history.
fn store_by_hand(tools: &Tools<'_>, document: &Document) -> String {
    let json = document.to_json();
    let fill = ["jq", "-Rs", "--argjson", "document", json.expose_secret()];
    let fill = [&fill[..], &["$document + {password: .}"]].concat();
    let fill = shlex::try_join(fill).unwrap_or_default();
    let create = [
        "secretsmanager",
        "create-secret",
        "--name",
        &tools.arguments.name,
        "--secret-string",
        "file:///dev/stdin",
    ];
    let create = tools.shell.aws(&create).into_text();
    format!(
        "read -rsp 'password: ' PASSWORD; printf %s \"$PASSWORD\" | {fill} | {create}; unset PASSWORD"
    )
}

/// The error for a stored password that does not log in.
pub(super) fn rejected(tools: &Tools<'_>, document: &Document) -> Error {
    Error::Rejected {
        name: tools.arguments.name.clone(),
        user: document.username().to_owned(),
        server: server(document),
        doctor: tools.shell.doctor().into_text(),
    }
}

/// The error for a step with the administrator's login.
pub(super) fn of_the_administrator(tools: &Tools<'_>, error: EngineError) -> Error {
    match error {
        EngineError::AdministratorRejected { server, user } => Error::AdministratorRejected {
            secret: tools.arguments.administrator.clone(),
            server,
            user,
        },
        error => of_the_server(&tools.arguments.administrator, error),
    }
}

/// The error for a login with this secret's document.
fn of_the_server(secret: &str, error: EngineError) -> Error {
    match error {
        EngineError::Standby { server } => Error::Standby {
            secret: secret.to_owned(),
            server,
        },
        error => error.into(),
    }
}
