//! A secret's schedule: how often it rotates.

use std::time::Duration;

/// How often a secret is to rotate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// As people read it: `30d`, `4h`, `cron(0 8 1 * ? *)`.
    pub text: String,
    /// Unknown for a cron expression: the service alone says when that is due.
    pub length: Option<Duration>,
}

impl Interval {
    /// Of the service's `ScheduleExpression` and `AutomaticallyAfterDays`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_from_a_rate_or_from_days_and_a_cron_expression_stands_as_it_is() {
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
