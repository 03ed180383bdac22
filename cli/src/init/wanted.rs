//! What the command asks for: the administrator, and the new document.

use secret_rotation::document::{Document, DocumentError, Fields, Pair};
use serde_json::json;

use super::{
    Error, Tools,
    value::{Value, read},
};
use crate::{aws, secrets};

/// The password in the document until one is generated.
const NO_PASSWORD: &str = "-";

/// What the command asks for.
pub(super) struct Wanted {
    /// The administrator's login.
    pub(super) administrator: Document,
    /// The ARN of its secret.
    pub(super) administrator_arn: String,
    /// The document of the new secret, without its password.
    pub(super) document: Document,
}

impl Wanted {
    /// Reads the administrator's secret. It fills in what the arguments leave out.
    pub(super) async fn read(tools: &Tools<'_>) -> Result<Self, Error> {
        let (arguments, secret) = (tools.arguments, &tools.arguments.administrator);
        for (place, region) in arguments.replica.iter().enumerate() {
            if *region == tools.region || arguments.replica[..place].contains(region) {
                let region = region.clone();
                return Err(Error::Replica { region });
            }
        }
        let value = value(tools).await?;
        let administrator = Document::parse(&value.text).map_err(|reason| {
            let secret = secret.clone();
            match reason {
                DocumentError::MissingField { field: "host" } => Error::NoHost { secret },
                reason => Error::Administrator { secret, reason },
            }
        })?;
        let document = document(tools, &administrator, &value.arn)?;
        let (user, pair) = (document.username(), Pair::of(document.username()));
        if document.takes_turns() && pair.base != user {
            let user = user.to_owned();
            return Err(Error::NameOfAClone {
                user,
                base: pair.base,
            });
        }
        Ok(Self {
            administrator,
            administrator_arn: value.arn,
            document,
        })
    }
}

/// Reads the administrator's secret. If it does not exist, the error suggests a similar name, if the operator may list names.
async fn value(tools: &Tools<'_>) -> Result<Value, Error> {
    let secret = &tools.arguments.administrator;
    let absent = match read(&tools.client, secret, None).await {
        Err(aws::Error::Absent { message, .. }) => message,
        read => return Ok(read?),
    };
    // the service gives the same error for a secret without a value
    let secret = secret.clone();
    match secrets::describe(&tools.client, &secret).await {
        Err(error @ aws::Error::NoSecret { .. }) => Err(error.into()),
        Ok(_) => Err(Error::AdministratorWithoutValue { secret }),
        Err(_) => Err(Error::AdministratorAbsent { secret, absent }),
    }
}

/// The new document. It is only for the server in the administrator's own secret: otherwise anyone who can choose another server would
/// get the administrator's login.
fn document(
    tools: &Tools<'_>,
    administrator: &Document,
    administrator_arn: &str,
) -> Result<Document, Error> {
    let arguments = tools.arguments;
    let secret = || arguments.administrator.clone();
    let login = administrator.login();
    let login = login.ok_or_else(|| Error::NoLogin { secret: secret() })?;
    let at = administrator.for_rotation();
    let given = json!({ "host": arguments.host }).to_string().into();
    let given = Fields::read(&given).map_err(Error::of_arguments)?;
    if let Some(wrong) = given.wrong {
        return Err(Error::of_arguments(wrong));
    }
    let host = given.host.unwrap_or_else(|| at.host().to_owned());
    let port = arguments.port.or(given.port).unwrap_or_else(|| at.port());
    let mut fields = json!({
        "engine": administrator.text("engine").as_deref().unwrap_or("postgres"),
        "host": host,
        "port": port,
        "username": arguments.username,
        "password": NO_PASSWORD,
        "dbname": arguments.dbname.as_deref().unwrap_or(login.dbname()),
    });
    if !administrator.tls() {
        fields["ssl"] = false.into();
    }
    if !arguments.single_user {
        fields["masterarn"] = administrator_arn.into();
    }
    let document = Document::parse(&fields.to_string().into()).map_err(Error::of_arguments)?;
    let same_host = document.host().eq_ignore_ascii_case(at.host());
    if !same_host || document.port() != at.port() {
        return Err(Error::AnotherServer {
            secret: secret(),
            server: at.server(),
            asked: document.server(),
        });
    }
    Ok(document)
}
