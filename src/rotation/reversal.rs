//! Whether the documents allow a rollback, and why not.

use crate::document::Document;

/// The administrator's secret, for alternating users.
pub(super) fn administrator_of(current: &Document) -> Result<&str, Refusal> {
    if current.api().is_some() {
        return Err(Refusal::ApiKey);
    }
    let administrator = current.administrator();
    let administrator = administrator.filter(|_| current.takes_turns());
    administrator.ok_or(Refusal::OneUser)
}

/// AWSPREVIOUS's document, if it names the other user: the server knows one password of each user.
pub(super) fn another_user(current: &Document, previous: Document) -> Result<Document, Refusal> {
    match previous.username() == current.username() {
        false => Ok(previous),
        true => Err(Refusal::SameUser {
            user: previous.username().to_owned(),
        }),
    }
}

/// Why nothing is rolled back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Refusal {
    /// Single user.
    #[error(
        "nothing was rolled back: under single user the server knows one password, AWSCURRENT's, and AWSPREVIOUS's ended when it was \
         replaced: rotate again for another password"
    )]
    OneUser,
    /// An API key.
    #[error(
        "nothing was rolled back: keys of an API are not rolled back, because their service decides which ones are valid: \
         rotate again for another key"
    )]
    ApiKey,
    /// Nothing was replaced.
    #[error(
        "nothing was rolled back: no version of the secret is AWSPREVIOUS, so there is nothing to go back to: if AWSCURRENT does not \
         log in, run rotatectl doctor, or store a credential that does with PutSecretValue"
    )]
    NoPrevious,
    /// A version was stored by hand.
    #[error(
        "nothing was rolled back: AWSPREVIOUS names {user}, as AWSCURRENT does, and a user has one password: if the value of \
         AWSPREVIOUS is the right one, store it with PutSecretValue; or rotate, and the other user is next"
    )]
    SameUser { user: String },
    /// Its overlap window is over, or it was revoked.
    #[error(
        "nothing was rolled back: the AWSPREVIOUS version does not log in as {user} on {server}, which rejects it: its overlap window is \
         over, or it was revoked: rotate again, which gives {user} a new password"
    )]
    PreviousRejected { user: String, server: String },
    /// Another operation was faster.
    #[error(
        "a rotation, another rollback or a person moved the labels during the rollback, and this one moved none: see with \
         rotatectl doctor which version is AWSCURRENT before you roll back again"
    )]
    LabelsMoved,
}

impl Refusal {
    /// The stable name of the kind, for alarms.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::OneUser | Self::ApiKey => "RollbackUnsupported",
            Self::NoPrevious => "NoPreviousVersion",
            Self::SameUser { .. } => "PreviousSameUser",
            Self::PreviousRejected { .. } => "PreviousRejected",
            Self::LabelsMoved => "LabelsMoved",
        }
    }
}
