//! Retries: one failed call must not stop a command half-way.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::aws::Error;

/// Repeats the call until `limit` has passed, as long as the error is temporary, for example throttling.
///
/// # Errors
///
/// The error of the last call: the time is over, or a retry does not help.
pub async fn persist<T, Answer: Future<Output = Result<T, Error>>>(
    limit: Duration,
    call: impl FnMut() -> Answer,
) -> Result<T, Error> {
    persist_if(Error::is_transient, limit, call).await
}

/// The same, but `passes` decides which errors are temporary.
///
/// # Errors
///
/// The same as for [`persist`].
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
    async fn a_throttled_call_is_repeated_until_it_succeeds_or_the_time_is_over() {
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
    async fn an_error_that_a_retry_cannot_help_is_returned_at_once() {
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
