//! The record of requests: the last requests of each worker, and counts of all requests per span of time.
//!
//! A drill may run for hours. So it keeps single requests only until the changeover is known, and then only counts.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use hdrhistogram::{CreationError, Histogram};

use super::Version;

/// How many of its last requests a worker keeps: several minutes, 40 bytes each.
const REMEMBERED: usize = 8192;

/// One request that succeeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    /// When it ended.
    pub(super) at: SystemTime,
    /// The session's user, and its start if the server shows it.
    pub(super) user_is_clone: bool,
    pub(super) session_began: Option<SystemTime>,
}

impl Served {
    fn is_of(&self, version: &Version) -> bool {
        self.user_is_clone == version.user.ends_with("_clone")
            && self.session_began.is_none_or(|began| began >= version.set)
    }
}

/// The record of one worker.
#[derive(Debug)]
pub(super) struct Seen {
    last: VecDeque<Served>,
    pub(super) requests: usize,
    pub(super) failures: usize,
    pub(super) first_failure: Option<String>,
    pub(super) slowest: Duration,
}

impl Default for Seen {
    /// Allocates and writes all its memory now: `make soak` must not see it as growth.
    fn default() -> Self {
        let nothing = Served {
            at: SystemTime::UNIX_EPOCH,
            user_is_clone: false,
            session_began: None,
        };
        let mut last = VecDeque::from(vec![nothing; REMEMBERED]);
        last.clear();
        Self {
            last,
            requests: 0,
            failures: 0,
            first_failure: None,
            slowest: Duration::ZERO,
        }
    }
}

impl Seen {
    pub(super) fn served(&mut self, served: Served, took: Duration) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(served);
        self.requests += 1;
        self.slowest = self.slowest.max(took);
    }

    pub(super) fn failed(&mut self, error: String) {
        self.requests += 1;
        self.failures += 1;
        self.first_failure.get_or_insert(error);
    }

    pub(super) fn has_worked(&self) -> bool {
        !self.last.is_empty()
    }

    /// Whether the last request used this version, and was successful after `since`.
    pub(super) fn uses(&self, version: &Version, since: SystemTime) -> bool {
        let last = self.last.back();
        last.is_some_and(|served| served.at >= since && served.is_of(version))
    }

    pub(super) fn hand_over(&self, version: &Version) -> HandOver {
        let older = self.last.iter().rposition(|served| !served.is_of(version));
        let settled = self.last.get(older.map_or(0, |older| older + 1));
        // the user was current before: its older sessions do not belong to this version
        let mut since = self.last.iter().filter(|served| served.at >= version.set);
        HandOver {
            first: since
                .find(|served| served.is_of(version))
                .map(|served| served.at),
            settled: settled.map(|served| served.at),
        }
    }
}

/// When workers used a version.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandOver {
    /// The time of the first request on it.
    pub first: Option<SystemTime>,
    /// From then on all requests used it. None if a worker has made no request on it.
    pub settled: Option<SystemTime>,
}

impl HandOver {
    /// Both together: the earlier first, and the later settled.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            first: self.first.into_iter().chain(other.first).min(),
            settled: self
                .settled
                .zip(other.settled)
                .map(|(one, two)| one.max(two)),
        }
    }
}

/// The requests of one span of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// All requests, failed ones too.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// The times of the successful requests. None without any.
    pub latency: Option<Latency>,
}

/// How long requests took, including the connection.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The median.
    pub median: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The slowest.
    pub slowest: Duration,
}

/// The spans in order.
#[derive(Debug)]
pub(super) struct Timeline {
    began: Instant,
    span: Duration,
    ended: Vec<Span>,
    failures: u64,
    /// In microseconds, for the unfinished span.
    served: Histogram<u64>,
}

impl Timeline {
    pub(super) fn new(began: Instant, span: Duration) -> Result<Self, CreationError> {
        Ok(Self {
            began,
            span,
            ended: Vec::new(),
            failures: 0,
            // up to a minute, to two digits
            served: Histogram::new_with_bounds(1, 60_000_000, 2)?,
        })
    }

    /// `took` is none for a failed request.
    pub(super) fn add(&mut self, took: Option<Duration>) {
        self.end_spans();
        match took {
            None => self.failures += 1,
            Some(took) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.served.saturating_record(micros);
            }
        }
    }

    /// All finished spans.
    pub(super) fn spans(&mut self) -> Vec<Span> {
        self.end_spans();
        self.ended.clone()
    }

    fn end_spans(&mut self) {
        let now = self.began.elapsed().as_nanos() / self.span.as_nanos().max(1);
        while (self.ended.len() as u128) < now {
            let micros = |quantile| Duration::from_micros(self.served.value_at_quantile(quantile));
            let latency = (!self.served.is_empty()).then(|| Latency {
                median: micros(0.5),
                p99: micros(0.99),
                slowest: micros(1.0),
            });
            self.ended.push(Span {
                requests: self.served.len() + self.failures,
                failures: self.failures,
                latency,
            });
            self.served.reset();
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(seconds: u64, user_is_clone: bool) -> Served {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Served {
            at,
            user_is_clone,
            session_began: Some(at),
        }
    }

    fn clone_since(seconds: u64) -> Version {
        Version {
            user: "app_clone".to_owned(),
            set: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_changeover_lasts_from_the_first_request_on_the_new_version_until_no_worker_uses_the_old_one()
     {
        let (mut one, mut two) = (Seen::default(), Seen::default());
        for (at, is_clone) in [(1, false), (3, true), (4, false), (5, true), (6, true)] {
            one.served(served(at, is_clone), Duration::ZERO);
        }
        two.served(served(2, false), Duration::ZERO);
        let version = clone_since(2);
        let both = one.hand_over(&version).and(two.hand_over(&version));
        assert_eq!(both.first, Some(served(3, true).at));
        assert_eq!(both.settled, None, "the second worker has not changed over");
        two.served(served(7, true), Duration::ZERO);
        let both = one.hand_over(&version).and(two.hand_over(&version));
        assert_eq!(both.settled, Some(served(7, true).at));
    }

    #[test]
    fn an_earlier_session_of_a_user_does_not_count_for_the_new_version() {
        let mut seen = Seen::default();
        for (at, is_clone) in [(1, true), (3, false), (6, true)] {
            let session_began = None; // the server hides it from a clone
            let served = Served {
                session_began,
                ..served(at, is_clone)
            };
            seen.served(served, Duration::ZERO);
        }
        let hand_over = seen.hand_over(&clone_since(5));
        assert_eq!(hand_over.first, Some(served(6, true).at));
    }

    #[test]
    fn single_requests_are_kept_up_to_a_bound_and_all_are_counted() {
        let mut seen = Seen::default();
        for second in 0..20_000 {
            seen.served(served(second, false), Duration::from_millis(second));
        }
        assert_eq!(seen.last.len(), REMEMBERED);
        assert_eq!(seen.requests, 20_000);
        assert_eq!(seen.slowest, Duration::from_millis(19_999));
    }
}
