//! The world as the operator sees it: folded from events, and from nothing else.
//!
//! [`World::apply`] is the whole of it. It knows no terminal and no network, so the same fold stands behind the
//! screens, behind `palib run`'s verdict, and behind a look into the past ([`History`]).

mod deeds;
mod defects;
mod facts;
mod gauges;
mod history;
mod load;
mod turns;
mod verdict;
mod words;

#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use palib::control::{AliasRow, Event, MemberState, NodeStats, TakeoverTiming, What};

pub use deeds::{Deeds, Way};
pub use defects::{DefectState, DefectView};
pub use gauges::{Gauges, Latencies, Second};
pub use history::{History, Moment};
pub use load::{Edge, Role};
pub use turns::Turns;
pub(crate) use verdict::groups;
pub use verdict::{AliasVerdict, Verdict};
pub use words::{Tone, Words, clock, describe, duration_us};

use gauges::{Series, Times};
use load::Load;
use verdict::Ledger;

/// Entries kept in each of the lists of defects and takeovers: a storm of days must not grow the console.
const LIST_MAX: usize = 1024;
/// Calls in doubt kept by name; the count stays right beyond it.
const IN_DOUBT_MAX: usize = 4096;

/// Everything that is known now, or was known at a moment of the past.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The cluster's name.
    pub cluster: Option<String>,
    /// The FTM as it last introduced itself.
    pub ftm: Option<FtmView>,
    /// Unix time of the first thing known, in milliseconds: the zero of every time on the screens.
    pub zero_unix_ms: u64,
    /// Unix time of the last thing that was not a mere measurement, in milliseconds.
    pub last_unix_ms: u64,
    /// The number of the last event.
    pub last_seq: u64,
    /// Events applied that were not mere measurements.
    pub events: u64,
    /// Events that never arrived: the numbers had a gap.
    pub missed: u64,
    /// The port alias table.
    pub aliases: BTreeMap<String, AliasRow>,
    /// The processes by name.
    pub processes: BTreeMap<String, ProcessView>,
    /// The ledger of injected defects, oldest first.
    pub defects: VecDeque<DefectView>,
    /// The takeovers, oldest first; first starts are none.
    pub takeovers: VecDeque<TakeoverView>,
    /// The calls in doubt and the alias each was sent to.
    pub in_doubt: BTreeMap<String, String>,
    /// What became of transactions of relays, by their alias.
    pub turns: BTreeMap<String, Turns>,
    /// Who stops the cluster, once somebody does.
    pub stopping: Option<String>,
    load: Load,
    series: Series,
    times: Times,
    ledger: Ledger,
}

/// The FTM as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FtmView {
    /// Its process id.
    pub pid: u32,
    /// How often an FTM has started on this state.
    pub starts: u64,
    /// When it started, in milliseconds of Unix time.
    pub since_unix_ms: u64,
}

/// What is known of a process whether or not it is in the port alias table now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessView {
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// The number of this run.
    pub process_id: u32,
    /// How it is.
    pub life: Life,
    /// Since when, in milliseconds of Unix time.
    pub since_unix_ms: u64,
    /// Why, in words.
    pub why: String,
    /// How often it was seen to start.
    pub starts: u32,
    /// What it measured last.
    pub stats: NodeStats,
    /// What is seen from one measurement to the next.
    pub gauges: Gauges,
}

/// How a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// Started, not joined yet.
    #[default]
    Starting,
    /// Joined, and heard.
    Up,
    /// It missed its heartbeats.
    Hung,
    /// It waits at a defect point.
    Paused,
    /// Gone.
    Dead,
}

/// A takeover from its beginning to its first answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeoverView {
    /// The alias.
    pub alias: String,
    /// The incarnation it began.
    pub incarnation: u64,
    /// The member that was in service, if there was one.
    pub from: Option<String>,
    /// The member that took over, or is about to.
    pub to: String,
    /// Why.
    pub cause: String,
    /// When it began, in milliseconds of Unix time.
    pub at_unix_ms: u64,
    /// Whether the mark of service has moved.
    pub in_service: bool,
    /// Whether the first answer has left the new active.
    pub answered: bool,
    /// What was measured.
    pub timing: TakeoverTiming,
}

impl World {
    /// Folds one event into the world.
    pub fn apply(&mut self, event: &Event) {
        if self.last_seq != 0 && event.seq > self.last_seq + 1 {
            self.missed += event.seq - self.last_seq - 1;
        }
        self.last_seq = self.last_seq.max(event.seq);
        if self.zero_unix_ms == 0 {
            self.zero_unix_ms = event.unix_ms;
        }
        if is_measurement(&event.what) {
            self.apply_measurement(event);
            self.apply_deeds(event);
            return;
        }
        self.events += 1;
        self.last_unix_ms = self.last_unix_ms.max(event.unix_ms);
        self.apply_process(event);
        self.apply_alias(event);
        self.apply_call(event);
        turns::apply(&mut self.turns, &event.what);
        self.apply_deeds(event);
    }

    /// Takes over rows the FTM told on request. For the start only: events that are not kept any more cannot tell
    /// of an alias that has not changed since.
    pub fn seed(&mut self, rows: Vec<AliasRow>) {
        for row in rows {
            self.set_alias(row);
        }
    }

    /// Lost and doubled calls, and what they are reckoned from.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.ledger.verdict()
    }

    /// Who calls whom, how often per second.
    #[must_use]
    pub fn edges(&self) -> Vec<Edge> {
        self.load.edges()
    }

    /// Calls per second that an alias takes (servers) or makes (clients), over the last two seconds.
    #[must_use]
    pub fn calls_per_s(&self, alias: &str) -> f64 {
        self.load.rate(alias)
    }

    /// The seconds in which calls were answered to callers, oldest first; those in which none was are left out.
    pub fn answered(&self) -> impl DoubleEndedIterator<Item = Second> + '_ {
        self.series.seconds()
    }

    /// How long calls took as their callers saw it: while no defect had an effect, and while one had.
    #[must_use]
    pub fn latencies(&self) -> (&Latencies, &Latencies) {
        (&self.times.calm, &self.times.stirred)
    }

    /// The part an alias plays: by its kind, or else by what it was seen doing.
    #[must_use]
    pub fn role(&self, alias: &str) -> Role {
        self.load.role(alias, self.aliases.get(alias).map_or("", |row| row.kind.as_str()))
    }

    /// How many processes are up, and how many there should be.
    #[must_use]
    pub fn up(&self) -> (usize, usize) {
        let up = self.processes.values().filter(|process| process.life == Life::Up).count();
        (up, self.processes.len())
    }

    /// Defects that last: armed or active ones.
    pub fn active_defects(&self) -> impl Iterator<Item = &DefectView> {
        self.defects.iter().filter(|defect| defect.lasts())
    }

    /// The defect point at which a process waits, if it does.
    #[must_use]
    pub fn waits_at(&self, process: &str) -> Option<&str> {
        self.defects.iter().filter_map(DefectView::waiting).find(|(who, _)| *who == process).map(|(_, at)| at)
    }

    /// The newest takeover of an alias.
    #[must_use]
    pub fn last_takeover(&self, alias: &str) -> Option<&TakeoverView> {
        self.takeovers.iter().rev().find(|takeover| takeover.alias == alias)
    }

    /// The aliases a process is a member of, as `(alias, whether it is in service there)`.
    #[must_use]
    pub fn memberships(&self, process: &str) -> Vec<(&str, bool)> {
        let rows = self.aliases.values();
        rows.filter_map(|row| {
            let member = row.members.iter().find(|member| member.process == process)?;
            Some((row.alias.as_str(), member.in_service))
        })
        .collect()
    }

    fn apply_measurement(&mut self, event: &Event) {
        match &event.what {
            What::Stats(stats) => {
                self.load.measured(&event.process, stats);
                self.ledger.measured(&event.process, stats, &self.aliases);
                self.series.measured(stats);
                let stirred = self.is_stirred(stats.at_ns);
                self.times.measured(&event.process, stats, stirred);
                let process = self.process(&event.process);
                process.gauges.measured(stats);
                process.stats = stats.clone();
            }
            What::Asked { call, target, .. } | What::Call { call, target, .. } => {
                self.load.seen_calling(call, target);
            }
            _ => {}
        }
    }

    fn apply_process(&mut self, event: &Event) {
        let at = event.unix_ms;
        match &event.what {
            What::FtmStarted { pid, cluster, starts, processes, .. } => {
                self.processes.retain(|name, _| processes.contains(name));
                self.cluster = Some(cluster.clone());
                self.ftm = Some(FtmView { pid: *pid, starts: *starts, since_unix_ms: at });
                self.stopping = None;
            }
            What::Spawned { name, process_id, pid } => {
                let process = self.process(name);
                process.set(Life::Starting, at, "started");
                process.pid = Some(*pid);
                process.process_id = *process_id;
                process.starts += 1;
            }
            What::Adopted { name, pid } => {
                let process = self.process(name);
                process.set(Life::Up, at, "found alive by a new FTM");
                process.pid = Some(*pid);
            }
            What::Joined { name } => self.process(name).set(Life::Up, at, "joined"),
            What::Exited { name, how, .. } => {
                let process = self.process(name);
                process.set(Life::Dead, at, how);
                process.pid = None;
                defects::heal_hangs_of(&mut self.defects, name, at);
            }
            What::Hung { name, silent_ms } => {
                let why = format!("silent for {silent_ms} ms");
                self.process(name).set(Life::Hung, at, &why);
            }
            What::Heard { name } => self.process(name).set(Life::Up, at, "heard again"),
            What::Paused { name, point, id } => {
                self.process(name).set(Life::Paused, at, &format!("paused at {point} ({id})"));
                self.apply_defect(at, &event.what);
            }
            What::Stopping { by } => self.stopping = Some(by.clone()),
            what => self.apply_defect(at, what),
        }
    }

    fn apply_defect(&mut self, at_unix_ms: u64, what: &What) {
        if let Some(process) = defects::apply(&mut self.defects, at_unix_ms, what)
            && self.process(&process).life == Life::Paused
        {
            self.process(&process).set(Life::Up, at_unix_ms, "goes on");
        }
    }

    fn apply_alias(&mut self, event: &Event) {
        match &event.what {
            What::Alias { row } => self.set_alias(row.clone()),
            What::AliasGone { alias } => {
                self.aliases.remove(alias);
                self.in_doubt.retain(|_, target| target != alias);
                self.load.gone(alias);
            }
            What::TakeoverStarted { alias, incarnation, from, to, cause } => {
                if cause == "first start" {
                    return;
                }
                push_bounded(
                    &mut self.takeovers,
                    TakeoverView {
                        alias: alias.clone(),
                        incarnation: *incarnation,
                        from: from.clone(),
                        to: to.clone(),
                        cause: cause.clone(),
                        at_unix_ms: event.unix_ms,
                        in_service: false,
                        answered: false,
                        timing: TakeoverTiming::default(),
                    },
                );
            }
            What::InService { alias, incarnation, member, timing } => {
                if let Some(takeover) = self.takeover(alias, *incarnation) {
                    takeover.in_service = true;
                    takeover.to = member.clone();
                    takeover.timing.learn(timing);
                }
            }
            What::FirstReply { alias, incarnation, timing, .. } => {
                if let Some(takeover) = self.takeover(alias, *incarnation) {
                    takeover.answered = true;
                    takeover.timing.learn(timing);
                }
            }
            _ => {}
        }
    }

    fn apply_call(&mut self, event: &Event) {
        match &event.what {
            What::InDoubt { call, alias } if self.in_doubt.len() < IN_DOUBT_MAX => {
                self.in_doubt.insert(call.clone(), alias.clone());
            }
            What::Resolved { call, .. } => {
                self.in_doubt.remove(call);
            }
            What::Resent { call, target, .. } => self.load.seen_calling(call, target),
            What::RedundancyFound { call, alias, .. } => self.load.seen_calling(call, alias),
            What::Relayed { downstream, target, .. } => self.load.seen_calling(downstream, target),
            _ => {}
        }
    }

    fn set_alias(&mut self, row: AliasRow) {
        for member in &row.members {
            let process = self.processes.entry(member.process.clone()).or_default();
            process.process_id = process.process_id.max(member.process_id);
            // A process the events have not told of yet (a seeded row): the row is all there is to know it by.
            if process.since_unix_ms == 0 {
                process.set(life_of(member.state), member.since_unix_ms, &member.why);
                process.pid = member.pid;
            }
        }
        self.aliases.insert(row.alias.clone(), row);
    }

    fn process(&mut self, name: &str) -> &mut ProcessView {
        if !self.processes.contains_key(name) {
            self.processes.insert(name.to_owned(), ProcessView::default());
        }
        self.processes.get_mut(name).expect("it was inserted just now")
    }

    fn takeover(&mut self, alias: &str, incarnation: u64) -> Option<&mut TakeoverView> {
        let newest_first = self.takeovers.iter_mut().rev();
        newest_first
            .into_iter()
            .find(|takeover| takeover.alias == alias && takeover.incarnation == incarnation)
    }
}

impl ProcessView {
    fn set(&mut self, life: Life, since_unix_ms: u64, why: &str) {
        self.life = life;
        self.since_unix_ms = since_unix_ms;
        why.clone_into(&mut self.why);
    }
}

/// Whether an event is one of the many that only measure or sample: they are not counted or listed, and only the
/// sequence chart shows them.
#[must_use]
pub fn is_measurement(what: &What) -> bool {
    matches!(what, What::Stats(_)) || is_step(what)
}

/// Whether an event is an ordinary step of a sampled call.
#[must_use]
pub fn is_step(what: &What) -> bool {
    matches!(
        what,
        What::Asked { .. }
            | What::Received { .. }
            | What::Executing { .. }
            | What::Stable { .. }
            | What::Answered { .. }
            | What::Call { .. }
            | What::Relayed { .. }
            | What::RelayAnswered { .. }
            | What::RelayCompleted { .. }
    )
}

fn life_of(state: MemberState) -> Life {
    match state {
        MemberState::Starting => Life::Starting,
        MemberState::Promoting | MemberState::InService | MemberState::Backup => Life::Up,
        MemberState::Hung => Life::Hung,
        MemberState::Dead => Life::Dead,
    }
}

fn push_bounded<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == LIST_MAX {
        list.pop_front();
    }
    list.push_back(item);
}
