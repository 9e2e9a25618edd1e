//! Events as steps of a chart, by the names of processes.

use palib::control::{Event, What};

use super::stand::Standing;
use super::{Carries, Sign, short};
use crate::world::{Tone, duration_us};

/// A step before the lanes are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) tone: Tone,
    pub(super) label: String,
    pub(super) drawn: Drawn,
}

/// How a step is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// A message leaves.
    Sent { from: String, to: String, carries: Carries },
    /// A message arrives, which should have been told of when it left.
    Arrived { from: String, to: String, carries: Carries },
    /// Something in one process.
    Mark { process: String, sign: Sign },
    /// Something that concerns no process, or all.
    Across,
}

/// The steps an event is drawn as; most are one.
pub(super) fn drafts(event: &Event, standing: &Standing) -> Vec<Draft> {
    message(event, standing)
        .or_else(|| of_call(event))
        .or_else(|| relay(event, standing).map(|draft| vec![draft]))
        .or_else(|| life(event, standing).map(|draft| vec![draft]))
        .unwrap_or_default()
}

fn draft(tone: Tone, label: impl Into<String>, drawn: Drawn) -> Draft {
    Draft { tone, label: label.into(), drawn }
}

fn mark(process: &str, sign: Sign, tone: Tone, label: impl Into<String>) -> Draft {
    draft(tone, label, Drawn::Mark { process: process.to_owned(), sign })
}

/// The member of an alias that a message goes to, where the event does not tell.
fn member(standing: &Standing, alias: &str, told: &str) -> String {
    if told.is_empty() {
        standing.serving(alias).cloned().unwrap_or_else(|| alias.to_owned())
    } else {
        told.to_owned()
    }
}

fn message(event: &Event, standing: &Standing) -> Option<Vec<Draft>> {
    let here = event.process.clone();
    let one = match &event.what {
        What::Asked { call, target, to, outbox } => {
            let mut drafts = Vec::new();
            if *outbox {
                drafts.push(mark(&here, Sign::Stable, Tone::Standby, format!("{} in outbox", short(call))));
            }
            let to = member(standing, target, to);
            let drawn = Drawn::Sent { from: here, to, carries: Carries::Request };
            drafts.push(draft(Tone::Plain, format!("{} {target}", short(call)), drawn));
            return Some(drafts);
        }
        What::Resent { call, target, attempt, to } => {
            let to = member(standing, target, to);
            let drawn = Drawn::Sent { from: here, to, carries: Carries::Again };
            draft(Tone::Warn, format!("{} again, try {}", short(call), attempt + 1), drawn)
        }
        What::Received { call, from, attempt, .. } => {
            let carries = if *attempt > 0 { Carries::Again } else { Carries::Request };
            draft(Tone::Plain, short(call), Drawn::Arrived { from: from.clone(), to: here, carries })
        }
        What::Answered { call, to, redundant, .. } => {
            let label = if *redundant { "reply, from table" } else { "reply" };
            let drawn = Drawn::Sent { from: here, to: to.clone(), carries: Carries::Answer };
            draft(Tone::Good, format!("{} {label}", short(call)), drawn)
        }
        What::Call { call, target, us } => {
            let from = member(standing, target, "");
            let label = format!("{} reply, {}", short(call), duration_us(*us));
            draft(Tone::Good, label, Drawn::Arrived { from, to: here, carries: Carries::Answer })
        }
        _ => return None,
    };
    Some(vec![one])
}

fn of_call(event: &Event) -> Option<Vec<Draft>> {
    let here = &event.process;
    let one = match &event.what {
        What::Executing { call, .. } => mark(here, Sign::Note, Tone::Plain, format!("{} runs", short(call))),
        What::Stable { call, what, .. } => {
            mark(here, Sign::Stable, Tone::Standby, format!("{} {what}", short(call)))
        }
        What::RedundancyFound { call, process_type, .. } => {
            mark(here, Sign::Found, Tone::Good, format!("{} known: {process_type}", short(call)))
        }
        What::Stale { call, .. } => {
            mark(here, Sign::Found, Tone::Warn, format!("{} refused: stale", short(call)))
        }
        What::InDoubt { call, .. } => mark(here, Sign::Doubt, Tone::Bad, format!("{} in doubt", short(call))),
        What::Resolved { call, how, .. } => {
            mark(here, Sign::Found, Tone::Good, format!("{} {how}", short(call)))
        }
        _ => return None,
    };
    Some(vec![one])
}

/// What a relay does on behalf of a call, forwards and backwards.
fn relay(event: &Event, standing: &Standing) -> Option<Draft> {
    let here = &event.process;
    Some(match &event.what {
        What::Relayed { call, downstream, target, .. } => {
            let label = format!("{} > {} {target}, in journal", short(call), short(downstream));
            mark(here, Sign::Stable, Tone::Standby, label)
        }
        What::RelayAnswered { downstream, replayed, failed, .. } => {
            let how = if *failed { "error" } else { "answer" };
            let from = if *replayed { ", from journal" } else { "" };
            let tone = if *failed { Tone::Warn } else { Tone::Plain };
            mark(here, Sign::Note, tone, format!("{} {how}{from}", short(downstream)))
        }
        What::RelayCompleted { call, failed, .. } => {
            let how = if *failed { "error" } else { "reply" };
            mark(here, Sign::Stable, Tone::Good, format!("{} completed: {how}", short(call)))
        }
        What::RolledForward { call, resent, .. } => {
            mark(here, Sign::Found, Tone::Good, format!("{} rolled forward, {resent} again", short(call)))
        }
        What::Substituted { old, new, new_target, .. } => {
            let label = format!("{} {new_target} instead of {}", short(new), short(old));
            mark(here, Sign::Found, Tone::Warn, label)
        }
        What::RollingBack { call, why, .. } => {
            mark(here, Sign::Found, Tone::Warn, format!("{} rolls back: {why}", short(call)))
        }
        What::RolledBack { call, then, .. } => {
            mark(here, Sign::Stable, Tone::Good, format!("{} rolled back: {then}", short(call)))
        }
        What::CancelSent { downstream, target, .. } => {
            let to = member(standing, target, "");
            let drawn = Drawn::Sent { from: here.clone(), to, carries: Carries::Cancel };
            draft(Tone::Warn, format!("cancel {}", short(downstream)), drawn)
        }
        What::CancelConfirmed { downstream, target, .. } => {
            let from = member(standing, target, "");
            let drawn = Drawn::Arrived { from, to: here.clone(), carries: Carries::Answer };
            draft(Tone::Good, format!("{} cancelled", short(downstream)), drawn)
        }
        What::Cancelled { call, undone, .. } => {
            let how = if *undone { "undone" } else { "never happened" };
            mark(here, Sign::Stable, Tone::Warn, format!("{} {how}, tombstone", short(call)))
        }
        What::Undoing { call, .. } => mark(here, Sign::Note, Tone::Warn, format!("{} undo", short(call))),
        What::Diverged { call, .. } => {
            mark(here, Sign::Doubt, Tone::Bad, format!("{} diverged", short(call)))
        }
        What::Stuck { call, why, .. } => {
            mark(here, Sign::Doubt, Tone::Bad, format!("{} stuck: {why}", short(call)))
        }
        _ => return None,
    })
}

fn life(event: &Event, standing: &Standing) -> Option<Draft> {
    Some(match &event.what {
        What::Spawned { name, pid, .. } => {
            mark(name, Sign::Start, Tone::Standby, format!("started, pid {pid}"))
        }
        What::Adopted { name, .. } => mark(name, Sign::Start, Tone::Standby, "found alive"),
        What::Exited { name, how, .. } => mark(name, Sign::Death, Tone::Bad, how.clone()),
        What::Hung { name, silent_ms } => {
            mark(name, Sign::Hang, Tone::Warn, format!("silent {silent_ms} ms"))
        }
        What::Heard { name } => mark(name, Sign::Start, Tone::Good, "heard again"),
        What::TakeoverStarted { alias, incarnation, to, cause, .. } => {
            if cause == "first start" {
                return None;
            }
            let label = format!("takes over {alias}, i{incarnation}");
            mark(to, Sign::Takeover, Tone::Warn, label)
        }
        What::InService { alias, incarnation, member, .. } => {
            mark(member, Sign::Service, Tone::Good, format!("serves {alias}, i{incarnation}"))
        }
        What::PromotionFailed { alias, member, .. } => {
            mark(member, Sign::Death, Tone::Bad, format!("can't take over {alias}"))
        }
        What::Outage { alias, .. } => {
            draft(Tone::Bad, format!("nobody is left to serve {alias}"), Drawn::Across)
        }
        What::Defect { id, spec } => injected(standing, id, spec),
        What::Armed { id, spec } => draft(Tone::Injected, format!("{id} armed: {spec}"), Drawn::Across),
        What::Disarmed { id } => draft(Tone::Injected, format!("{id} disarmed"), Drawn::Across),
        What::Paused { name, point, id } => {
            mark(name, Sign::Injected, Tone::Injected, format!("{id} waits at {point}"))
        }
        What::Healed { id } => draft(Tone::Injected, format!("{id} is over"), Drawn::Across),
        _ => return None,
    })
}

/// A defect, on the lane of the process it hits if it names one.
fn injected(standing: &Standing, id: &str, spec: &str) -> Draft {
    let mut words = spec.split_whitespace();
    let names_process = matches!(words.next(), Some("kill" | "hang" | "exit"));
    let label = format!("{id} {spec}");
    match words.next().filter(|_| names_process) {
        Some(target) => {
            // Where in a process a defect strikes comes after its name.
            let name = target.split('@').next().unwrap_or(target);
            mark(&standing.process(name), Sign::Injected, Tone::Injected, label)
        }
        None => draft(Tone::Injected, label, Drawn::Across),
    }
}
