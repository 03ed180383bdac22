//! One failed call is no reason to stop half-way.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::aws::Error;

/// Makes the call again while it fails for a reason that passes, such as throttling, for as long as `limit`.
///
/// # Errors
///
/// The call's, when the time is over or when asking again cannot help.
pub async fn persist<T, Answer: Future<Output = Result<T, Error>>>(
    limit: Duration,
    call: impl FnMut() -> Answer,
) -> Result<T, Error> {
    persist_if(Error::is_transient, limit, call).await
}

/// The same while it fails for one of these reasons.
///
/// # Errors
///
/// As [`persist`].
pub async fn persist_if<T, Answer: Future<Output = Result<T, Error>>>(
    passes: impl FnMut(&Error) -> bool,
    limit: Duration,
    call: impl FnMut() -> Answer,
) -> Result<T, Error> {
    let delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(limit));
    call.retry(delays)
        .sleep(tokio::time::sleep)
        .when(passes)
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn throttled() -> Error {
        Error::Throttled {
            action: "secretsmanager:DescribeSecret",
            message: "Rate exceeded".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_throttled_is_made_again_until_it_succeeds_or_the_time_is_over() {
        let calls = Cell::new(0);
        let third = || async {
            calls.set(calls.get() + 1);
            if calls.get() < 3 {
                return Err(throttled());
            }
            Ok(calls.get())
        };
        let limit = Duration::from_secs(60);
        assert_eq!(persist(limit, third).await.unwrap(), 3);

        let began = tokio::time::Instant::now();
        let never = persist(limit, || async { Err::<(), _>(throttled()) }).await;
        assert!(never.is_err_and(|error| error.is_transient()));
        assert!(began.elapsed() > limit / 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_asking_again_cannot_help_is_said_at_once() {
        let calls = Cell::new(0);
        let denied = || async {
            calls.set(calls.get() + 1);
            Err::<(), _>(Error::Denied {
                action: "secretsmanager:DescribeSecret",
                message: "no".to_owned(),
            })
        };
        assert!(persist(Duration::from_secs(60), denied).await.is_err());
        assert_eq!(calls.get(), 1);
    }
}
