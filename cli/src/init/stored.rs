//! An existing secret with the name of the new one.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use secrecy::SecretString;
use secret_rotation::document::{Document, Pair};

use super::{Error, Tools, value::read, wanted::Wanted};
use crate::{
    aws::{self, explain, function_arn},
    schedule::Interval,
};

/// An existing secret.
pub(super) struct Stored {
    pub(super) arn: String,
    pub(super) document: Document,
    /// Its rotation, if it rotates.
    pub(super) rotation: Option<Rotates>,
}

/// The function and schedule of a rotation.
#[derive(Debug)]
pub(super) struct Rotates {
    pub(super) function: String,
    pub(super) schedule: Option<Interval>,
}

/// Finds the secret with this name. It must be for the same role.
pub(super) async fn find(tools: &Tools<'_>, wanted: &Wanted) -> Result<Option<Stored>, Error> {
    let (name, shell) = (&tools.arguments.name, &tools.shell);
    let described = tools.client.describe_secret().secret_id(name).send().await;
    let described = match described.map_err(|error| explain("secretsmanager:DescribeSecret", error))
    {
        Ok(described) => described,
        Err(aws::Error::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if described.deleted_date().is_some() {
        return Err(Error::Deleted {
            name: name.clone(),
            restore: shell.secrets_manager("restore-secret", &[]).into_text(),
        });
    }
    let rotation = rotation(tools, &described)?;
    let value = match read(&tools.client, name, None).await {
        Ok(value) => value,
        Err(aws::Error::Absent { .. }) => {
            return Err(Error::NoValue {
                name: name.clone(),
                delete: shell
                    .secrets_manager("delete-secret", &["--force-delete-without-recovery"])
                    .into_text(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let document = document(tools, &value.text)?;
    if let Some(field) = differs(&document, &wanted.document) {
        let name = name.clone();
        return Err(Error::AnotherSecret { name, field });
    }
    Ok(Some(Stored {
        arn: value.arn,
        document,
        rotation,
    }))
}

/// Reads the stored value as a login.
pub(super) fn document(tools: &Tools<'_>, text: &SecretString) -> Result<Document, Error> {
    Document::parse(text).map_err(|reason| Error::Unreadable {
        name: tools.arguments.name.clone(),
        reason,
    })
}

/// Its rotation. An error if the command asks for another function or schedule.
fn rotation(tools: &Tools<'_>, described: &DescribeSecretOutput) -> Result<Option<Rotates>, Error> {
    let rules = described.rotation_rules();
    let schedule = rules.and_then(|rules| {
        Interval::read(
            rules.schedule_expression(),
            rules.automatically_after_days(),
        )
    });
    let function = described.rotation_lambda_arn();
    let function = function.filter(|_| described.rotation_enabled() == Some(true));
    let Some(function) = function else {
        return Ok(None);
    };
    let arguments = tools.arguments;
    if let Some(asked) = &arguments.function {
        let same = function == function_arn(described.arn().unwrap_or_default(), asked)
            && schedule == Interval::read(Some(&arguments.schedule), None);
        if !same {
            return Err(Error::RotatesOtherwise {
                name: arguments.name.clone(),
                function: function.to_owned(),
                schedule: schedule.map(|schedule| schedule.text).unwrap_or_default(),
            });
        }
    }
    Ok(Some(Rotates {
        function: function.to_owned(),
        schedule,
    }))
}

/// The first identifying field that differs between the stored and the new document.
fn differs(stored: &Document, wanted: &Document) -> Option<&'static str> {
    let base = |document: &Document| match document.takes_turns() {
        true => Pair::of(document.username()).base,
        false => document.username().to_owned(),
    };
    let dbname = |document: &Document| document.login().map(|login| login.dbname().to_owned());
    let (here, there) = (stored.for_rotation(), wanted.for_rotation());
    [
        ("host", !here.host().eq_ignore_ascii_case(there.host())),
        ("port", here.port() != there.port()),
        ("dbname", dbname(stored) != dbname(wanted)),
        (
            "masterarn",
            stored.administrator() != wanted.administrator(),
        ),
        ("strategy", stored.strategy() != wanted.strategy()),
        ("username", base(stored) != base(wanted)),
    ]
    .into_iter()
    .find_map(|(field, differs)| differs.then_some(field))
}
