//! Events in words, for the log, the list of last events and the lifeline of a call.

use palib::control::{TakeoverTiming, What};

/// What a line means; a theme gives it a glyph and a colour, and the words stand beside both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// In service, done, clean.
    Good,
    /// Waiting to take over.
    Standby,
    /// Degraded, hung, in doubt.
    Warn,
    /// Dead, refused, lost.
    Bad,
    /// Done by the operator, or by a defect that was asked for.
    Injected,
    /// Over.
    Past,
    /// Nothing special.
    Plain,
}

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What it means.
    pub tone: Tone,
    /// Its kind, one word.
    pub kind: &'static str,
    /// Whom or what it is about: a process, an alias, a call.
    pub subject: String,
    /// The rest of the sentence.
    pub text: String,
}

/// Puts an event into words. `process` is where it happened.
#[must_use]
pub fn describe(process: &str, what: &What) -> Words {
    life(what)
        .or_else(|| service(what))
        .or_else(|| call(what))
        .or_else(|| relay(what))
        .or_else(|| rollback(what))
        .or_else(|| step(what))
        .unwrap_or_else(|| other(process, what))
}

fn words(tone: Tone, kind: &'static str, subject: &str, text: impl Into<String>) -> Option<Words> {
    Some(Words { tone, kind, subject: subject.to_owned(), text: text.into() })
}

fn life(what: &What) -> Option<Words> {
    match what {
        What::FtmStarted { pid, cluster, adopted, starts, .. } => {
            let again = if *starts > 1 { format!(", start {starts}") } else { String::new() };
            let found = if *adopted > 0 { format!(", {adopted} found alive") } else { String::new() };
            words(Tone::Plain, "ftm", "ftm", format!("manages {cluster}, pid {pid}{again}{found}"))
        }
        What::Spawned { name, pid, .. } => words(Tone::Standby, "start", name, format!("started, pid {pid}")),
        What::Adopted { name, pid } => words(Tone::Standby, "start", name, format!("found alive, pid {pid}")),
        What::Joined { name } => words(Tone::Standby, "join", name, "joined"),
        What::Exited { name, pid, how, ordered } => {
            let by = if *ordered { ", as ordered" } else { "" };
            words(Tone::Bad, "death", name, format!("gone: {how}, pid {pid}{by}"))
        }
        What::Hung { name, silent_ms } => {
            words(Tone::Warn, "hang", name, format!("hung: silent for {silent_ms} ms"))
        }
        What::Paused { name, point, id } => {
            words(Tone::Injected, "pause", name, format!("waits at {point} ({id}) until it is let go on"))
        }
        What::Heard { name } => words(Tone::Good, "hang", name, "heard again in time"),
        What::Stopping { by } => words(Tone::Warn, "stop", "cluster", format!("is being stopped by {by}")),
        _ => None,
    }
}

fn service(what: &What) -> Option<Words> {
    match what {
        What::Alias { row } => {
            let now = match row.in_service() {
                Some(member) => {
                    format!("table: {} in service, incarnation {}", member.process, row.incarnation)
                }
                None => format!("table: nobody in service, incarnation {}", row.incarnation),
            };
            words(Tone::Past, "table", &row.alias, now)
        }
        What::AliasGone { alias } => words(Tone::Past, "table", alias, "exists no longer"),
        What::TakeoverStarted { alias, incarnation, from, to, cause } => {
            let from = from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
            let text = format!("{to} takes over{from}: {cause}; incarnation {incarnation}");
            words(Tone::Warn, "takeover", alias, text)
        }
        What::InService { alias, incarnation, member, timing } => {
            let parts = split(timing);
            let text = format!("{member} in service, incarnation {incarnation}{parts}");
            words(Tone::Good, "takeover", alias, text)
        }
        What::PromotionFailed { alias, member, reason } => {
            words(Tone::Bad, "takeover", alias, format!("{member} could not take over: {reason}"))
        }
        What::FirstReply { alias, timing, .. } => {
            let gap =
                timing.blackout_us.map_or_else(String::new, |us| format!(", blackout {}", duration_us(us)));
            words(Tone::Good, "takeover", alias, format!("first reply after the takeover{gap}"))
        }
        What::Outage { alias, reason } => {
            words(Tone::Bad, "outage", alias, format!("nobody serves: {reason}"))
        }
        What::Defect { id, spec } => words(Tone::Injected, "defect", id, format!("injected: {spec}")),
        What::Armed { id, spec } => words(Tone::Injected, "defect", id, format!("armed: {spec}")),
        What::Disarmed { id } => words(Tone::Injected, "defect", id, "disarmed"),
        What::Healed { id } => words(Tone::Injected, "defect", id, "over"),
        _ => None,
    }
}

fn call(what: &What) -> Option<Words> {
    match what {
        What::Resent { call, target, attempt, to } => {
            let member = if to.is_empty() { String::new() } else { format!(" at {to}") };
            let text = format!("sent to {target}{member} again, attempt {}", attempt + 1);
            words(Tone::Plain, "resend", call, text)
        }
        What::RedundancyFound { call, alias, process_type } => {
            words(Tone::Good, "redundant", call, format!("known to {alias}: {process_type}, not run again"))
        }
        What::Stale { call, alias } => {
            words(Tone::Warn, "stale", call, format!("refused by {alias}: a straggler"))
        }
        What::InDoubt { call, alias } => {
            words(Tone::Warn, "in doubt", call, format!("held by {alias} until an operator decides"))
        }
        What::Resolved { call, alias, how } => {
            words(Tone::Good, "in doubt", call, format!("decided at {alias}: {how}"))
        }
        _ => None,
    }
}

fn relay(what: &What) -> Option<Words> {
    match what {
        What::Relayed { call, position, downstream, target, .. } => {
            words(Tone::Plain, "relay", call, format!("{position}: calls {target}, {downstream}"))
        }
        What::RelayAnswered { call, position, target, replayed, failed, .. } => {
            let from = if *replayed { "the journal has the answer of" } else { "answered by" };
            let how = if *failed { ": an error" } else { "" };
            words(Tone::Plain, "relay", call, format!("{position}: {from} {target}{how}"))
        }
        What::RelayCompleted { call, alias, calls, failed } => {
            let how = if *failed { "with an error" } else { "with a reply" };
            words(Tone::Good, "relay", call, format!("completed by {alias} {how} after {calls} calls"))
        }
        What::RolledForward { call, alias, answered, resent } => {
            let text = format!("{alias} goes on with it: {answered} answers known, {resent} sent again");
            words(Tone::Good, "forward", call, text)
        }
        What::Substituted { call, position, old, old_target, new, new_target, cancel_old, .. } => {
            let fate = if *cancel_old { ", which is cancelled first" } else { "" };
            let text = format!("{position}: {new} to {new_target} instead of {old} to {old_target}{fate}");
            words(Tone::Warn, "substitute", call, text)
        }
        What::Diverged { call, position, journal, asked, .. } => {
            let text = format!("{position}: the journal has {journal}, this run asks for {asked}");
            words(Tone::Bad, "diverged", call, text)
        }
        _ => None,
    }
}

fn rollback(what: &What) -> Option<Words> {
    match what {
        What::RollingBack { call, alias, why } => {
            words(Tone::Warn, "roll back", call, format!("{alias} has it undone: {why}"))
        }
        What::RolledBack { call, alias, then } => {
            words(Tone::Good, "roll back", call, format!("undone at {alias}: {then}"))
        }
        What::CancelSent { call, position, downstream, target, .. } => {
            words(Tone::Plain, "cancel", call, format!("{position}: asks {target} to cancel {downstream}"))
        }
        What::CancelConfirmed { call, position, downstream, target, .. } => {
            words(Tone::Plain, "cancel", call, format!("{position}: {target} has cancelled {downstream}"))
        }
        What::Cancelled { call, alias, undone } => {
            let how = if *undone { "undone" } else { "before it had an effect" };
            words(Tone::Warn, "cancel", call, format!("cancelled at {alias}: {how}; refused from now on"))
        }
        What::Undoing { call, alias, interrupted } => {
            let again = if *interrupted { ", as a death interrupted that" } else { "" };
            words(Tone::Plain, "undo", call, format!("{alias} undoes it{again}"))
        }
        What::Stuck { call, why, .. } => words(Tone::Bad, "stuck", call, format!("needs you: {why}")),
        _ => None,
    }
}

/// The ordinary steps of a call.
fn step(what: &What) -> Option<Words> {
    let from_alias = |process: &str, alias: &str| {
        if process.is_empty() { alias.to_owned() } else { format!("{alias} at {process}") }
    };
    let (kind, call, text) = match what {
        What::Asked { call, target, to, outbox } => {
            let outbox = if *outbox { ", in the outbox before" } else { "" };
            ("send", call, format!("sent to {}{outbox}", from_alias(to, target)))
        }
        What::Received { call, alias, from, attempt } => {
            let again = if *attempt > 0 { format!(", attempt {}", attempt + 1) } else { String::new() };
            ("receive", call, format!("came to {alias} from {from}{again}"))
        }
        What::Executing { call, alias } => ("execute", call, format!("given to the service of {alias}")),
        What::Stable { call, alias, what } => ("stable", call, format!("{what} durable at {alias}")),
        What::Answered { call, alias, to, redundant } => {
            let how = if *redundant { "from the table" } else { "after execution" };
            ("answer", call, format!("answered by {alias} to {to}, {how}"))
        }
        What::Call { call, target, us } => {
            ("call", call, format!("answered by {target} in {}", duration_us(*us)))
        }
        _ => return None,
    };
    words(Tone::Past, kind, call, text)
}

fn other(process: &str, what: &What) -> Words {
    match what {
        What::Refused { peer, reason } => {
            let text = format!("turned away by {process}: {reason}");
            Words { tone: Tone::Bad, kind: "refused", subject: peer.clone(), text }
        }
        What::Log { level, text } => {
            let (tone, kind) = match level.as_str() {
                "error" => (Tone::Bad, "error"),
                "warn" => (Tone::Warn, "warn"),
                _ => (Tone::Past, "info"),
            };
            Words { tone, kind, subject: process.to_owned(), text: text.clone() }
        }
        _ => {
            let text = "measured itself".to_owned();
            Words { tone: Tone::Past, kind: "stats", subject: process.to_owned(), text }
        }
    }
}

/// The parts of a takeover that were measured, as `: detect 0.8 ms, fence 1.1 ms, …`.
fn split(timing: &TakeoverTiming) -> String {
    let parts = [
        ("detect", timing.detect_us),
        ("fence", timing.fence_us),
        ("open", timing.open_us),
        ("recover", timing.recover_us),
        ("mark", timing.mark_us),
    ];
    let known: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, us)| us.map(|us| format!("{name} {}", duration_us(us))))
        .collect();
    if known.is_empty() { String::new() } else { format!(": {}", known.join(", ")) }
}

/// A duration in three digits and a unit.
#[must_use]
pub fn duration_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => format!("{:.0} s", us as f64 / 1e6),
    }
}

/// A moment on the cluster's own clock: minutes, seconds and hundredths since `zero_unix_ms`.
#[must_use]
pub fn clock(unix_ms: u64, zero_unix_ms: u64) -> String {
    let (sign, ms) = match unix_ms.checked_sub(zero_unix_ms) {
        Some(ms) => ("", ms),
        None => ("-", zero_unix_ms - unix_ms),
    };
    let (seconds, hundredths) = (ms / 1000, ms % 1000 / 10);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{sign}{minutes:02}:{seconds:02}.{hundredths:02}"),
        1..100 => format!("{sign}{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{sign}{}d{:02}:{minutes:02}", hours / 24, hours % 24),
    }
}
