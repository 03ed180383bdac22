//! A figure beside that of a peer, both measured in this run.

use std::time::Duration;

/// Values of one figure, in one unit.
#[derive(Clone, Debug)]
pub struct Sample {
    values: Vec<f64>,
    unit: &'static str,
}

impl Sample {
    /// One value.
    pub fn one(value: f64, unit: &'static str) -> Self {
        Self::of(vec![value], unit)
    }

    /// Several values.
    pub fn of(mut values: Vec<f64>, unit: &'static str) -> Self {
        values.sort_by(f64::total_cmp);
        Self { values, unit }
    }

    /// Several times, in milliseconds.
    pub fn times(times: impl IntoIterator<Item = Duration>) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        Self::of(times.into_iter().map(milliseconds).collect(), "ms")
    }

    /// The mean of several times, in milliseconds: for a clock that is too coarse for one of them.
    pub fn mean(times: &[Duration]) -> Self {
        let sum: Duration = times.iter().sum();
        Self::times([sum / times.len().max(1).try_into().unwrap_or(1)])
    }

    /// The median; NaN without a value.
    pub fn median(&self) -> f64 {
        let middle = self.values.get(self.values.len() / 2);
        middle.copied().unwrap_or(f64::NAN)
    }

    /// The median, and the smallest and the largest value.
    pub fn text(&self) -> String {
        let (first, last) = (self.values.first(), self.values.last());
        let median = figure(self.median());
        let spread = match (first, last) {
            (Some(first), Some(last)) if self.values.len() > 1 => {
                format!(" ({}–{})", figure(*first), figure(*last))
            }
            _ => String::new(),
        };
        format!("{median}{spread} {}", self.unit)
            .trim_end()
            .to_owned()
    }
}

/// What a row has to reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The peer's figure is at least this many times ours.
    Times(f64),
    /// Ours is at least this many times the peer's: more is better.
    More(f64),
    /// Our figure is at most this, in the row's unit.
    AtMost(f64),
    /// Our figure is at most this many times the peer's.
    Within(f64),
    /// Our figure is at most this much above the peer's, in the row's unit.
    Above(f64),
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Our figure.
    pub ours: Sample,
    /// The peer, and its figure.
    pub peer: Option<(&'static str, Sample)>,
    /// What to reach.
    pub goal: Option<Goal>,
}

/// A part of the page: a heading and its rows.
pub struct Part {
    /// The heading.
    pub title: &'static str,
    /// What is measured, and how, in a sentence or two.
    pub method: String,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Row {
    /// Its cells: what, ours, the peer's, the ratio, the goal.
    pub fn cells(&self) -> [String; 5] {
        let peer = self.peer.as_ref();
        [
            self.what.clone(),
            self.ours.text(),
            peer.map_or(String::new(), |(name, sample)| {
                format!("{}, {name}", sample.text())
            }),
            self.ratio()
                .map_or(String::new(), |ratio| format!("{} times", figure(ratio))),
            self.goal.map_or(String::new(), |goal| self.reached(goal)),
        ]
    }

    /// How many times better ours is than the peer's; None without a peer, or if one of them is zero.
    pub fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        let ratio = peer.median() / self.ours.median();
        let ratio = match self.goal {
            Some(Goal::More(_)) => 1.0 / ratio,
            _ => ratio,
        };
        ratio.is_finite().then_some(ratio)
    }

    fn reached(&self, goal: Goal) -> String {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        let (wanted, is_reached) = match goal {
            Goal::Times(times) | Goal::More(times) => (format!("{times} times"), ratio >= times),
            Goal::AtMost(most) => (
                format!("at most {most} {}", self.ours.unit)
                    .trim_end()
                    .to_owned(),
                self.ours.median() <= most,
            ),
            Goal::Within(times) => (format!("within {times}"), 1.0 / ratio <= times),
            Goal::Above(most) => {
                let peer = self.peer.as_ref().map(|(_, peer)| peer.median());
                let above = self.ours.median() - peer.unwrap_or(f64::NAN);
                let wanted = format!("at most {most} {} above", self.ours.unit);
                (wanted, above <= most)
            }
        };
        let verdict = if is_reached { "reached" } else { "not reached" };
        format!("{wanted}: {verdict}")
    }
}

/// Three digits; a count as it is.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size.fract() == 0.0 => format!("{value}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peer: f64, goal: Goal) -> Row {
        Row {
            what: "a rotation".to_owned(),
            ours: Sample::one(ours, "ms"),
            peer: Some((
                "Python",
                Sample::of(vec![peer, 9.0 * peer, 0.5 * peer], "ms"),
            )),
            goal: Some(goal),
        }
    }

    #[test]
    fn a_row_shows_medians_with_their_spread_and_whether_the_goal_is_reached() {
        let cells = row(2.0, 10.0, Goal::Times(5.0)).cells();
        assert_eq!(
            cells,
            [
                "a rotation",
                "2 ms",
                "10 (5–90) ms, Python",
                "5 times",
                "5 times: reached"
            ]
        );
        for (goal, expected) in [
            (Goal::Times(6.0), "6 times: not reached"),
            (Goal::More(0.2), "0.2 times: reached"),
            (Goal::More(0.3), "0.3 times: not reached"),
            (Goal::AtMost(1.9), "at most 1.9 ms: not reached"),
            (Goal::AtMost(2.0), "at most 2 ms: reached"),
            (Goal::Within(0.1), "within 0.1: not reached"),
            (Goal::Within(0.2), "within 0.2: reached"),
            (Goal::Above(-8.5), "at most -8.5 ms above: not reached"),
            (Goal::Above(-8.0), "at most -8 ms above: reached"),
        ] {
            assert_eq!(row(2.0, 10.0, goal).cells()[4], expected);
        }
    }
}
