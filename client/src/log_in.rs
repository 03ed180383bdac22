//! A login that survives a rotation, whatever the driver.

use std::error::Error as StdError;

use crate::{error::Error, secret::RotatingSecret, slot::CredentialGuard};

/// How one attempt to log in failed.
#[derive(Debug)]
pub enum Attempt<E> {
    /// The server said that it does not take this user and password. Nothing else is a rejection: not a timeout, not
    /// a refused connection.
    Rejected(E),
    /// Anything else.
    Failed(E),
}

/// Why there was no login.
#[derive(Debug, thiserror::Error)]
pub enum LogInError<E: StdError + 'static> {
    /// There is no credential to log in with.
    #[error(transparent)]
    Secret(#[from] Error),
    /// The attempt failed, for another reason than the credential.
    #[error("{0}")]
    Failed(#[source] E),
    /// The server rejected every version.
    #[error("{why} (the server: {answer})")]
    Rejected {
        /// What was tried, and what to do.
        why: Error,
        /// The server's last answer.
        answer: E,
    },
}

/// The cached version, AWSCURRENT, AWSPENDING, AWSCURRENT again.
const ATTEMPTS: usize = 4;

impl RotatingSecret {
    /// Logs in with the credential in force, and where the server rejects it, with what
    /// [`recover`](Self::recover) has instead. Four attempts at most, without a pause.
    ///
    /// ```
    /// # use rotating_secret::{Attempt, CredentialGuard, RotatingSecret};
    /// # struct Session; #[derive(Debug, thiserror::Error)] #[error("refused")] struct Refused { wrong_password: bool }
    /// # async fn open(user: Option<&str>) -> Result<Session, Refused> { Ok(Session) }
    /// # async fn example(secret: RotatingSecret) -> Result<(), Box<dyn std::error::Error>> {
    /// let session = secret
    ///     .log_in(|credential: CredentialGuard| async move {
    ///         open(credential.user()).await.map_err(|error| match error.wrong_password {
    ///             true => Attempt::Rejected(error),
    ///             false => Attempt::Failed(error),
    ///         })
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no credential, an attempt failed for another reason, or all were rejected.
    pub async fn log_in<T, E, F, Fut>(&self, attempt: F) -> Result<T, LogInError<E>>
    where
        E: StdError + 'static,
        F: Fn(CredentialGuard) -> Fut,
        Fut: Future<Output = Result<T, Attempt<E>>>,
    {
        let mut credential = self.usable().await?;
        let mut tried = Vec::with_capacity(ATTEMPTS);
        loop {
            tried.push(credential.version_id().clone());
            let answer = match attempt(credential).await {
                Ok(session) => return Ok(session),
                Err(Attempt::Failed(error)) => return Err(LogInError::Failed(error)),
                Err(Attempt::Rejected(answer)) => answer,
            };
            if tried.len() == ATTEMPTS {
                let (secret, tried) = (self.id().into(), tried.join(", "));
                let why = Error::Rejected { secret, tried };
                return Err(LogInError::Rejected { why, answer });
            }
            credential = match self.recover_from(&tried).await {
                Ok(next) => next,
                Err(why @ Error::Rejected { .. }) => {
                    return Err(LogInError::Rejected { why, answer });
                }
                Err(error) => return Err(error.into()),
            };
        }
    }
}
