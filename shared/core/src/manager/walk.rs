//! Random walks: a small world of processes around the manager, in which anything may die, hang, wake up or be lost
//! at any step, the FTM itself included. What must always hold is checked at each step.

use alloc::vec;

use proptest::prelude::*;

use super::*;

const ALIASES: u32 = 3;
const SEATS: u32 = 4;

/// A process as it really is, whatever the FTM believes.
#[derive(Clone, Debug, Default)]
struct Node {
    seat: u32,
    lives: bool,
    stopped: bool,
    joined: bool,
    /// Killed, but its death is not yet known to the FTM.
    unreported: bool,
    holds: BTreeMap<AliasId, Incarnation>,
    opening: BTreeMap<AliasId, Incarnation>,
}

#[derive(Clone, Debug, Default)]
struct Durable {
    aliases: BTreeMap<AliasId, AliasRecord>,
    counters: Counters,
    runs: BTreeMap<u32, (ProcessId, Vec<(AliasId, PortId)>)>,
    down: BTreeMap<u32, bool>,
    fences: BTreeMap<AliasId, Incarnation>,
}

#[derive(Debug)]
struct World {
    manager: Manager,
    now: Nanos,
    durable: Durable,
    nodes: BTreeMap<ProcessId, Node>,
    ports: BTreeSet<PortId>,
    /// The FTM dies when it has done so many effects more.
    dies_after: Option<u8>,
}

/// What chance does.
#[derive(Clone, Debug)]
enum Step {
    Pass(u8),
    Die(u8),
    Hang(u8),
    Pause(u8),
    Wake(u8),
    Report,
    Join(u8),
    Recover(u8, bool),
    FtmDies,
    /// After so many effects, each durable step and all that follows from it counted by itself.
    FtmDiesAfter(u8),
    End(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..8).prop_map(Step::Pass),
        2 => any::<u8>().prop_map(Step::Die),
        2 => any::<u8>().prop_map(Step::Hang),
        1 => any::<u8>().prop_map(Step::Pause),
        2 => any::<u8>().prop_map(Step::Wake),
        4 => Just(Step::Report),
        6 => any::<u8>().prop_map(Step::Join),
        6 => (any::<u8>(), prop::bool::weighted(0.9)).prop_map(|(node, fine)| Step::Recover(node, fine)),
        1 => Just(Step::FtmDies),
        2 => (1u8..12).prop_map(Step::FtmDiesAfter),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(seat, restart)| Step::End(seat, restart)),
    ]
}

/// Seat 0 is in all aliases, the others in two of them each: everything overlaps.
fn aliases_of(seat: u32) -> Vec<AliasId> {
    (0..ALIASES).filter(|alias| seat == 0 || !(alias + seat).is_multiple_of(ALIASES)).map(AliasId).collect()
}

impl World {
    fn new() -> Self {
        let durable = Durable::default();
        let now = Nanos(MS);
        let manager = Self::boot(&durable, &BTreeMap::new(), now);
        let mut world =
            Self { manager, now, durable, nodes: BTreeMap::new(), ports: BTreeSet::new(), dies_after: None };
        world.give(Input::Start);
        world
    }

    fn boot(durable: &Durable, nodes: &BTreeMap<ProcessId, Node>, now: Nanos) -> Manager {
        let scope = TransScope::Site;
        let alias = |id| AliasConfig {
            alias: AliasId(id),
            scope,
            preferred: Some(Seat(id)),
            record: durable.aliases.get(&AliasId(id)).copied().unwrap_or_default(),
        };
        let seat = |id: u32| SeatConfig {
            seat: Seat(id),
            aliases: aliases_of(id),
            down: durable.down.get(&id).copied().unwrap_or_default(),
            adopted: durable
                .runs
                .get(&id)
                .filter(|(process, _)| nodes.get(process).is_some_and(|node| node.lives))
                .cloned(),
        };
        let aliases: Vec<_> = (0..ALIASES).map(alias).collect();
        let seats: Vec<_> = (0..SEATS).map(seat).collect();
        Manager::new(Settings::default(), durable.counters, &aliases, &seats, now)
    }

    fn give(&mut self, input: Input) {
        let mut out = Vec::new();
        self.manager.handle(self.now, input, &mut out);
        self.run(out);
        if self.dies_after == Some(0) {
            self.dies_after = None;
            self.ftm_dies();
        } else {
            self.check();
        }
    }

    /// One thing more that the FTM does; false if it is dead.
    fn goes_on(&mut self) -> bool {
        match &mut self.dies_after {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        self.dies_after != Some(0)
    }

    fn ftm_dies(&mut self) {
        self.manager = Self::boot(&self.durable, &self.nodes, self.now);
        for node in self.nodes.values_mut() {
            node.joined = false;
            node.unreported &= node.lives;
        }
        self.give(Input::Start);
    }

    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if !self.goes_on() {
                return;
            }
            match effect {
                Effect::Persist { changes, then } => {
                    changes.into_iter().for_each(|change| self.persist(change));
                    self.run(then);
                }
                Effect::WriteFence { alias, incarnation, .. } => {
                    assert_eq!(self.durable.aliases[&alias].incarnation, incarnation);
                    let fence = self.durable.fences.entry(alias).or_default();
                    assert!(*fence <= incarnation);
                    *fence = incarnation;
                }
                Effect::Kill { process } => self.die(process),
                Effect::Promote { process, alias, incarnation, .. } => {
                    self.promote(process, alias, incarnation)
                }
                Effect::End { process } => {
                    if self.nodes.get(&process).is_some_and(|node| !node.stopped) {
                        self.die(process);
                    }
                }
                Effect::Spawn { seat, process } => self.spawn(seat, process),
                Effect::Push { .. } | Effect::Note(_) => {}
            }
        }
    }

    fn persist(&mut self, change: Change) {
        match change {
            Change::Alias { alias, record } => {
                let old = self.durable.aliases.insert(alias, record).unwrap_or_default();
                assert!(old.incarnation <= record.incarnation, "an incarnation never goes back");
            }
            Change::Counters(counters) => self.durable.counters = counters,
            Change::Run { seat, process } => {
                let run = self.manager.run(seat).expect("it is started now");
                let ports: Vec<_> = run.ports.iter().map(|(alias, port)| (*alias, *port)).collect();
                self.durable.runs.insert(seat.0, (process, ports));
            }
            Change::Down { seat, down } => {
                self.durable.down.insert(seat.0, down);
            }
        }
    }

    fn spawn(&mut self, seat: Seat, process: ProcessId) {
        for port in self.durable.runs[&seat.0].1.iter().map(|(_, port)| *port) {
            assert!(self.ports.insert(port), "a restarted process has new ports");
        }
        let node = Node { seat: seat.0, lives: true, ..Node::default() };
        assert!(self.nodes.insert(process, node).is_none(), "a process number is never given twice");
    }

    fn promote(&mut self, process: ProcessId, alias: AliasId, incarnation: Incarnation) {
        assert_eq!(self.durable.aliases[&alias].incarnation, incarnation, "durable before it is used");
        assert_eq!(self.durable.aliases[&alias].holder, Some(process));
        for (other, node) in &self.nodes {
            let has_it = node.holds.contains_key(&alias) || node.opening.contains_key(&alias);
            assert!(
                *other == process || !node.lives || !has_it,
                "the old active is known dead before a promotion"
            );
        }
        let node = self.nodes.get_mut(&process).expect("a real process");
        if node.lives && node.joined && node.holds.get(&alias) != Some(&incarnation) {
            node.opening.insert(alias, incarnation);
        }
    }

    fn die(&mut self, process: ProcessId) {
        if let Some(node) = self.nodes.get_mut(&process)
            && node.lives
        {
            node.lives = false;
            node.unreported = true;
        }
    }

    fn check(&self) {
        for (alias, rows) in self.manager.table().iter() {
            assert!(
                rows.members().iter().filter(|member| member.state == MemberState::InService).count() <= 1
            );
            let durable = self.durable.aliases.get(&alias).copied().unwrap_or_default();
            assert_eq!(rows.incarnation(), durable.incarnation, "nothing is told that is not durable");
            if let Some(member) = rows.in_service() {
                assert_eq!(self.nodes[&member.process].holds.get(&alias), Some(&durable.incarnation));
            }
        }
    }

    fn some(&self, choice: u8, fit: impl Fn(&Node) -> bool) -> Option<ProcessId> {
        let fit: Vec<_> =
            self.nodes.iter().filter(|(_, node)| node.lives && fit(node)).map(|(id, _)| *id).collect();
        (!fit.is_empty()).then(|| fit[usize::from(choice) % fit.len()])
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(ticks) => (0..ticks).for_each(|_| self.tick()),
            Step::Die(choice) => {
                if let Some(process) = self.some(choice, |_| true) {
                    self.die(process);
                }
            }
            Step::Hang(choice) => {
                if let Some(process) = self.some(choice, |node| !node.stopped) {
                    self.nodes.get_mut(&process).unwrap().stopped = true;
                }
            }
            Step::Pause(choice) => {
                if let Some(process) = self.some(choice, |node| !node.stopped) {
                    self.nodes.get_mut(&process).unwrap().stopped = true;
                    self.give(Input::Paused { process });
                }
            }
            Step::Wake(choice) => {
                if let Some(process) = self.some(choice, |node| node.stopped) {
                    self.wake(process);
                }
            }
            Step::Report => self.report(),
            Step::Join(choice) => {
                if let Some(process) = self.some(choice, |node| !node.stopped && !node.joined) {
                    self.join(process);
                }
            }
            Step::Recover(choice, fine) => {
                if let Some(process) = self.some(choice, |node| !node.stopped && !node.opening.is_empty()) {
                    self.recover(process, fine);
                }
            }
            Step::FtmDies => self.ftm_dies(),
            Step::FtmDiesAfter(effects) => self.dies_after = Some(effects),
            Step::End(seat, restart) => {
                self.give(Input::End { seat: Seat(u32::from(seat) % SEATS), restart });
            }
        }
    }

    fn tick(&mut self) {
        self.now = Nanos(self.now.0 + 50 * MS);
        let heard = self.nodes.iter().filter(|(_, node)| node.lives && node.joined && !node.stopped);
        for process in heard.map(|(process, _)| *process).collect::<Vec<_>>() {
            self.give(Input::Heartbeat { process });
        }
        self.give(Input::Tick);
    }

    fn report(&mut self) {
        let Some(process) = self.nodes.iter().find(|(_, node)| node.unreported).map(|(id, _)| *id) else {
            return;
        };
        self.nodes.get_mut(&process).unwrap().unreported = false;
        self.give(Input::Exited { process, cause: Cause::Killed, ordered: false });
    }

    fn join(&mut self, process: ProcessId) {
        let node = self.nodes.get_mut(&process).unwrap();
        // A FTM turns a run away that is not the current one of its seat.
        if self.manager.run(Seat(node.seat)).is_none_or(|run| run.process != process) {
            self.die(process);
            return;
        }
        node.joined = true;
        let in_service = node.holds.iter().map(|(alias, incarnation)| (*alias, *incarnation)).collect();
        self.give(Input::Joined { process, in_service });
    }

    fn recover(&mut self, process: ProcessId, fine: bool) {
        let node = self.nodes.get_mut(&process).unwrap();
        let (alias, incarnation) = node.opening.pop_first().unwrap();
        if !fine {
            self.give(Input::PromotionFailed { process, alias, incarnation });
            return;
        }
        node.holds.insert(alias, incarnation);
        if node.joined {
            self.give(Input::Promoted { process, alias, incarnation });
        }
    }

    fn wake(&mut self, process: ProcessId) {
        self.nodes.get_mut(&process).unwrap().stopped = false;
        self.give(Input::WentOn { process });
    }

    /// Everything is healed and time passes: everybody must be served again.
    fn heal(&mut self) {
        for seat in 0..SEATS {
            if self.durable.down.get(&seat).copied().unwrap_or_default() {
                self.step(Step::End(u8::try_from(seat).unwrap(), true));
            }
        }
        for _ in 0..3_000 {
            while let Some(process) = self.some(0, |node| node.stopped) {
                self.wake(process);
            }
            while self.nodes.values().any(|node| node.unreported) {
                self.report();
            }
            while let Some(process) = self.some(0, |node| !node.joined) {
                self.join(process);
            }
            while let Some(process) = self.some(0, |node| !node.opening.is_empty()) {
                self.recover(process, true);
            }
            if (0..ALIASES)
                .all(|alias| self.manager.table().rows(AliasId(alias)).unwrap().in_service().is_some())
            {
                return;
            }
            self.tick();
        }
        panic!("somebody is not served although everything is healed: {:#?}", self.manager);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_one_at_most_is_in_service_and_in_the_end_one_is(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.heal();
    }
}
