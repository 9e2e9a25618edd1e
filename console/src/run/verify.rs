//! The verdict of a run: effects at the servers against calls acknowledged at the callers, both from durable state,
//! and the history of every call.

use std::collections::BTreeMap;

use palib::control::{Event, What};
use serde_json::{Value, json};

use super::keep::Folder;
use super::summary::{Calls, Latency, Summary};
use super::totals::Account;
use super::{RunError, RunOptions, Settled, books};
use crate::check::{self, Outcome};
use crate::history::{self, History};

/// Puts together what came of a run. The cluster is down by now.
pub(super) fn verify(folder: &Folder, options: &RunOptions, settled: Settled) -> Result<Summary, RunError> {
    folder.merge_history()?;
    let history = history::read(&[folder.history()])?;
    let checked = check::check(&history)?;
    let totals = &settled.totals;
    let mut reasons: Vec<&str> = Vec::new();
    let mut violations: Vec<Value> = Vec::new();
    let (lost, doubled) = count_against(&settled, &mut violations);
    if lost > 0 {
        reasons.push("lost");
    }
    if doubled > 0 {
        reasons.push("doubled");
    }
    match checked.verdict {
        Outcome::Clean => {}
        Outcome::Violated => reasons.push("history"),
        Outcome::Undecided if totals.acked == 0 => reasons.push("nothing was acknowledged"),
        Outcome::Undecided => reasons.push("history undecided"),
    }
    violations.extend(checked.violations.iter().filter_map(|violation| serde_json::to_value(violation).ok()));
    violations.extend(checked.undecided.iter().map(|why| json!({ "kind": "undecided", "text": why })));
    if totals.unknown > 0 {
        reasons.push("unknown");
        let text = format!("{} calls have no outcome although they were asked for again", totals.unknown);
        violations.push(json!({ "kind": "unknown", "text": text }));
    }
    if !settled.in_doubt.is_empty() {
        reasons.push("in doubt");
        violations.push(
            json!({ "kind": "in_doubt", "text": "an operator must decide", "calls": settled.in_doubt }),
        );
    }
    if settled.stuck > 0 {
        reasons.push("stuck");
        let text = format!("{} transactions of relays go on only when an operator decides", settled.stuck);
        violations.push(json!({ "kind": "stuck", "text": text }));
    }
    let audited = books::audit(&options.file, &folder.state()?, &history)?;
    if !audited.is_empty() {
        reasons.push("areas at rest");
        violations.extend(audited);
    }
    let told = checked.calls.acked as u64;
    if told != totals.acked {
        reasons.push("history incomplete");
        let text =
            format!("the callers' areas count {} acknowledged calls, their history {told}", totals.acked);
        violations.push(json!({ "kind": "history_incomplete", "text": text }));
    }
    Ok(Summary {
        verdict: if reasons.is_empty() {
            "clean".to_owned()
        } else {
            format!("not clean: {}", reasons.join(", "))
        },
        cluster: options.file.name.clone(),
        seed: options.seed,
        elapsed_ms: u64::try_from(settled.elapsed.as_millis()).unwrap_or(u64::MAX),
        calls: Calls { acked: totals.acked, failed: totals.failed, unknown: totals.unknown },
        effects: totals.effects(),
        undone: totals.undone(),
        suppressed: settled.suppressed,
        lost,
        doubled,
        takeovers: settled.gathered.takeovers(),
        transactions: settled.transactions,
        unfired: settled.gathered.unfired(),
        defects: settled.gathered.defects,
        latency_us: latency(&history),
        violations,
    })
}

/// The counts at rest, and the worst that was seen while it ran.
fn count_against(settled: &Settled, violations: &mut Vec<Value>) -> (u64, u64) {
    let (mut lost, mut doubled) = (0, 0);
    for account in settled.totals.accounts() {
        let Account { target, acked, effects, .. } = &account;
        // Aliases that are judged together were so while it ran, too, and have one verdict.
        let seen =
            target.split('|').find_map(|alias| settled.live.aliases.get(alias)).cloned().unwrap_or_default();
        let (of_lost, of_doubled) = (account.lost.max(seen.lost), account.doubled.max(seen.doubled));
        if of_lost > 0 || of_doubled > 0 {
            let text = format!(
                "{target}: {acked} calls acknowledged, {effects} effects: {of_lost} lost, {of_doubled} doubled"
            );
            violations.push(json!({ "kind": "count", "target": target, "text": text }));
        }
        lost += of_lost;
        doubled += of_doubled;
    }
    (lost, doubled)
}

/// How long calls took from their first asking to their outcome. Of a call that stands there twice, the first line.
fn latency(history: &History) -> Latency {
    let mut seen = std::collections::BTreeSet::new();
    let lines = history.lines.iter().map(|(_, line)| line);
    let fresh = lines.filter(|line| line.id.as_ref().is_none_or(|id| seen.insert(id.clone())));
    Latency::of(
        fresh.filter_map(|line| Some(line.return_ns?.saturating_sub(line.invoke_ns) / 1000)).collect(),
    )
}

/// Requests recognised as redundantly sent, over all runs of all processes: each run counts from 0.
#[derive(Debug, Default)]
pub(super) struct Redundant {
    /// By process and alias: what its former runs counted, and what this one has so far.
    counts: BTreeMap<(String, String), (u64, u64)>,
}

impl Redundant {
    pub(super) fn take(&mut self, events: &[Event]) {
        for event in events {
            let What::Stats(stats) = &event.what else { continue };
            for alias in &stats.aliases {
                let key = (event.process.clone(), alias.alias.clone());
                let (before, now) = self.counts.entry(key).or_default();
                if alias.redundant < *now {
                    *before += *now;
                }
                *now = alias.redundant;
            }
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.values().map(|(before, now)| before + now).sum()
    }
}

#[cfg(test)]
mod tests {
    use palib::control::{AliasStats, NodeStats};

    use super::*;

    #[test]
    fn redundant_requests_are_counted_over_all_runs_of_a_process() {
        let event = |redundant| Event {
            seq: 1,
            at_ns: 0,
            unix_ms: 0,
            process: "a-1".to_owned(),
            what: What::Stats(NodeStats {
                aliases: vec![AliasStats { alias: "a".to_owned(), redundant, ..AliasStats::default() }],
                ..NodeStats::default()
            }),
        };
        let mut counted = Redundant::default();
        counted.take(&[event(3), event(5), event(1), event(4)]);
        assert_eq!(counted.total(), 9);
    }
}
