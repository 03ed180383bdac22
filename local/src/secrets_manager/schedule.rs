//! When the next rotation is due, and which schedules the service accepts. `firing` begins the rotations.
//!
//! The service rotates at some moment of a window, and returns the window's end as `NextRotationDate` ("on or before this date", docs).
//! Windows open on the hour in UTC. They close at the end of the day for a schedule in days, and after one hour for a schedule in
//! hours, unless `Duration` is set (docs).

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use serde::{Deserialize, Serialize};

use super::error::ServiceError;

/// The shortest time between two windows, in hours (docs).
const SHORTEST: i64 = 4;

/// How many windows of a cron expression are checked: more than a year, if it opens at least monthly.
const WINDOWS: usize = 64;

/// `RotationRules` of RotateSecret and DescribeSecret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RotationRules {
    /// Days between rotations, 1 to 1000. Also returned for an expression.
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
    /// The expression, and whether its unit is hours.
    Cron(Box<Cron>, bool),
}

/// The time in which the service rotates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) opens: DateTime<Utc>,
    pub(super) closes: DateTime<Utc>,
}

impl RotationRules {
    /// The rules as the service stores and returns them. An expression gets its number of days, 1 for `rate(10 hours)` and 7 for
    /// `cron(0 0 ? * 2 *)` (recorded). If windows have different distances, the longest one counts (our choice).
    ///
    /// Refuses what the service refuses: both members at once, although the service returns both (recorded); an invalid expression;
    /// a window that opens less than 4 hours after another one, or reaches into the next window or the next day (docs).
    pub(super) fn accepted(self) -> Result<Self, ServiceError> {
        if self.automatically_after_days.is_some() && self.schedule_expression.is_some() {
            return Err(ServiceError::parameter(
                "You cannot specify both rotation frequency and schedule expression together.",
            ));
        }
        let window = self.window_hours()?;
        let days = match self.schedule()? {
            None => None,
            Some(Schedule::Days(days)) => Some(days),
            Some(Schedule::Hours(hours)) => {
                check_windows(&[], &[hours], window.unwrap_or(1))?;
                Some(days_of(hours))
            }
            Some(Schedule::Cron(cron, in_hours)) => {
                let opens: Vec<DateTime<Utc>> = cron
                    .iter_from(DateTime::UNIX_EPOCH, croner::Direction::Forward)
                    .take(WINDOWS)
                    .collect();
                let gaps: Vec<i64> = opens
                    .windows(2)
                    .map(|pair| (pair[1] - pair[0]).num_hours())
                    .collect();
                let Some(longest) = gaps.iter().max() else {
                    return Err(ServiceError::parameter(
                        "The rotation schedule has no next date.",
                    ));
                };
                // without a duration, a window of a schedule in days lasts until the end of the day
                check_windows(&opens, &gaps, window.unwrap_or(in_hours.into()))?;
                Some(days_of(*longest))
            }
        };
        Ok(Self {
            automatically_after_days: days,
            ..self
        })
    }

    /// The end of the first window that opens after `base`. None without a schedule.
    pub(super) fn next_rotation(&self, base: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_window(base).map(|window| window.closes)
    }

    /// The first window that opens after `base`. None without a schedule.
    pub(super) fn next_window(&self, base: DateTime<Utc>) -> Option<Window> {
        let window = self.window_hours().ok()?;
        let (opens, in_hours) = match self.schedule().ok()?? {
            Schedule::Days(days) => (midnight(base + TimeDelta::days(days))?, false),
            Schedule::Hours(hours) => (hour(base + TimeDelta::hours(hours))?, true),
            Schedule::Cron(cron, in_hours) => {
                (cron.find_next_occurrence(&base, false).ok()?, in_hours)
            }
        };
        let closes = match window.or(in_hours.then_some(1)) {
            Some(hours) => opens + TimeDelta::hours(hours),
            None => midnight(opens + TimeDelta::days(1))? - TimeDelta::seconds(1),
        };
        Some(Window { opens, closes })
    }

    /// The expression's schedule if there is one: the days are then only information.
    fn schedule(&self) -> Result<Option<Schedule>, ServiceError> {
        match (
            self.schedule_expression.as_deref(),
            self.automatically_after_days,
        ) {
            (Some(expression), _) => match parse(expression) {
                Some(schedule) => Ok(Some(schedule)),
                None => Err(ServiceError::parameter(format!(
                    "Invalid ScheduleExpression: {expression}."
                ))),
            },
            (None, days) => Ok(days.map(Schedule::Days)),
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

/// Checks windows that open at these times and distances, all with this length.
fn check_windows(opens: &[DateTime<Utc>], gaps: &[i64], hours: i64) -> Result<(), ServiceError> {
    if gaps.iter().any(|gap| *gap < SHORTEST) {
        return Err(ServiceError::parameter(format!(
            "You can't rotate a secret more often than every {SHORTEST} hours."
        )));
    }
    let into_the_next_day = |opens: &DateTime<Utc>| i64::from(opens.hour()) + hours > 24;
    if gaps.iter().any(|gap| *gap < hours) || opens.iter().any(into_the_next_day) {
        return Err(ServiceError::parameter(
            "The rotation window must not extend into the next rotation window or the next UTC day.",
        ));
    }
    Ok(())
}

fn days_of(hours: i64) -> i64 {
    (hours + 23) / 24
}

/// The longest rate is `rate(999 days)`, also in hours. A cron expression opens on the hour, every year (docs).
fn parse(expression: &str) -> Option<Schedule> {
    if let Some(rate) = inside("rate(", expression) {
        let (value, unit) = rate.split_once(' ')?;
        return match (value.parse().ok()?, unit.trim()) {
            (hours @ 1..=23_976, "hour" | "hours") => Some(Schedule::Hours(hours)),
            (days @ 1..=999, "day" | "days") => Some(Schedule::Days(days)),
            _ => None,
        };
    }
    let fields = inside("cron(", expression)?;
    let ["0", hours, day, month, weekday, "*"] = fields.split_whitespace().collect::<Vec<_>>()[..]
    else {
        return None;
    };
    // docs: one of the two fields is ?, and neither has W, which EventBridge allows
    let (day, weekday) = match (day, weekday) {
        (day, "?") if day != "?" && !day.contains('W') => match day.strip_suffix('L') {
            // docs: SUNL, the last Sunday of the month, may also stand in the field for days of the month
            Some(name) if !name.is_empty() => ("?", day),
            _ => (day, "?"),
        },
        ("?", "L") => ("?", "SAT"), // the last day of the week
        ("?", weekday) if weekday != "?" => ("?", weekday),
        _ => return None,
    };
    // 0/8 means "every eight hours from 0" on AWS, and its week begins with SUN as 1
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    let cron = parser
        .parse(&format!("0 0 {hours} {day} {month} {weekday} *"))
        .ok()?;
    let in_hours = hours.contains(['/', ',', '-', '*']);
    Some(Schedule::Cron(Box::new(cron), in_hours))
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
    fn a_schedule_that_the_user_guide_allows_is_accepted_with_its_days() {
        for (expression, duration, days) in [
            ("rate(4 hours)", Some("4h"), 1),
            ("rate(10 hours)", None, 1),
            ("rate(36 hours)", None, 2),
            ("rate(10 days)", Some("24h"), 10),
            ("rate(999 days)", None, 999),
            ("cron(0 0 ? * 2 *)", None, 7),
            ("cron(0 18 ? * SAT *)", Some("6h"), 7),
            ("cron(0 8 ? * MON-FRI *)", None, 3),
            ("cron(0 4/12 * * ? *)", Some("8h"), 1),
            ("cron(0 17 L * ? *)", None, 31),
            ("cron(0 1 ? * SUNL *)", None, 35),
            ("cron(0 1 SUNL * ? *)", None, 35),
            ("cron(0 1 ? * L *)", None, 7),
            ("cron(0 10 ? FEB,MAY,AUG,NOV TUE#3 *)", None, 98),
        ] {
            let accepted = rules(expression, duration).accepted();
            let accepted = accepted.unwrap_or_else(|error| panic!("{expression}: {error}"));
            assert_eq!(
                accepted.automatically_after_days,
                Some(days),
                "{expression}"
            );
            assert_eq!(accepted.schedule_expression.as_deref(), Some(expression));
        }
    }

    #[test]
    fn a_schedule_that_the_service_would_refuse_is_refused() {
        for (expression, duration) in [
            ("rate(3 hours)", None),
            ("rate(4 hours)", Some("5h")),
            ("rate(0 days)", None),
            ("rate(9223372036854775807 hours)", None),
            ("rate(1000 days)", None),
            ("rate(two days)", None),
            ("rate(1 day)", Some("25h")),
            ("cron(5 8 * * ? *)", None),
            ("cron(0 8 * * ?)", None),
            ("cron(0 8 * * ? 2030)", None),
            ("cron(0 0/3 * * ? *)", None),
            ("cron(0 22,1 * * ? *)", None),
            ("cron(0 0/8 * * ? *)", Some("9h")),
            ("cron(0 4/12 * * ? *)", Some("9h")),
            ("cron(0 18 ? * SAT *)", Some("7h")),
            ("cron(0 8 1 * MON *)", None),
            ("cron(0 8 * * * *)", None),
            ("cron(0 8 ? * ? *)", None),
            ("cron(0 8 15W * ? *)", None),
            ("cron(0 8 LW * ? *)", None),
            ("cron(0 8 30 2 ? *)", None),
            ("daily", None),
        ] {
            let refused = rules(expression, duration).accepted();
            assert!(refused.is_err(), "{expression} {duration:?}");
        }
        let both = RotationRules {
            automatically_after_days: Some(1),
            ..rules("rate(1 day)", None)
        };
        assert_eq!(
            both.accepted().unwrap_err().message,
            "You cannot specify both rotation frequency and schedule expression together."
        );
    }
}
