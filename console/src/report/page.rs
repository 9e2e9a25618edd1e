//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use palib::control::What;

use super::{Remains, picture};
use crate::run::Takeover;
use crate::sequence::{Chart, STYLE, inline, tone_class};
use crate::units::{count, micros};
use crate::world::{clock, describe, is_measurement};

/// Lines of the log on the page: the last ones.
const LOG_MAX: usize = 250;
/// Takeovers on the page, one bar each; of a storm, the longest.
const TAKEOVERS_MAX: usize = 60;

pub(super) fn page(remains: &Remains, charts: &[Chart]) -> Markup {
    let summary = &remains.summary;
    let title = format!("palib run of {}, seed {}", summary.cluster, summary.seed);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header { h1 { (title) } (verdict(remains)) }
                main {
                    section { h2 { "Calls over time" } (picture::over_time(remains)) }
                    @if !charts.is_empty() {
                        section { h2 { "Calls worth a look" } @for chart in charts { (call(chart)) } }
                    }
                    @if !summary.takeovers.is_empty() { (takeovers(remains)) }
                    section { h2 { "Latency" } (latency(remains)) (picture::latencies(remains)) }
                    @if !summary.defects.is_empty() { (defects(remains)) }
                    section { h2 { "Log" } (log(remains)) }
                }
            }
        }
    }
}

fn verdict(remains: &Remains) -> Markup {
    let summary = &remains.summary;
    let calls = summary.calls;
    let class = if summary.is_clean() { "verdict good" } else { "verdict bad" };
    let facts = [
        ("acknowledged", count(calls.acked)),
        ("failed", count(calls.failed)),
        ("unknown", count(calls.unknown)),
        ("effects", count(summary.effects)),
        ("lost", count(summary.lost)),
        ("doubled", count(summary.doubled)),
        ("redundant requests suppressed", count(summary.suppressed)),
        ("defects", count(summary.defects.len() as u64)),
        ("takeovers", count(summary.takeovers.len() as u64)),
        ("seconds", format!("{:.1}", summary.elapsed_ms as f64 / 1000.0)),
    ];
    html! {
        p class=(class) { (if summary.is_clean() { "✔ " } else { "✖ " }) (summary.verdict) }
        dl class="facts" { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
        @if !summary.violations.is_empty() {
            h2 { "Violations" }
            ul { @for violation in &summary.violations { li { code { (violation) } } } }
        }
    }
}

fn call(chart: &Chart) -> Markup {
    let root = chart.calls.first().map_or("", String::as_str);
    let others = chart.calls.len().saturating_sub(1);
    html! {
        h3 { (root) @if others > 0 { " and " (others) " calls made for it" } }
        @if chart.left_out > 0 { p class="note" { (chart.left_out) " earlier steps are left out." } }
        div class="scroll" { (inline(chart)) }
    }
}

fn takeovers(remains: &Remains) -> Markup {
    let all = &remains.summary.takeovers;
    let mut shown: Vec<&Takeover> = all.iter().collect();
    if shown.len() > TAKEOVERS_MAX {
        shown.sort_by_key(|takeover| std::cmp::Reverse(takeover.timing.blackout_us));
        shown.truncate(TAKEOVERS_MAX);
    }
    let names = ["detect", "fence", "open", "recover", "mark", "first reply"];
    html! {
        section {
            h2 { "Blackouts" }
            p class="legend" { @for (number, name) in names.iter().enumerate() { span class=(format!("part p{number}")) {} (name) " " } }
            div class="scroll" { table {
                thead { tr { th { "alias" } th { "cause" } th { "incarnation" } th { "blackout" } th class="wide" { "its parts" }
                    @for name in names { th { (name) } } } }
                tbody { @for takeover in &shown {
                    tr {
                        td { (takeover.alias) }
                        td { (takeover.cause) }
                        td class="number" { (takeover.incarnation) }
                        td class="number strong" { (takeover.timing.blackout_us.map_or("-".to_owned(), micros)) }
                        td { (picture::split(&takeover.timing)) }
                        @for name in names {
                            @let parts = picture::parts(&takeover.timing);
                            @let us = parts.iter().find(|(of, _)| *of == name).map(|(_, us)| *us);
                            td class="number" { (us.map_or("-".to_owned(), micros)) }
                        }
                    }
                } }
            } }
            @if shown.len() < all.len() { p class="note" { "The longest " (shown.len()) " of " (all.len()) "." } }
        }
    }
}

fn latency(remains: &Remains) -> Markup {
    let latency = remains.summary.latency_us;
    let facts = [("p50", latency.p50), ("p99", latency.p99), ("longest", latency.max)];
    html! {
        dl class="facts" { @for (name, us) in facts { div { dt { (name) } dd { (micros(us)) } } } }
        p class="note" { "From the first sending to the outcome, re-sends and takeovers included." }
    }
}

fn defects(remains: &Remains) -> Markup {
    html! {
        section {
            h2 { "Defects" }
            div class="scroll" { table {
                thead { tr { th { "id" } th { "at" } th class="wide" { "what" } } }
                tbody { @for defect in &remains.summary.defects {
                    tr class="injected" {
                        td { (defect.id) }
                        td class="number" { (micros(defect.at_ms * 1000)) }
                        td { (defect.spec) }
                    }
                } }
            } }
        }
    }
}

fn log(remains: &Remains) -> Markup {
    let told: Vec<_> = remains
        .events
        .iter()
        .filter(|event| !is_measurement(&event.what) && !matches!(event.what, What::Alias { .. }))
        .collect();
    let skipped = told.len().saturating_sub(LOG_MAX);
    html! {
        @if skipped > 0 { p class="note" { (skipped) " earlier lines are left out; events.jsonl has them." } }
        @if remains.unreadable > 0 { p class="note" { (remains.unreadable) " lines of events.jsonl can't be read." } }
        details open[told.len() <= 60] {
            summary { (told.len() - skipped) " lines" }
            div class="scroll" { table class="log" { tbody {
                @for event in &told[skipped..] {
                    @let words = describe(&event.process, &event.what);
                    tr class=(tone_class(words.tone)) {
                        td class="number" { (clock(event.unix_ms, remains.world.zero_unix_ms)) }
                        td { (words.kind) }
                        td { (words.subject) }
                        td { (words.text) }
                    }
                }
            } } }
        }
    }
}
