//! The plots, as SVG. All have the time axis in the same place, and marks for the steps.
//!
//! The colours are those of the light palette; style.css replaces each one by its dark counterpart.

use std::time::{Duration, SystemTime};

use plotters::prelude::*;

use super::frame::{Frame, LATENCY_HEIGHT, bar, note};
use crate::{
    Error,
    application::{Latency, Span},
    rehearsal::{Kind, Observed, Rehearsal, Rotated},
    summary::{milliseconds, seconds},
};

const STEP: RGBColor = RGBColor(0x89, 0x87, 0x81);
const OURS: RGBColor = RGBColor(0x2a, 0x78, 0xd6);
const PLAIN: RGBColor = RGBColor(0xeb, 0x68, 0x34);
const VERSIONS: [RGBColor; 2] = [RGBColor(0x9e, 0xc5, 0xf4), RGBColor(0x1c, 0x5c, 0xab)];
// three colours that differ in lightness too, for colour-blind readers
const MEDIAN: RGBColor = RGBColor(0x00, 0x3f, 0x63);
const P99: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const SLOWEST: RGBColor = RGBColor(0x56, 0xb4, 0xe9);

type Points = Vec<(f64, f64)>;

/// Successful requests of all kinds of connections. A failed request is not throughput.
pub(super) fn requests(rehearsal: &Rehearsal, frame: Frame) -> Result<String, Error> {
    let served = |span: &Span| span.requests.saturating_sub(span.failures);
    let (ours, plain, highest) = both(rehearsal, served);
    let apart = rehearsal.span.as_secs_f64();
    frame.svg(440, |area| {
        let mut chart = frame.over_time(area, rehearsal, highest.max(1.0) * 1.1)?;
        for line in unbroken(busy(plain), apart) {
            chart.draw_series(LineSeries::new(line, PLAIN.stroke_width(3)))?;
        }
        for line in unbroken(busy(ours), apart) {
            chart.draw_series(LineSeries::new(line, OURS.stroke_width(4)))?;
        }
        Ok(())
    })
}

/// Failed requests, as bars.
pub(super) fn failures(rehearsal: &Rehearsal, frame: Frame) -> Result<String, Error> {
    let (ours, plain, highest) = both(rehearsal, |span| span.failures);
    frame.svg(320, |area| {
        let mut chart = frame.over_time(area, rehearsal, highest.max(1.0) * 1.1)?;
        if highest == 0.0 {
            return note(&mut chart, "none");
        }
        let half = rehearsal.span.as_secs_f64() / 2.0;
        let bar = |from, rate, color| bar((from, from + 0.8 * half), (rate, 0.0), color);
        let failed = |(_, rate): &(f64, f64)| *rate > 0.0;
        let bars = ours.into_iter().filter(failed);
        chart.draw_series(bars.map(|(at, rate)| bar(at - half, rate, OURS)))?;
        let bars = plain.into_iter().filter(failed);
        chart.draw_series(bars.map(|(at, rate)| bar(at, rate, PLAIN)))?;
        Ok(())
    })
}

/// One bar for each kind of connections: the version in use.
pub(super) fn versions(rehearsal: &Rehearsal, frame: Frame) -> Result<String, Error> {
    let plain = rehearsal.plain.iter().flat_map(|observed| &observed.kinds);
    let ours = rehearsal.rotating.kinds.iter();
    let kinds = ours
        .map(|kind| (kind, ""))
        .chain(plain.map(|kind| (kind, ", plain")));
    let kinds: Vec<(&Kind, &str)> = kinds.collect();
    frame.svg(frame.height_of(kinds.len()), |area| {
        let (top, end) = (kinds.len() as f64, rehearsal.began + rehearsal.took);
        let mut chart = frame.rows(area, 0.0..rehearsal.took.as_secs_f64(), top, "s")?;
        for (row, (kind, suffix)) in kinds.iter().enumerate() {
            let y = top - row as f64;
            frame.name_row(
                &mut chart,
                y,
                &format!("{}{suffix}", kind.summary.connections.name()),
            )?;
            let at = |time| seconds(rehearsal, time);
            chart.draw_series(version_bars(
                kind,
                (rehearsal.began, end),
                frame.bar_at(y),
                at,
            ))?;
        }
        frame.steps(&mut chart, rehearsal)
    })
}

/// The rotation with the longest changeover, with its steps. None without a rotation.
pub(super) fn close_up(rehearsal: &Rehearsal, frame: Frame) -> Result<Option<String>, Error> {
    let longest = |index: &usize| {
        let kinds = rehearsal.rotating.kinds.iter();
        let delays = kinds.map(|kind| rehearsal.delays(kind).get(*index).copied().flatten());
        delays.map(|delay| delay.unwrap_or(Duration::MAX)).max()
    };
    let Some(index) = (0..rehearsal.rotations.len()).max_by_key(longest) else {
        return Ok(None);
    };
    let rotated = &rehearsal.rotations[index];
    let Some((from, to)) = extent(rehearsal, rotated, index) else {
        return Ok(None);
    };
    let at = |time: SystemTime| {
        let after = time.duration_since(from).map(milliseconds);
        after.unwrap_or_else(|before| -milliseconds(before.duration()))
    };
    // a little room on both sides
    let room = to.duration_since(from).unwrap_or_default() / 20;
    let (start, end) = (from - room, to + room);
    let kinds = &rehearsal.rotating.kinds;
    let count = rotated.steps.len() + kinds.len();
    let plot = frame.svg(frame.height_of(count), |area| {
        let top = count as f64;
        let mut chart = frame.rows(area, at(start)..at(end), top, "ms")?;
        for (row, step) in rotated.steps.iter().enumerate() {
            let (y, begun) = (top - row as f64, at(step.began));
            frame.name_row(&mut chart, y, &step.name)?;
            // a step without a duration is a thin line
            let ended = begun + milliseconds(step.took).max(at(end) / 300.0);
            chart.draw_series([bar((begun, ended), frame.bar_at(y), STEP)])?;
        }
        for (row, kind) in kinds.iter().enumerate() {
            let y = top - (rotated.steps.len() + row) as f64;
            frame.name_row(&mut chart, y, kind.summary.connections.name())?;
            chart.draw_series(version_bars(kind, (start, end), frame.bar_at(y), at))?;
        }
        Ok(())
    })?;
    Ok(Some(plot))
}

/// Milliseconds on a logarithmic scale.
pub(super) fn latency(rehearsal: &Rehearsal, kind: &Kind, frame: Frame) -> Result<String, Error> {
    let offset = seconds(rehearsal, rehearsal.rotating.began);
    let of = |pick: fn(&Latency) -> Duration| -> Points {
        let spans = kind.spans.iter().enumerate();
        let point = |(index, span): (usize, &Span)| {
            let latency = pick(span.latency.as_ref()?);
            // the shortest time that is counted
            let logarithm = milliseconds(latency).max(0.001).log10();
            Some((offset + middle(rehearsal, index), logarithm))
        };
        spans.filter_map(point).collect()
    };
    let (median, p99, slowest) = (
        of(|latency| latency.median),
        of(|latency| latency.p99),
        of(|latency| latency.slowest),
    );
    let lowest = median.iter().map(|(_, y)| *y).fold(0.0, f64::min).floor();
    let top = slowest.iter().map(|(_, y)| *y).fold(1.0, f64::max).ceil();
    frame.svg(LATENCY_HEIGHT, |area| {
        let mut chart = frame.logarithmic(area, rehearsal, lowest..top)?;
        let dot = |(x, y)| Circle::new((x, y), 5, SLOWEST.filled());
        chart.draw_series(slowest.into_iter().map(dot))?;
        let apart = rehearsal.span.as_secs_f64();
        for line in unbroken(p99, apart) {
            chart.draw_series(LineSeries::new(line, P99.stroke_width(3)))?;
        }
        for line in unbroken(median, apart) {
            chart.draw_series(LineSeries::new(line, MEDIAN.stroke_width(4)))?;
        }
        Ok(())
    })
}

/// From the first step to the last one, or to the last worker's changeover.
fn extent(
    rehearsal: &Rehearsal,
    rotated: &Rotated,
    index: usize,
) -> Option<(SystemTime, SystemTime)> {
    let from = rotated.steps.iter().map(|step| step.began).min()?;
    let steps = rotated.steps.iter().map(|step| step.began + step.took);
    let hand_overs = rehearsal
        .rotating
        .kinds
        .iter()
        .filter_map(|kind| kind.hand_overs.get(index));
    let to = steps
        .chain(hand_overs.filter_map(|hand_over| hand_over.settled))
        .max()?;
    Some((from, to.max(from + Duration::from_millis(10))))
}

/// A bar for each version in turn; halved while both are in use.
fn version_bars(
    kind: &Kind,
    (began, end): (SystemTime, SystemTime),
    (upper, lower): (f64, f64),
    at: impl Fn(SystemTime) -> f64,
) -> Vec<Rectangle<(f64, f64)>> {
    let middle = f64::midpoint(upper, lower);
    let within = |time: SystemTime| time.clamp(began, end);
    let mut bars = Vec::new();
    let mut add = |from: SystemTime, to: SystemTime, above, below, version: usize| {
        if from < to {
            bars.push(bar(
                (at(from), at(to)),
                (above, below),
                VERSIONS[version % 2],
            ));
        }
    };
    let (mut since, mut version) = (began, 0);
    for (index, hand_over) in kind.hand_overs.iter().enumerate() {
        // a worker that never used it stays on the version before
        let Some(first) = hand_over.first.map(within) else {
            continue;
        };
        let next = kind.hand_overs[index + 1..]
            .iter()
            .find_map(|later| later.first);
        let settled = within(hand_over.settled.or(next).unwrap_or(end)).max(first);
        add(since, first, upper, lower, version);
        add(first, settled, upper, middle, version);
        add(first, settled, middle, lower, index + 1);
        (since, version) = (settled, index + 1);
    }
    add(since, end, upper, lower, version);
    bars
}

/// Both caches, per second, one point for each span; and the maximum.
fn both(rehearsal: &Rehearsal, of: fn(&Span) -> u64) -> (Points, Points, f64) {
    let ours = rates(&rehearsal.rotating, rehearsal, of);
    let plain = rehearsal.plain.as_ref();
    let plain = plain.map_or_else(Vec::new, |observed| rates(observed, rehearsal, of));
    let highest = ours
        .iter()
        .chain(&plain)
        .map(|(_, y)| *y)
        .fold(0.0, f64::max);
    (ours, plain, highest)
}

/// The sum over all kinds of connections.
fn rates(observed: &Observed, rehearsal: &Rehearsal, of: fn(&Span) -> u64) -> Points {
    let offset = seconds(rehearsal, observed.began);
    let spans = observed.kinds.iter().map(|kind| kind.spans.len()).min();
    let point = |index| {
        let spans = observed
            .kinds
            .iter()
            .filter_map(|kind| kind.spans.get(index));
        let sum: u64 = spans.map(of).sum();
        (
            offset + middle(rehearsal, index),
            sum as f64 / rehearsal.span.as_secs_f64(),
        )
    };
    (0..spans.unwrap_or(0)).map(point).collect()
}

/// Spans with a successful request.
fn busy(points: Points) -> Points {
    points.into_iter().filter(|(_, rate)| *rate > 0.0).collect()
}

/// Lines that end at a span without a point: without a request, the latency is unknown.
fn unbroken(points: Points, apart: f64) -> Vec<Points> {
    let follows = |(before, _): &(f64, f64), (at, _): &(f64, f64)| at - before < 1.5 * apart;
    let lines = points.chunk_by(follows);
    lines.map(<[_]>::to_vec).collect()
}

/// The middle of the span.
fn middle(rehearsal: &Rehearsal, index: usize) -> f64 {
    (index as f64 + 0.5) * rehearsal.span.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_drawn_over_spans_without_a_request() {
        let points = vec![(0.5, 3.0), (1.5, 0.0), (2.5, 4.0), (3.5, 5.0)];
        let lines = unbroken(busy(points), 1.0);
        assert_eq!(lines, [vec![(0.5, 3.0)], vec![(2.5, 4.0), (3.5, 5.0)]]);
    }

    /// Relative luminance, as WCAG 2 defines it.
    fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
        let linear = |channel: u8| {
            let channel = f64::from(channel) / 255.0;
            match channel <= 0.04045 {
                true => channel / 12.92,
                false => ((channel + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    #[test]
    fn the_three_colours_of_latency_differ_in_lightness_too() {
        let colours = [MEDIAN, P99, SLOWEST].map(luminance);
        for pair in colours.windows(2) {
            let contrast = (pair[1] + 0.05) / (pair[0] + 0.05);
            assert!(contrast > 1.5, "{colours:?}");
        }
    }
}
