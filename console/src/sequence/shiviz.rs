//! Charts as logs with vector clocks, which ShiViz draws and compares.
//!
//! Its parser wants this expression: `(?<host>\S*) (?<clock>{.*})\n(?<event>.*)`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Chart, Shape, Step};

/// A chart as a ShiViz log.
#[must_use]
pub fn shiviz(chart: &Chart) -> String {
    let mut clocks = vec![BTreeMap::<&str, u64>::new(); chart.lanes.len()];
    // What each sender knew when it sent.
    let mut sent = BTreeMap::<u64, BTreeMap<&str, u64>>::new();
    let mut out = String::new();
    for (at_ns, step, arrives) in moments(chart) {
        let (lane, with) = match &step.shape {
            Shape::Arrow(arrow) if arrives => (arrow.to, "receives"),
            Shape::Arrow(arrow) => (arrow.from, "sends"),
            Shape::Mark { lane, .. } => (*lane, ""),
            Shape::Across => continue,
        };
        let host = chart.lanes[lane].process.as_str();
        if arrives {
            for (name, count) in sent.remove(&step.seq).unwrap_or_default() {
                let known = clocks[lane].entry(name).or_default();
                *known = (*known).max(count);
            }
        }
        *clocks[lane].entry(host).or_default() += 1;
        if matches!(step.shape, Shape::Arrow(_)) && !arrives {
            sent.insert(step.seq, clocks[lane].clone());
        }
        let clock: Vec<String> =
            clocks[lane].iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
        let words = [with, step.label.as_str()].join(" ");
        let _ = writeln!(out, "{host} {{{}}}\n{} {}", clock.join(", "), chart.clock(at_ns), words.trim());
    }
    out
}

/// Sendings and arrivals apart, in the order of time: `(when, what, whether it is the arrival)`.
fn moments(chart: &Chart) -> Vec<(u64, &Step, bool)> {
    let mut moments = Vec::new();
    for step in chart.steps() {
        moments.push((step.at_ns, step, false));
        if let Shape::Arrow(arrow) = &step.shape
            && let Some(at_ns) = arrow.arrived_ns
        {
            moments.push((at_ns.max(step.at_ns + 1), step, true));
        }
    }
    moments.sort_by_key(|(at_ns, step, arrives)| (*at_ns, *arrives, step.seq));
    moments
}
