//! A login that survives a rotation, with any driver.

use std::{error::Error as StdError, sync::Arc};

use tokio::time::Instant;

use crate::{error::Error, secret::RotatingSecret, slot::CredentialGuard};

/// How one attempt to log in failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Attempt<E> {
    /// The server said that it does not accept this user and password. Nothing else is a rejection: not a timeout, not a
    /// refused connection.
    Rejected(E),
    /// The answer may be a rejection, or something else: a pooler says "protocol violation" for a wrong password and for a
    /// server that it cannot reach. Another version is tried if there is one, and no login waits for it.
    Unclear(E),
    /// Anything else.
    Failed(E),
}

impl<E> Attempt<E> {
    /// The meaning of PostgreSQL's answer to a login (its manual, appendix A): 28P01 is a wrong password, 28000 a role that may
    /// not log in. PgBouncer says 08P01 for a wrong password, and for many other faults.
    #[cfg(any(feature = "postgres", feature = "sqlx"))]
    pub(crate) fn of(sqlstate: Option<&str>, error: E) -> Self {
        match sqlstate {
            Some("28P01" | "28000") => Self::Rejected(error),
            Some("08P01") => Self::Unclear(error),
            _ => Self::Failed(error),
        }
    }
}

/// Why there was no login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogInError<E: StdError + 'static> {
    /// There is no credential to log in with, or the server rejected it for other logins and it is not tried again yet.
    #[error(transparent)]
    Secret(#[from] Error),
    /// The attempt failed, for another reason than the credential.
    #[error("{0}")]
    Failed(E),
    /// The server rejected every version.
    #[error("{why} (the server: {answer})")]
    Rejected {
        /// What was tried, and what to do.
        why: Error,
        /// The server's last answer.
        answer: E,
    },
}

/// The result of an earlier attempt: the first one of a login, made elsewhere.
pub(crate) struct Answer<E> {
    pub(crate) version: Arc<str>,
    pub(crate) attempt: Attempt<E>,
    pub(crate) began: Instant,
}

/// The result of a login's last attempt.
enum Last<E> {
    /// The server rejected another login just now, so this one made no attempt.
    None,
    Unclear(E),
    Rejected(E),
}

impl RotatingSecret {
    /// Logs in with the current credential, and if the server rejects it, with the one that [`recover`](Self::recover) returns
    /// instead.
    ///
    /// After each rejected version it waits for another one for as long as the store may lag
    /// ([`Builder::lag`](crate::Builder::lag)). A version that the server rejects is tried again after a quarter of a second,
    /// then after longer pauses, up to two seconds, by one login of this secret at a time, so that the server gets few wrong
    /// passwords.
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
        self.log_in_after(None, attempt).await
    }

    /// The same after an attempt that was made elsewhere.
    pub(crate) async fn log_in_after<T, E, F, Fut>(
        &self,
        mut before: Option<Answer<E>>,
        attempt: F,
    ) -> Result<T, LogInError<E>>
    where
        E: StdError + 'static,
        F: Fn(CredentialGuard) -> Fut,
        Fut: Future<Output = Result<T, Attempt<E>>>,
    {
        let rejections = &self.shared.rejections;
        let mut next = None;
        let (mut tried, mut tries, mut last) = (Vec::new(), 0, Last::None);
        let (mut since, mut until) = (None, Instant::now());
        loop {
            let (version, answer) = match before.take() {
                Some(before) => (before.version, Some((before.attempt, before.began))),
                None => {
                    let credential = match next.take() {
                        Some(credential) => credential,
                        None => self.usable().await?,
                    };
                    let (version, began) = (credential.version_id().clone(), Instant::now());
                    if rejections.has_turn(&version) {
                        match attempt(credential).await {
                            Ok(session) => {
                                rejections.accepted(&version);
                                return Ok(session);
                            }
                            Err(attempt) => (version, Some((attempt, began))),
                        }
                    } else {
                        (version, None)
                    }
                }
            };
            tries += u32::from(answer.is_some());
            match answer {
                None => {}
                Some((Attempt::Failed(error), _)) => return Err(LogInError::Failed(error)),
                Some((Attempt::Unclear(answer), _)) => {
                    rejections.unclear(&version);
                    last = Last::Unclear(answer);
                }
                Some((Attempt::Rejected(answer), began)) => {
                    rejections.rejected(self.id(), &version, began);
                    last = Last::Rejected(answer);
                }
            }
            if !tried.contains(&version) {
                tried.push(version);
                // the version after this one may be as late
                until = Instant::now() + self.shared.lag;
            }
            if matches!(last, Last::Unclear(_)) {
                until = Instant::now();
            }
            let since = *since.get_or_insert_with(Instant::now);
            // another version than the tried ones, or the current one when its turn comes again
            let held = self.shared.last().credential().version_id().clone();
            let found = tokio::select! {
                biased;
                found = self.recover_from(&tried, since, until) => found,
                () = rejections.next_turn(&held, tries) => self.usable().await,
            };
            next = match found {
                Ok(credential) => Some(credential),
                Err(why @ Error::Rejected { .. }) => return Err(last.explained(why)),
                Err(error) => return Err(error.into()),
            };
        }
    }
}

impl<E: StdError + 'static> Last<E> {
    fn explained(self, why: Error) -> LogInError<E> {
        match self {
            Self::None => LogInError::Secret(why),
            Self::Unclear(answer) => LogInError::Failed(answer),
            Self::Rejected(answer) => LogInError::Rejected { why, answer },
        }
    }
}
