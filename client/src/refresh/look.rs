//! A new version was announced, or the store is known to lag: then the store is asked once a second, for a limited time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Freshness, Refresher};
use crate::{provider::SecretProvider, slot::Push};

/// The shortest pause after an announcement, so that nobody can flood the provider with questions.
const BETWEEN: Duration = Duration::from_secs(1);

/// When the provider is asked, and for what.
#[derive(Default)]
pub(super) struct Look {
    pub(super) at: Option<Instant>,
    last: Option<Instant>,
    /// The version that a notification named, and until when it is looked for. Anyone who can log in can name one.
    named: Option<(String, Instant)>,
}

impl<P: SecretProvider> Refresher<P> {
    /// A current version is not looked for. A former one may become current again: someone has rolled back.
    pub(super) fn pushed(&mut self, push: Push) {
        if push.missed {
            self.not_announced();
        }
        let named = push.named.filter(|version| !self.holds(version));
        if named.is_some() || push.unnamed {
            self.look_again();
        }
        if let Some(version) = named {
            let until = Instant::now() + self.shared.lag + BETWEEN;
            self.look.named = Some((version, until));
        }
    }

    pub(super) fn look_again(&mut self) {
        let now = Instant::now();
        self.look.at = Some(self.look.last.map_or(now, |last| now.max(last + BETWEEN)));
    }

    /// The store lags: any other question would get the same answer now.
    pub(super) fn look_later(&mut self) {
        let later = Instant::now() + BETWEEN;
        self.look.at = Some(later);
        self.refresh_at = self.refresh_at.max(later);
    }

    pub(super) async fn look(&mut self) {
        self.look.at = None;
        self.look.last = Some(Instant::now());
        self.refresh(Freshness::Fresh).await;
        if let Some((version, until)) = self.look.named.take()
            && !self.holds(&version)
        {
            if Instant::now() < until {
                self.look.named = Some((version, until));
                self.look_again();
            } else {
                tracing::debug!(secret = %self.shared.id, version, "a notification named a version that the store does not have");
            }
        }
    }

    fn holds(&self, version: &str) -> bool {
        self.shared.last().credential().version() == version
    }
}

#[cfg(feature = "listen")]
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::sleep;

    use super::*;
    use crate::{
        RotatingSecret,
        provider::{ProviderError, ProviderErrorKind as Kind, Stage, Version},
    };

    /// What the provider has, and when it was asked.
    #[derive(Clone)]
    struct Asked(Arc<Mutex<(&'static str, Vec<Instant>)>>);

    impl Asked {
        async fn secret() -> (Self, RotatingSecret) {
            let provider = Self(Arc::new(Mutex::new(("v1", Vec::new()))));
            let secret = RotatingSecret::builder("orders/db").build(provider.clone());
            let secret = secret.await.unwrap();
            (provider, secret)
        }

        /// The times of its questions since the build.
        fn times(&self) -> Vec<Instant> {
            self.0.lock().unwrap().1.split_off(1)
        }
    }

    impl SecretProvider for Asked {
        async fn fetch(&self, _: &str, _: Stage) -> Result<Version, ProviderError> {
            let mut script = self.0.lock().unwrap();
            script.1.push(Instant::now());
            match script.0 {
                "none" => Err(ProviderError::new(Kind::Throttled, "as the test says")),
                "forbidden" => Err(ProviderError::new(Kind::AccessDenied, "as the test says")),
                id => Ok(Version::text(id, "{}")),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn constant_announcements_cause_one_request_a_second() {
        let (provider, secret) = Asked::secret().await;
        for number in 0..100 {
            secret.pushed(Some(format!("bogus {number}")));
            sleep(Duration::from_millis(70)).await;
        }
        let asked = provider.times();
        assert_eq!(asked.len(), 7);
        for pair in asked.windows(2) {
            let between = pair[1] - pair[0];
            assert!(between >= BETWEEN, "{between:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_that_a_notification_names_is_looked_for_until_a_store_that_lags_has_it() {
        let (provider, secret) = Asked::secret().await;
        secret.pushed(Some("v2".to_owned()));
        sleep(Duration::from_millis(2500)).await;
        assert_eq!(secret.current().unwrap().version(), "v1");
        provider.0.lock().unwrap().0 = "v2";
        sleep(Duration::from_secs(1)).await;
        assert_eq!(secret.current().unwrap().version(), "v2");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(provider.times().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_notification_of_the_current_version_does_not_hide_the_one_before_it() {
        let (provider, secret) = Asked::secret().await;
        provider.0.lock().unwrap().0 = "v2";
        // in one burst, as a hostile role can send it
        secret.pushed(Some("v2".to_owned()));
        secret.pushed(Some("v1".to_owned()));
        sleep(Duration::from_millis(10)).await;
        assert_eq!(secret.current().unwrap().version(), "v2");
    }

    #[tokio::test(start_paused = true)]
    async fn with_notifications_the_provider_is_asked_once_an_hour_and_afterwards_as_before() {
        const MINUTE: Duration = Duration::from_secs(60);
        let (provider, secret) = Asked::secret().await;
        sleep(20 * MINUTE).await;
        let asked = provider.times().len();
        assert!((4..=6).contains(&asked), "{asked} in 20 minutes");

        let listening = secret.downgrade().begin_listening();
        secret.pushed(None);
        sleep(10 * 60 * MINUTE).await;
        let asked = provider.times().len();
        assert!((11..=14).contains(&asked), "{asked} in 10 hours");

        // no announcement can come any more, so the lifetime counts from the last moment when one could
        secret.refresh().await.unwrap();
        provider.times();
        let gone = Instant::now();
        drop(listening);
        sleep(5 * MINUTE).await;
        let asked = provider.times();
        assert_eq!(asked.len(), 1);
        assert!(asked[0] - gone >= MINUTE, "{:?}", asked[0] - gone);
        sleep(20 * MINUTE).await;
        assert!(provider.times().len() >= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lifetime_that_the_application_set_is_kept_with_and_without_notifications() {
        let provider = Asked(Arc::new(Mutex::new(("v1", Vec::new()))));
        let builder = RotatingSecret::builder("orders/db").ttl(Duration::from_secs(60));
        let secret = builder.build(provider.clone()).await.unwrap();
        let _listening = secret.downgrade().begin_listening();
        secret.pushed(None);
        sleep(Duration::from_secs(10 * 60)).await;
        let asked = provider.times().len();
        assert!((10..=15).contains(&asked), "{asked} in 10 minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_failure_is_retried_after_the_usual_lifetime_even_with_notifications() {
        let (provider, secret) = Asked::secret().await;
        let _listening = secret.downgrade().begin_listening();
        secret.pushed(None);
        sleep(Duration::from_secs(1)).await;
        provider.0.lock().unwrap().0 = "forbidden";
        assert!(secret.refresh().await.is_err());
        provider.0.lock().unwrap().0 = "v2";
        sleep(Duration::from_secs(5 * 60)).await;
        assert_eq!(secret.current().unwrap().version(), "v2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_lags_is_asked_once_a_second_regardless_of_other_reasons() {
        let (provider, secret) = Asked::secret().await;
        provider.0.lock().unwrap().0 = "v2";
        secret.refresh().await.unwrap();
        // the provider fails, so it will be asked again at once, and then a provider that lags answers
        provider.0.lock().unwrap().0 = "none";
        assert!(secret.refresh().await.is_err());
        provider.0.lock().unwrap().0 = "v1";
        let before = provider.0.lock().unwrap().1.len();
        sleep(Duration::from_secs(4)).await;
        let asked = provider.0.lock().unwrap().1.len() - before;
        assert!((3..=6).contains(&asked), "{asked}");
        assert_eq!(secret.current().unwrap().version(), "v2");
    }

    #[tokio::test(start_paused = true)]
    async fn the_search_for_a_version_ends_after_the_longest_lag_of_a_store() {
        let (provider, secret) = Asked::secret().await;
        secret.pushed(Some("bogus".to_owned()));
        sleep(Duration::from_secs(60)).await;
        let asked = provider.times().len();
        assert!((5..=7).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_current_version_is_not_searched_for_and_a_former_one_can_become_current_again() {
        let (provider, secret) = Asked::secret().await;
        secret.pushed(Some("v1".to_owned()));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(provider.times().len(), 0);
        provider.0.lock().unwrap().0 = "v2";
        secret.refresh().await.unwrap();
        // someone rolls back, at once
        provider.0.lock().unwrap().0 = "v1";
        secret.pushed(Some("v1".to_owned()));
        sleep(Duration::from_secs(7)).await;
        assert_eq!(secret.current().unwrap().version(), "v1");
    }
}
