//! The text of the report around its plots.

use std::{collections::BTreeSet, env, num::NonZero, thread, time::SystemTime};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    frame::{Frame, NARROW, WIDE},
    plots,
};
use crate::{
    Error,
    rehearsal::{Kind, Observed, Rehearsal},
    summary,
};

/// The colours of both palettes, for the page and the picture.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The page loads nothing, runs no script and has no form.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

pub(super) fn page(
    rehearsals: &[Rehearsal],
    command: &str,
    figures: &str,
) -> Result<String, Error> {
    let passed = rehearsals.iter().all(Rehearsal::passed);
    let sentence = summary::sentence(rehearsals);
    let sections: Result<Vec<Markup>, Error> = rehearsals.iter().map(section).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Rotation drill: " (sentence) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Rotation drill" }
                    p.verdict.passed[passed].failed[!passed] {
                        (if passed { "✔ " } else { "✘ " }) (sentence) "."
                    }
                    p {
                        "An application made requests through rotating-secret while its secret rotated. The drill passes if no \
                         request fails, and if every worker uses the new version after each rotation."
                        @if rehearsals.iter().any(|rehearsal| rehearsal.plain.is_some()) {
                            " For comparison, a second application used a plain cache: it reads the secret, keeps it for a \
                             fixed time, and knows nothing about rotations."
                        }
                    }
                    (facts(rehearsals, command, figures))
                }
                @for section in sections? { (section) }
            }
        }
    };
    Ok(page.into_string())
}

/// Version, host, and how to repeat the drill.
fn facts(rehearsals: &[Rehearsal], command: &str, figures: &str) -> Markup {
    let servers: BTreeSet<&str> = rehearsals
        .iter()
        .map(|rehearsal| rehearsal.server.as_str())
        .collect();
    let servers = servers.into_iter().collect::<Vec<_>>().join(", ");
    let processors = thread::available_parallelism().map_or(0, NonZero::get);
    // the whole report is this one file, the figures included
    let data = utf8_percent_encode(figures, NON_ALPHANUMERIC);
    html! {
        dl {
            dt { "version" } dd {
                "secret-rotation " (env!("CARGO_PKG_VERSION"))
                @if let Some(commit) = option_env!("DRILL_COMMIT") { ", commit " (commit) }
            }
            dt { "server" } dd { (servers) }
            dt { "host" } dd { (env::consts::OS) " " (env::consts::ARCH) ", " (processors) " processors" }
            dt { "drawn" } dd { (moment(SystemTime::now())) }
            dt { "repeat with" } dd { code { (command) } }
            dt { "figures" } dd {
                a download="drill.json" href=(format!("data:application/json,{data}")) { "drill.json" }
            }
        }
    }
}

fn section(rehearsal: &Rehearsal) -> Result<Markup, Error> {
    let passed = rehearsal.passed();
    let rotations = rehearsal.rotations.len();
    let plain = rehearsal.plain.as_ref();
    Ok(html! {
        section {
            h2 { (rehearsal.secret) }
            p.verdict.passed[passed].failed[!passed] {
                (if passed { "✔ " } else { "✘ " }) (summary::verdict(rehearsal))
            }
            dl {
                dt { "strategy" } dd { (rehearsal.strategy) }
                dt { "rotated" } dd { (rotations) (if rotations == 1 { " time" } else { " times" }) }
                dt { "where" } dd { (rehearsal.place) }
                dt { "when" } dd { (moment(rehearsal.began)) }
                dt { "worked for" } dd { (format!("{:.1} s", rehearsal.took.as_secs_f64())) }
            }
            h3 { "By kind of connections" }
            (table(rehearsal))
            p.quiet {
                "Changed over: from finishSecret, which moves AWSCURRENT, until the last worker used the new version; \
                 median and longest of all rotations. A request that opens a connection counts with its login."
            }
            p.legend {
                span.key.ours {} (rehearsal.rotating.cache)
                @if let Some(plain) = plain { span.key.plain {} (plain.cache) }
                span.key.step {} "a step of a rotation"
            }
            (figure("Served requests per second", |frame| plots::requests(rehearsal, frame).map(Some))?)
            (figure("Failed requests per second", |frame| plots::failures(rehearsal, frame).map(Some))?)
            p.legend {
                span.key.even {} "one version of the credential" span.key.odd {} "the next one"
                span.key.both {} "both in use: changing over"
            }
            (figure("Which version served requests", |frame| plots::versions(rehearsal, frame).map(Some))?)
            (figure(
                "The longest changeover in detail, in milliseconds since its first step",
                |frame| plots::close_up(rehearsal, frame)
            )?)
            p.legend {
                span.key.median {} "median" span.key.p99 {} "99th percentile" span.key.slowest {} "slowest (dots)"
            }
            @for kind in &rehearsal.rotating.kinds {
                @let caption = format!("Latency with {}, in milliseconds", kind.summary.connections.name());
                (figure(&caption, |frame| plots::latency(rehearsal, kind, frame).map(Some))?)
            }
        }
    })
}

/// A plot in both widths; style.css shows one of them. Nothing if there is no plot.
fn figure(
    caption: &str,
    draw: impl Fn(Frame) -> Result<Option<String>, Error>,
) -> Result<Markup, Error> {
    let plots = draw(WIDE)?.zip(draw(NARROW)?);
    Ok(html! {
        @if let Some((wide, narrow)) = plots {
            figure role="img" aria-label=(caption) {
                figcaption { (caption) }
                div.plot.wide { (PreEscaped(wide)) }
                div.plot.narrow { (PreEscaped(narrow)) }
            }
        }
    })
}

fn table(rehearsal: &Rehearsal) -> Markup {
    let caches = [Some(&rehearsal.rotating), rehearsal.plain.as_ref()];
    let row = |observed: &Observed, kind: &Kind| {
        let failures = kind.summary.failures;
        html! {
            tr {
                th scope="row" { (kind.summary.connections.name()) }
                td { (observed.cache) }
                td.number { (kind.summary.requests) }
                td.number.failed[failures > 0] { (failures) }
                td.number { (format!("{:.0}", summary::milliseconds(kind.summary.slowest))) }
                td.number { (rehearsal.changed_over(kind)) }
            }
        }
    };
    html! {
        div.scrolls tabindex="0" {
            table {
                thead {
                    tr {
                        @for name in ["connections", "cache", "requests", "failed", "slowest, ms", "changed over, ms"] {
                            th scope="col" { (name) }
                        }
                    }
                }
                tbody {
                    @for observed in caches.into_iter().flatten() {
                        @for kind in &observed.kinds { (row(observed, kind)) }
                    }
                }
            }
        }
        @for observed in caches.into_iter().flatten() {
            @if let Some(first) = observed.first_failure() {
                p { "The first failure with " (observed.cache) ": " code { (first) } }
            }
        }
    }
}

fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
