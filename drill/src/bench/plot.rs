//! The ratios of a part as bars, on a logarithmic scale: to the right of the line ours is better. One SVG file that loads nothing.

use maud::{Markup, PreEscaped, html};

use super::row::{Part, Row};
use crate::report::STYLE;

const WIDTH: f64 = 1000.0;
/// Where names end and bars begin.
const LEFT: f64 = 540.0;
const RIGHT: f64 = 930.0;
const ROW: f64 = 22.0;
const TOP: f64 = 44.0;

const OWN_STYLE: &str = "text { fill: var(--ink); font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; }
.title { font-weight: 600; font-size: 15px; } .name { text-anchor: end; } .left { text-anchor: end; }
.better { fill: var(--ours); } .worse { fill: var(--plain); } .page { fill: var(--surface); } .one { stroke: var(--step); }";

/// Draws the rows that have a ratio. None without one.
pub(super) fn plot(part: &Part) -> Option<String> {
    let bars: Vec<(&Row, f64)> = part
        .rows
        .iter()
        .filter_map(|row| Some((row, row.ratio().filter(|ratio| *ratio > 0.0)?)))
        .collect();
    if bars.is_empty() {
        return None;
    }
    let logarithms = || bars.iter().map(|(_, ratio)| ratio.log10());
    // so that a plot without an outlier is not all outliers
    let lowest = logarithms().fold(-0.3, f64::min);
    let highest = logarithms().fold(0.3, f64::max);
    let x = |ratio: f64| {
        // room for the figure of a bar to the left
        let (from, to) = (LEFT + 50.0, RIGHT);
        from + (ratio.log10() - lowest) / (highest - lowest) * (to - from)
    };
    let height = TOP + ROW * bars.len() as f64 + 12.0;
    let title = format!("{}: how many times better than the peer", part.title);
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(title) {
            style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            rect.page width=(WIDTH) height=(height) rx="8" {}
            text.title x="16" y="26" { (title) }
            @for (index, (row, ratio)) in bars.iter().enumerate() {
                (bar(row, *ratio, TOP + ROW * index as f64, &x))
            }
            line.one x1=(x(1.0)) x2=(x(1.0)) y1=(TOP - 4.0) y2=(height - 8.0) {}
        }
    };
    Some(picture.into_string())
}

fn bar(row: &Row, ratio: f64, y: f64, x: &dyn Fn(f64) -> f64) -> Markup {
    let (one, end) = (x(1.0), x(ratio));
    let peer = row.peer.as_ref().map_or("", |(name, _)| *name);
    let [_, _, _, figure, _] = row.cells();
    let figure = figure.trim_end_matches(" times");
    let is_better = ratio >= 1.0;
    html! {
        text.name x=(LEFT) y=(y + 14.0) { (row.what) " · " (peer) }
        rect class=(if is_better { "better" } else { "worse" }) x=(one.min(end)) y=(y + 3.0)
            width=((one - end).abs().max(1.0)) height=(ROW - 8.0) rx="2" {}
        text.left[!is_better] x=(if is_better { end + 6.0 } else { end - 6.0 }) y=(y + 14.0) { (figure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::{Goal, Sample};

    fn row(what: &str, ours: f64, peer: Option<f64>) -> Row {
        Row {
            what: what.to_owned(),
            ours: Sample::one(ours, "ms"),
            peer: peer.map(|peer| ("Python", Sample::one(peer, "ms"))),
            goal: Some(Goal::AtMost(1.0)),
        }
    }

    fn part(rows: Vec<Row>) -> Part {
        Part {
            title: "A rotation",
            method: String::new(),
            rows,
        }
    }

    #[test]
    fn each_row_with_a_ratio_is_a_bar_in_the_colours_of_both_palettes() {
        let rows = vec![
            row("a start & more", 1.0, Some(100.0)),
            row("a step", 2.0, Some(1.0)),
            row("alone", 2.0, None),
        ];
        let drawn = plot(&part(rows)).unwrap();
        assert_eq!(drawn.matches("class=\"better\"").count(), 1);
        assert_eq!(drawn.matches("class=\"worse\"").count(), 1);
        assert!(drawn.contains("a start &amp; more · Python") && drawn.contains(">100<"));
        assert!(!drawn.contains("alone") && drawn.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn a_part_without_a_ratio_has_no_plot() {
        assert_eq!(plot(&part(vec![row("alone", 2.0, None)])), None);
        assert_eq!(plot(&part(vec![row("zero", 2.0, Some(0.0))])), None);
    }
}
