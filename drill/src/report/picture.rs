//! The picture in the README: the report's first two plots as one SVG file that loads nothing.

use maud::{Markup, PreEscaped, html};

use super::{frame::WIDE, page::STYLE, plots};
use crate::{
    Error,
    rehearsal::{Observed, Rehearsal},
    summary::thousands,
};

/// The page shows the picture at half this size, like the report's plots.
const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1150;

const OWN_STYLE: &str = "text { fill: var(--ink); font: 32px system-ui, -apple-system, 'Segoe UI', sans-serif; }
.title { font-size: 42px; font-weight: 600; }
.ours { fill: var(--ours); } .plain { fill: var(--plain); } .step { fill: var(--step); } .page { fill: var(--surface); }";

/// Draws the served and the failed requests of one rehearsal, with a heading and a legend.
///
/// # Errors
///
/// It cannot be drawn.
pub fn picture(rehearsal: &Rehearsal) -> Result<String, Error> {
    let served = plots::requests(rehearsal, WIDE)?;
    let failed = plots::failures(rehearsal, WIDE)?;
    let rotating = lost(&rehearsal.rotating);
    let plain = rehearsal.plain.as_ref().map(lost);
    let title = format!(
        "Requests while a {} password rotates {} times",
        rehearsal.strategy,
        rehearsal.rotations.len()
    );
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
            style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            rect.page width=(WIDTH) height=(HEIGHT) rx="16" {}
            text.title x="40" y="70" { (title) }
            (key(40, "ours", &rotating))
            @if let Some(plain) = plain { (key(740, "plain", &plain)) }
            (key(1440, "step", "a step of a rotation"))
            text x="40" y="230" { "Requests served a second" }
            (placed(250, &served))
            text x="40" y="760" { "Failed requests a second" }
            (placed(780, &failed))
        }
    };
    Ok(picture.into_string())
}

/// `rotating-secret: 0 of 6,335 failed`.
fn lost(observed: &Observed) -> String {
    let (failures, requests) = (observed.failures(), observed.requests());
    let (failures, requests) = (thousands(failures), thousands(requests));
    format!("{}: {failures} of {requests} failed", observed.cache)
}

fn key(x: u32, class: &str, text: &str) -> Markup {
    html! {
        rect class=(class) x=(x) y="112" width="28" height="28" rx="4" {}
        text x=(x + 44) y="138" { (text) }
    }
}

/// A plot as a part of the picture, `y` below its top.
fn placed(y: u32, plot: &str) -> Markup {
    PreEscaped(plot.replacen("<svg ", &format!("<svg y=\"{y}\" "), 1))
}
