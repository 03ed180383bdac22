//! When the next rotation is due. Nothing fires here by itself: the local world rotates when it is told to.
//!
//! The service rotates at some moment of a window and answers the window's end as `NextRotationDate` ("on or before this
//! date", docs). Windows open on the hour in UTC, close at the end of the day for a schedule in days, and after one hour for
//! one in hours, unless `Duration` says otherwise (docs).

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use serde::{Deserialize, Serialize};

use super::error::ServiceError;

/// `RotationRules` of RotateSecret and DescribeSecret.
///
/// The service also computes `AutomaticallyAfterDays` from a cron expression; this one answers what it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RotationRules {
    /// Days between rotations, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    automatically_after_days: Option<i64>,
    /// The window's length, `3h` for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// `rate(N hours)`, `rate(N days)` or `cron(…)` with six fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_expression: Option<String>,
}

enum Schedule {
    Days(i64),
    Hours(i64),
    /// With the window's default length where it is not the end of the day.
    Cron(Box<Cron>, Option<i64>),
}

impl RotationRules {
    /// Refuses what the service refuses: both ways at once, numbers out of range, an expression that can't be read.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        self.schedule()?;
        self.window_hours()?;
        Ok(())
    }

    /// The end of the first window that opens after `base`; none where there is no schedule.
    pub(super) fn next_rotation(&self, base: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let window = self.window_hours().ok()?;
        let (opens, default_hours) = match self.schedule().ok()?? {
            Schedule::Days(days) => (midnight(base + TimeDelta::days(days))?, None),
            Schedule::Hours(hours) => (hour(base + TimeDelta::hours(hours))?, Some(1)),
            Schedule::Cron(cron, default_hours) => {
                (cron.find_next_occurrence(&base, false).ok()?, default_hours)
            }
        };
        match window.or(default_hours) {
            Some(hours) => Some(opens + TimeDelta::hours(hours)),
            None => Some(midnight(opens + TimeDelta::days(1))? - TimeDelta::seconds(1)),
        }
    }

    fn schedule(&self) -> Result<Option<Schedule>, ServiceError> {
        match (
            self.automatically_after_days,
            self.schedule_expression.as_deref(),
        ) {
            (Some(_), Some(_)) => Err(ServiceError::parameter(
                "You can't use AutomaticallyAfterDays and ScheduleExpression in the same call.",
            )),
            (Some(days @ 1..=1000), None) => Ok(Some(Schedule::Days(days))),
            (Some(_), None) => Err(ServiceError::parameter(
                "RotationRules.AutomaticallyAfterDays must be within 1-1000.",
            )),
            // the API reference's length and characters, before an operation sees it
            (None, Some(expression)) if !is_written_as_one(expression) => {
                Err(ServiceError::validation(format!(
                    "Value '{expression}' at 'rotationRules.scheduleExpression' failed to satisfy constraint"
                )))
            }
            (None, Some(expression)) => match parse(expression) {
                Some(schedule) => Ok(Some(schedule)),
                None => Err(ServiceError::parameter(format!(
                    "Invalid ScheduleExpression: {expression}."
                ))),
            },
            (None, None) => Ok(None),
        }
    }

    fn window_hours(&self) -> Result<Option<i64>, ServiceError> {
        let Some(duration) = &self.duration else {
            return Ok(None);
        };
        match duration
            .strip_suffix('h')
            .and_then(|hours| hours.parse().ok())
        {
            Some(hours @ 1..=24) => Ok(Some(hours)),
            _ => Err(ServiceError::parameter(format!(
                "Invalid Duration: {duration}."
            ))),
        }
    }
}

fn is_written_as_one(expression: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()#?*-/, ".contains(c);
    (1..=256).contains(&expression.len()) && expression.chars().all(allowed)
}

/// `rate(4 hours)` is the shortest and `rate(999 days)` the longest; cron opens on the hour, every year (docs).
fn parse(expression: &str) -> Option<Schedule> {
    if let Some(rate) = inside("rate(", expression) {
        let (value, unit) = rate.split_once(' ')?;
        return match (value.parse().ok()?, unit.trim()) {
            (hours @ 4.., "hour" | "hours") => Some(Schedule::Hours(hours)),
            (days @ 1..=999, "day" | "days") => Some(Schedule::Days(days)),
            _ => None,
        };
    }
    let fields = inside("cron(", expression)?;
    let ["0", hours, _, _, _, "*"] = fields.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    // 0/8 is AWS's way to write "every eight hours from 0", and its week begins with SUN as 1
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    let cron = parser.parse(&format!("0 {fields}")).ok()?;
    let in_hours = hours.contains(['/', ',', '-', '*']);
    Some(Schedule::Cron(Box::new(cron), in_hours.then_some(1)))
}

fn inside<'a>(opening: &str, expression: &'a str) -> Option<&'a str> {
    expression
        .trim()
        .strip_prefix(opening)?
        .strip_suffix(')')
        .map(str::trim)
}

fn midnight(moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    hour(moment)?.with_hour(0)
}

fn hour(moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    moment.with_minute(0)?.with_second(0)?.with_nanosecond(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(expression: &str, duration: Option<&str>) -> RotationRules {
        RotationRules {
            automatically_after_days: None,
            duration: duration.map(str::to_owned),
            schedule_expression: Some(expression.to_owned()),
        }
    }

    fn at(moment: &str) -> DateTime<Utc> {
        moment.parse().unwrap()
    }

    #[test]
    fn the_next_rotation_is_the_end_of_the_next_window() {
        let wednesday = at("2025-01-15T10:20:30Z");
        for (expression, duration, expected) in [
            ("rate(10 days)", None, "2025-01-25T23:59:59Z"),
            ("rate(1 day)", Some("2h"), "2025-01-16T02:00:00Z"),
            ("rate(4 hours)", None, "2025-01-15T15:00:00Z"),
            ("cron(0 16 1,15 * ? *)", None, "2025-01-15T23:59:59Z"),
            ("cron(0 8/8 * * ? *)", None, "2025-01-15T17:00:00Z"),
            ("cron(0 0 ? * SUN#1 *)", Some("3h"), "2025-02-02T03:00:00Z"),
            ("cron(0 6 ? * 2 *)", Some("1h"), "2025-01-20T07:00:00Z"), // 2 is Monday: AWS counts from Sunday
            ("cron(0 16 L * ? *)", None, "2025-01-31T23:59:59Z"),
        ] {
            let next = rules(expression, duration).next_rotation(wednesday);
            assert_eq!(next, Some(at(expected)), "{expression} {duration:?}");
        }
    }

    #[test]
    fn days_count_from_the_last_rotation() {
        let rules = RotationRules {
            automatically_after_days: Some(30),
            ..RotationRules::default()
        };
        assert_eq!(
            rules.next_rotation(at("2025-01-15T10:20:30Z")),
            Some(at("2025-02-14T23:59:59Z"))
        );
    }

    #[test]
    fn a_schedule_that_the_service_would_refuse_is_refused() {
        for expression in [
            "rate(1 banana)",
            "rate(1 hour)",
            "",
            "rate(1\tday)",
            "rate(3 hours)",
            "rate(0 days)",
            "rate(two days)",
            "cron(5 8 * * ? *)",
            "cron(0 8 * * ?)",
            "daily",
        ] {
            assert!(rules(expression, None).check().is_err(), "{expression}");
        }
        assert!(rules("rate(1 day)", Some("25h")).check().is_err());
        assert!(rules("rate(1 day)", Some("2h")).check().is_ok());
        let both = RotationRules {
            automatically_after_days: Some(1),
            ..rules("rate(1 day)", None)
        };
        assert!(both.check().is_err());
    }
}
