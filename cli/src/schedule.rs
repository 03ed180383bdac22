//! A secret's schedule: how often it rotates, and when it is due.

use std::time::{Duration, SystemTime};

use croner::parser::{CronParser, Seconds, Year};

/// How often a secret must rotate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The schedule as people write it: `30d`, `4h`, `cron(0 8 1 * ? *)`.
    pub text: String,
    /// None for a cron expression: only the service knows the due date.
    pub length: Option<Duration>,
}

impl Interval {
    /// Reads the service's `ScheduleExpression` and `AutomaticallyAfterDays`.
    pub fn read(expression: Option<&str>, days: Option<i64>) -> Option<Self> {
        let of = |number: u64, unit: &str| {
            let hours = if unit == "d" { 24 } else { 1 };
            Self {
                text: format!("{number}{unit}"),
                length: Some(Duration::from_secs(number.saturating_mul(hours * 3600))),
            }
        };
        let Some(expression) = expression else {
            return Some(of(u64::try_from(days?).ok()?, "d"));
        };
        let rate = expression
            .strip_prefix("rate(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|rate| rate.trim().split_once(' '))
            .and_then(|(number, unit)| {
                let unit = match unit.trim() {
                    "day" | "days" => "d",
                    "hour" | "hours" => "h",
                    _ => return None,
                };
                Some(of(number.parse().ok()?, unit))
            });
        Some(rate.unwrap_or_else(|| Self {
            text: expression.to_owned(),
            length: None,
        }))
    }
}

/// The service rotates until the end of the scheduled day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The latest time at which a secret is due.
///
/// The service's own date counts. After a failed rotation it may be the date of the next one, so the age counts too.
pub fn due(
    next: Option<SystemTime>,
    current_since: Option<SystemTime>,
    interval: Option<Duration>,
) -> Option<SystemTime> {
    let by_age =
        interval.and_then(|interval| current_since?.checked_add(interval.saturating_add(DAY)));
    match (next, by_age) {
        (Some(next), Some(by_age)) => Some(next.min(by_age)),
        (next, by_age) => next.or(by_age),
    }
}

/// Refuses an expression that Secrets Manager's user guide excludes, before any call.
///
/// # Errors
///
/// The required form of the expression.
pub fn expression(text: &str) -> Result<String, &'static str> {
    let inside = |kind: &str| text.strip_prefix(kind)?.strip_suffix(')');
    let is_one = match (inside("rate("), inside("cron(")) {
        (Some(rate), _) => is_rate(rate),
        (_, Some(fields)) => is_cron(fields),
        _ => false,
    };
    match is_one {
        true => Ok(text.to_owned()),
        false => Err(
            "Secrets Manager accepts rate(N hours) with 4 or more, rate(N days) with 1 to 999, and cron(0 HOURS DAY-OF-MONTH MONTH \
             DAY-OF-WEEK *), which is on the hour and in UTC",
        ),
    }
}

fn is_rate(rate: &str) -> bool {
    let Some((number, unit)) = rate.trim().split_once(' ') else {
        return false;
    };
    match (number.parse::<u32>(), unit.trim()) {
        (Ok(hours), "hour" | "hours") => (4..=999 * 24).contains(&hours),
        (Ok(days), "day" | "days") => (1..=999).contains(&days),
        _ => false,
    }
}

/// Whether it opens on the hour, every year.
fn is_cron(fields: &str) -> bool {
    let ["0", _, _, _, _, "*"] = fields.split_whitespace().collect::<Vec<_>>()[..] else {
        return false;
    };
    // 0/8 means "every eight hours from 0" on AWS, and its week begins with SUN as 1
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    parser.parse(&format!("0 {fields}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * u32::try_from(number).unwrap()
    }

    #[test]
    fn a_secret_is_due_on_the_services_date_or_when_its_age_shows_that_a_rotation_was_missed() {
        let month = Some(DAY * 30);
        assert_eq!(due(Some(day(30)), Some(day(0)), month), Some(day(30)));
        assert_eq!(due(Some(day(60)), Some(day(0)), month), Some(day(31)));
        assert_eq!(due(None, Some(day(0)), month), Some(day(31)));
        assert_eq!(due(Some(day(9)), Some(day(0)), None), Some(day(9)));
        assert_eq!(due(None, Some(day(0)), None), None);
        // longer than any clock
        assert_eq!(due(None, Some(day(0)), Some(Duration::MAX)), None);
    }

    #[test]
    fn a_documented_expression_is_accepted_and_an_excluded_one_is_refused() {
        for text in [
            "rate(4 hours)",
            "rate(1 day)",
            "rate(10 days)",
            "rate(999 days)",
            "cron(0 8 1 * ? *)",
            "cron(0 8/8 * * ? *)",
            "cron(0 16 1,15 * ? *)",
            "cron(0 0 ? * SUN#1 *)",
            "cron(0 10 ? FEB,MAY,AUG,NOV TUE#2 *)",
            "cron(0 16 L * ? *)",
            "cron(0 6 ? * 2-6 *)",
        ] {
            assert_eq!(expression(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "daily",
            "30 days",
            "rate(1 banana)",
            "rate(1 hour)",
            "rate(3 hours)",
            "rate(0 days)",
            "rate(-4 days)",
            "rate(1.5 days)",
            "rate(1000 days)",
            "rate(10days)",
            "rate(10 days",
            "Rate(10 days)",
            "cron(5 8 * * ? *)",
            "cron(0 25 * * ? *)",
            "cron(0 8 32 * ? *)",
            "cron(0 8 * 13 ? *)",
            "cron(0 8 ? * SOMEDAY *)",
            "cron(0 8 * * ? 2030)",
            "cron(0 8 * * ?)",
            "cron(0 8 * * *)",
            "cron()",
        ] {
            assert!(expression(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interval_is_read_from_a_rate_or_from_days_and_a_cron_expression_is_shown_as_it_is() {
        let read = |expression, days| {
            let interval: Interval = Interval::read(expression, days).unwrap();
            (
                interval.text,
                interval.length.map(|length| length.as_secs() / 3600),
            )
        };
        assert_eq!(read(None, Some(30)), ("30d".to_owned(), Some(720)));
        assert_eq!(
            read(Some("rate(10 days)"), None),
            ("10d".to_owned(), Some(240))
        );
        assert_eq!(
            read(Some("rate(1 day)"), Some(1)),
            ("1d".to_owned(), Some(24))
        );
        assert_eq!(
            read(Some("rate(4 hours)"), None),
            ("4h".to_owned(), Some(4))
        );
        let cron = "cron(0 8 1 * ? *)";
        assert_eq!(read(Some(cron), Some(30)), (cron.to_owned(), None));
        assert_eq!(Interval::read(None, None), None);
    }
}
