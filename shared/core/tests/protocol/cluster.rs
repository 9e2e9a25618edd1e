//! Random walks with the manager itself as the FTM: it decides from heartbeats and exits whom to fence and to
//! promote, while processes die, hang and wake up at any step of their calls. No mode of operation is left out:
//! an effect outside the stable area is safe because the old active is known dead before anybody is promoted.

use std::collections::BTreeMap;

use palib_core::ids::{AliasId, Incarnation, Nanos, ProcessId, TransScope};
use palib_core::manager::{
    AliasConfig, AliasRecord, Cause, Counters, Effect, Input, Manager, Seat, SeatConfig, Settings,
};
use proptest::prelude::*;

use crate::properties::{ALWAYS, heal};
use crate::walks::{self, Choices};
use crate::world::{Action, Envelope, Place, SERVER, Setup, Without, World, kill_server};

const MS: u64 = 1_000_000;
const MEMBERS: u32 = 2;

/// A process as it really is.
#[derive(Clone, Debug, Default)]
struct Node {
    alias: usize,
    /// Its number in the world, once it was promoted.
    index: Option<usize>,
    lives: bool,
    stopped: bool,
    joined: bool,
    /// Dead, and the FTM was not told.
    unreported: bool,
}

struct Cluster<'a> {
    setup: &'a Setup,
    world: World,
    manager: Manager,
    now: Nanos,
    nodes: BTreeMap<ProcessId, Node>,
    takeovers: u32,
}

/// Alias 0 is the server's, the others are the clients'.
fn alias_id(alias: usize) -> AliasId {
    if alias == 0 { SERVER } else { AliasId(9 + alias as u32) }
}

fn alias_of(id: AliasId) -> usize {
    if id == SERVER { 0 } else { id.0 as usize - 9 }
}

impl<'a> Cluster<'a> {
    fn new(setup: &'a Setup) -> Self {
        let aliases = 0..=setup.callers;
        let alias = |alias| AliasConfig {
            alias: alias_id(alias),
            scope: TransScope::Alias,
            preferred: None,
            record: AliasRecord::default(),
        };
        let seats = aliases.clone().flat_map(|alias| (0..MEMBERS).map(move |nth| (alias, nth)));
        let seat = |(alias, nth): (usize, u32)| SeatConfig {
            seat: Seat(alias as u32 * MEMBERS + nth),
            aliases: vec![alias_id(alias)],
            down: false,
            adopted: None,
        };
        let now = Nanos(MS);
        let (aliases, seats): (Vec<_>, Vec<_>) = (aliases.map(alias).collect(), seats.map(seat).collect());
        let manager = Manager::new(Settings::default(), Counters::default(), &aliases, &seats, now);
        let world = World::unserved(setup);
        let mut cluster = Self { setup, world, manager, now, nodes: BTreeMap::new(), takeovers: 0 };
        cluster.tell(Input::Start);
        cluster
    }

    fn tell(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            self.manager.handle(self.now, input, &mut effects);
            self.perform(effects, &mut inputs);
        }
        self.sync();
    }

    fn perform(&mut self, effects: Vec<Effect>, inputs: &mut Vec<Input>) {
        for effect in effects {
            match effect {
                Effect::Persist { then, .. } => self.perform(then, inputs),
                Effect::WriteFence { alias, incarnation, .. } => match alias_of(alias) {
                    0 => self.world.area.fence = incarnation,
                    client => self.world.clients[client - 1].area.fence = incarnation,
                },
                Effect::Kill { process } | Effect::End { process } => self.die(process),
                Effect::Spawn { seat, process } => {
                    let alias = (seat.0 / MEMBERS) as usize;
                    self.nodes.insert(process, Node { alias, lives: true, ..Node::default() });
                }
                Effect::Promote { process, alias, incarnation, .. } => {
                    if self.promote(process, incarnation) {
                        inputs.push(Input::Promoted { process, alias, incarnation });
                    }
                }
                Effect::Push { .. } | Effect::Note(_) => {}
            }
        }
    }

    /// A process that is dead, or hangs, does not hear it.
    fn promote(&mut self, process: ProcessId, incarnation: Incarnation) -> bool {
        let Some(node) = self.nodes.get_mut(&process).filter(|node| node.lives && !node.stopped) else {
            return false;
        };
        if node.index.is_some() {
            return true;
        }
        self.takeovers += u32::from(incarnation > Incarnation(1));
        if node.alias == 0 {
            node.index = Some(self.world.servers.len());
            self.world.server_seat.incarnation = incarnation;
            self.world.act(self.setup, &Action::PromoteServer);
        } else {
            let client = &mut self.world.clients[node.alias - 1];
            node.index = Some(client.processes.len());
            client.seat.incarnation = incarnation;
            self.world.act(self.setup, &Action::PromoteClient(node.alias - 1));
        }
        true
    }

    /// The world's port alias table is the manager's.
    fn sync(&mut self) {
        for alias in 0..=self.setup.callers {
            let Some(rows) = self.manager.table().rows(alias_id(alias)) else { continue };
            let active = rows.in_service().and_then(|member| self.nodes[&member.process].index);
            let seat = match alias {
                0 => &mut self.world.server_seat,
                client => &mut self.world.clients[client - 1].seat,
            };
            (seat.incarnation, seat.active, seat.vacant) = (rows.incarnation(), active, false);
            seat.takeovers = self.takeovers;
        }
    }

    fn die(&mut self, process: ProcessId) {
        let Some(node) = self.nodes.get_mut(&process).filter(|node| node.lives) else { return };
        (node.lives, node.unreported) = (false, true);
        match (node.alias, node.index) {
            (0, Some(index)) => kill_server(&mut self.world.servers[index]),
            (alias, Some(index)) => {
                let client = &mut self.world.clients[alias - 1].processes[index];
                client.alive = false;
                client.writer = Default::default();
            }
            (_, None) => {}
        }
    }

    fn some(&self, nth: usize, fit: impl Fn(&Node) -> bool) -> Option<ProcessId> {
        let fit: Vec<_> =
            self.nodes.iter().filter(|(_, node)| fit(node)).map(|(process, _)| *process).collect();
        fit.get(nth % fit.len().max(1)).copied()
    }

    fn report(&mut self, process: ProcessId) {
        if let Some(node) = self.nodes.get_mut(&process) {
            node.unreported = false;
            self.tell(Input::Exited { process, cause: Cause::Killed, ordered: false });
        }
    }

    fn join(&mut self, process: ProcessId) {
        if let Some(node) = self.nodes.get_mut(&process) {
            node.joined = true;
            self.tell(Input::Joined { process, in_service: Vec::new() });
        }
    }

    fn pass(&mut self) {
        self.now = Nanos(self.now.0 + 50 * MS);
        let heard = self.nodes.iter().filter(|(_, node)| node.lives && node.joined && !node.stopped);
        for process in heard.map(|(process, _)| *process).collect::<Vec<_>>() {
            self.tell(Input::Heartbeat { process });
        }
        self.tell(Input::Tick);
    }

    fn stopped(&self, alias: usize, index: usize) -> bool {
        self.nodes.values().any(|node| node.stopped && node.alias == alias && node.index == Some(index))
    }

    fn hangs(&self, action: &Action) -> bool {
        let client = |place: &Place| self.stopped(place.0 + 1, place.1);
        let server = |index: usize| self.stopped(0, index);
        match action {
            Action::Call(place) | Action::Tick(place) | Action::Learn(place) => client(place),
            Action::ClientCommit(place) | Action::ClientTell(place) => client(place),
            Action::ServerCommit(index) | Action::ServerTell(index) | Action::Read(index) => server(*index),
            Action::Resolve(index, _) => server(*index),
            Action::Deliver(Envelope::Request { to, .. }) => {
                to.or(self.world.server_seat.active).is_some_and(server)
            }
            Action::Deliver(Envelope::Answer { to, .. } | Envelope::Refused { to, .. }) => client(to),
            _ => true,
        }
    }

    fn step(&mut self, choice: u16) {
        let (kind, nth) = (choice % 64, usize::from(choice / 64));
        let lives = |node: &Node| node.lives;
        match kind {
            0 => _ = self.some(nth, lives).map(|process| self.die(process)),
            1 => {
                if let Some(process) = self.some(nth, |node| node.lives && !node.stopped)
                    && let Some(node) = self.nodes.get_mut(&process)
                {
                    node.stopped = true;
                }
            }
            2..5 => {
                if let Some(process) = self.some(nth, |node| node.lives && node.stopped)
                    && let Some(node) = self.nodes.get_mut(&process)
                {
                    node.stopped = false;
                }
            }
            5..9 => _ = self.some(nth, |node| node.unreported).map(|process| self.report(process)),
            9..15 => {
                let fit = |node: &Node| node.lives && !node.joined && !node.stopped;
                _ = self.some(nth, fit).map(|process| self.join(process));
            }
            15..23 => self.pass(),
            _ => {
                let action = walks::pick(self.setup, &self.world, choice);
                if let Some(action) = action.filter(|action| !self.hangs(action)) {
                    self.world.act(self.setup, &action);
                }
            }
        }
    }

    /// Lets the manager bring everybody back, and then the calls to their end.
    fn heal(&mut self) -> Result<(), String> {
        for _ in 0..3000 {
            self.nodes.values_mut().for_each(|node| node.stopped = false);
            while let Some(process) = self.some(0, |node| node.unreported) {
                self.report(process);
            }
            while let Some(process) = self.some(0, |node| node.lives && !node.joined) {
                self.join(process);
            }
            let seats = self.world.clients.iter().map(|client| client.seat);
            if self.world.server_seat.active.is_some() && seats.into_iter().all(|seat| seat.active.is_some())
            {
                return heal(self.setup, &self.world).map(|_| ());
            }
            self.pass();
        }
        Err(format!("an alias is not served although everything is healed: {:#?}", self.manager))
    }
}

fn walk(setup: &Setup, choices: &Choices) -> Result<(u32, usize), String> {
    let mut cluster = Cluster::new(setup);
    for (step, &choice) in choices.iter().enumerate() {
        cluster.step(choice);
        if let Some((name, _)) = ALWAYS.iter().take(5).find(|(_, holds)| !holds(setup, &cluster.world)) {
            return Err(format!("step {step}: not \"{name}\""));
        }
    }
    cluster.heal()?;
    Ok((cluster.takeovers, cluster.world.ghost.outcomes.len()))
}

#[test]
fn random_walks_under_the_manager_lose_and_double_nothing() {
    let mut runner = walks::runner(1500);
    let schedules = (walks::setups(), proptest::collection::vec(any::<u16>(), 1..600));
    let reached = std::cell::Cell::new((0, 0));
    let result = runner.run(&schedules, |(setup, choices)| {
        let setup = Setup { zombies: 0, server_takeovers: 0, client_takeovers: 0, ..setup };
        let (takeovers, acknowledged) = walk(&setup, &choices).map_err(TestCaseError::fail)?;
        reached.set((reached.get().0 + takeovers, reached.get().1 + acknowledged));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (takeovers, acknowledged) = reached.get();
    println!("{takeovers} takeovers, {acknowledged} calls acknowledged before healing");
    assert!(takeovers > 0 && acknowledged > 0, "walks that reach nothing check nothing");
}

#[test]
fn random_walks_under_the_manager_find_a_missing_guard() {
    for without in [Without::StableBeforeReply, Without::Recover] {
        let schedules = (walks::setups(), proptest::collection::vec(any::<u16>(), 1..600));
        let found = walks::runner(1500).run(&schedules, |(setup, choices)| {
            let setup = Setup { zombies: 0, without: Some(without), ..setup };
            walk(&setup, &choices).map(|_| ()).map_err(TestCaseError::fail)
        });
        assert!(found.is_err(), "no walk shows that {without:?} is needed");
    }
}
