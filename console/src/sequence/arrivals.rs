//! Which arrival belongs to which sending, and what is lost.

use std::collections::BTreeMap;

use palib::control::What;

use super::build::Seen;
use super::steps::Drawn;
use super::{Carries, call_of};

/// Puts arrivals to the sendings they belong to. One whose sending nobody told of becomes an arrow of its own.
pub(super) fn pair(seen: &mut Vec<Seen<'_>>) {
    // By the call, where it goes, and whether it is an answer.
    let mut open: BTreeMap<(String, String, bool), Vec<usize>> = BTreeMap::new();
    let mut cancels: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut paired = vec![false; seen.len()];
    for at in 0..seen.len() {
        let at_ns = seen[at].event.at_ns;
        if let Some(cancelled) = cancelled(&seen[at].event.what) {
            let sent = cancels.remove(cancelled).unwrap_or_default();
            sent.into_iter().for_each(|sent| seen[sent].arrived_ns = Some(at_ns));
        }
        let call = call_of(&seen[at].event.what).unwrap_or_default().to_owned();
        match seen[at].draft.drawn.clone() {
            Drawn::Sent { carries: Carries::Cancel, .. } => {
                if let What::CancelSent { downstream, .. } = &seen[at].event.what {
                    cancels.entry(downstream.clone()).or_default().push(at);
                }
            }
            Drawn::Sent { to, carries, .. } => {
                open.entry((call, to, carries == Carries::Answer)).or_default().push(at);
            }
            Drawn::Arrived { from, to, carries } => {
                let is_answer = carries == Carries::Answer;
                let sent = open.get_mut(&(call, to.clone(), is_answer)).and_then(|sent| {
                    // A request came from whom it names; who answered is not told on arrival.
                    let place =
                        sent.iter().position(|place| is_answer || sender(&seen[*place]) == Some(&from));
                    place.map(|place| sent.remove(place))
                });
                if let Some(sent) = sent {
                    seen[sent].arrived_ns = Some(at_ns);
                    if is_answer {
                        seen[sent].draft.label = seen[at].draft.label.clone();
                    }
                    paired[at] = true;
                } else {
                    seen[at].arrived_ns = Some(at_ns);
                    seen[at].draft.drawn = Drawn::Sent { from, to, carries };
                }
            }
            Drawn::Mark { .. } | Drawn::Across => {}
        }
    }
    let mut paired = paired.into_iter();
    seen.retain(|_| !paired.next().unwrap_or(false));
    find_lost(seen);
}

fn sender<'a>(seen: &'a Seen<'_>) -> Option<&'a String> {
    match &seen.draft.drawn {
        Drawn::Sent { from, .. } => Some(from),
        _ => None,
    }
}

/// The call whose cancellation had arrived by this event.
fn cancelled(what: &What) -> Option<&str> {
    match what {
        What::Cancelled { call, .. } | What::Undoing { call, .. } => Some(call),
        What::CancelConfirmed { downstream, .. } => Some(downstream),
        _ => None,
    }
}

/// A message is lost if nobody told that it arrived, and nothing that came after shows it: of a request, that its
/// receiver did something with the call; of an answer, that the call was not asked for again.
fn find_lost(seen: &mut [Seen<'_>]) {
    for at in 0..seen.len() {
        let Drawn::Sent { to, carries, .. } = &seen[at].draft.drawn else { continue };
        if seen[at].arrived_ns.is_some() {
            continue;
        }
        let call = call_of(&seen[at].event.what);
        let mut later = seen[at + 1..].iter().filter(|later| call_of(&later.event.what) == call);
        let lost = if *carries == Carries::Answer {
            later.any(|later| matches!(later.event.what, What::Resent { .. }))
        } else {
            !later.any(|later| match &later.draft.drawn {
                Drawn::Sent { from, .. } => from == to,
                Drawn::Mark { process, .. } => process == to,
                Drawn::Arrived { .. } | Drawn::Across => false,
            })
        };
        seen[at].lost = lost;
    }
}
