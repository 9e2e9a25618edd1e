//! The small pictures of a report: calls over time, latencies, the split of blackouts.

use maud::{Markup, html};
use palib::control::{TakeoverTiming, What};

use super::Remains;
use crate::units::{count, micros};

/// Stretches of time in the picture of calls.
const STRETCHES: usize = 150;

/// The parts of a blackout in their order, those that were measured.
pub(super) fn parts(timing: &TakeoverTiming) -> Vec<(&'static str, u64)> {
    let all = [
        ("detect", timing.detect_us),
        ("fence", timing.fence_us),
        ("open", timing.open_us),
        ("recover", timing.recover_us),
        ("mark", timing.mark_us),
        ("first reply", timing.first_reply_us),
    ];
    all.into_iter().filter_map(|(name, us)| us.map(|us| (name, us))).collect()
}

/// A blackout as a bar, whose parts are as long as their share of it.
pub(super) fn split(timing: &TakeoverTiming) -> Markup {
    let parts = parts(timing);
    let whole: u64 = parts.iter().map(|(_, us)| us).sum::<u64>().max(1);
    html! {
        div class="split" {
            @for (number, (name, us)) in parts.iter().enumerate() {
                @if *us > 0 {
                    span class=(format!("part p{number}")) style=(format!("flex-grow:{}", *us * 1000 / whole + 4))
                        title=(format!("{name} {}", micros(*us))) {}
                }
            }
        }
    }
}

/// Calls that returned over time, with the defects.
pub(super) fn over_time(remains: &Remains) -> Markup {
    let returned: Vec<u64> = remains.history.lines.iter().filter_map(|(_, line)| line.return_ns).collect();
    let first = remains.history.lines.iter().map(|(_, line)| line.invoke_ns).min();
    let (Some(from), Some(to)) = (first, returned.iter().copied().max()) else {
        return html! { p { "No call returned." } };
    };
    let width = (to.saturating_sub(from) / STRETCHES as u64).max(1);
    let mut counts = [0_u64; STRETCHES + 1];
    for at in &returned {
        counts[((at.saturating_sub(from) / width) as usize).min(STRETCHES)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let at = |ns: u64| ns.saturating_sub(from) as f64 / width as f64 * 6.0;
    let defects: Vec<(f64, &String)> = remains
        .events
        .iter()
        .filter(|event| (from..=to).contains(&event.at_ns))
        .filter_map(|event| match &event.what {
            What::Defect { id, .. } | What::Paused { id, .. } => Some((at(event.at_ns), id)),
            _ => None,
        })
        .collect();
    let peak = most as f64 * 1e9 / width as f64;
    html! {
        svg class="chart strip" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 912 130" role="img" {
            @for (number, calls) in counts.iter().enumerate() {
                @let height = (calls * 90 / most).max(u64::from(*calls > 0));
                rect class="bar" x=(number * 6) y=(110 - height) width="5" height=(height) {
                    title { (calls) " calls" }
                }
            }
            line class="axis" x1="0" x2="912" y1="110.5" y2="110.5" {}
            @for (x, id) in &defects {
                line class="defect" x1=(format!("{x:.0}")) x2=(format!("{x:.0}")) y1="14" y2="110" {}
                // Of a storm, the lines say enough.
                @if defects.len() <= 24 { text class="injected" x=(format!("{x:.0}")) y="10" text-anchor="middle" { (id) } }
            }
            text class="past" x="0" y="126" { "0" }
            text class="past" x="912" y="126" text-anchor="end" { (micros((to - from) / 1000)) }
        }
        p class="note" { "Calls that returned, in stretches of " (micros(width / 1000)) "; the highest is " (count(peak as u64)) " calls/s." }
    }
}

/// How many calls took how long, in powers of two.
pub(super) fn latencies(remains: &Remains) -> Markup {
    let mut buckets = [0_u64; 40];
    for (_, line) in &remains.history.lines {
        if let Some(at) = line.return_ns {
            let us = at.saturating_sub(line.invoke_ns) / 1000;
            buckets[(us.max(1).ilog2() as usize).min(39)] += 1;
        }
    }
    let most = buckets.iter().copied().max().unwrap_or(1).max(1);
    let used: Vec<usize> = (0..buckets.len()).filter(|place| buckets[*place] > 0).collect();
    let (Some(low), Some(high)) = (used.first().copied(), used.last().copied()) else { return html! {} };
    html! {
        table class="histogram" {
            @for (bucket, calls) in buckets.iter().enumerate().take(high + 1).skip(low) {
                tr {
                    td class="number" { "under " (micros(2_u64 << bucket)) }
                    td class="number" { (count(*calls)) }
                    td class="bars" { span class="bar" style=(format!("width:{}%", calls * 100 / most)) {} }
                }
            }
        }
    }
}
