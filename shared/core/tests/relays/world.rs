//! A row of aliases as one value: their seats, stable areas and processes, and the network between them.
//!
//! A crash needs no action of its own: a process that has crashed and one that is not scheduled any more are the same,
//! until the FTM fences its alias. Messages are never taken out of the network, so each may be lost (never delivered),
//! doubled and overtaken.

use std::collections::{BTreeMap, BTreeSet};

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, SlotKey};
use palib_core::message::{CancelEnd, Outcome, Refusal, Request};
use palib_core::relay::Stage;
use palib_core::resend::{self, Caller, Route};
use palib_core::server::{self, Server};

use crate::area::{Area, Writer};
use crate::feed::Feed;
use crate::ids::{Place, alias_id};
use crate::service::Run;
use crate::setup::{Body, Setup};

/// A message, with where it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Envelope {
    Request { from: Place, to: Place, request: Request<Body> },
    Cancel { from: Place, to: Place, request: Request<Body> },
    Answer { to: Place, id: CallId, outcome: Outcome<Body> },
    Refused { from: Place, to: Place, id: CallId, refusal: Refusal },
    CancelEnded { to: Place, id: CallId, end: CancelEnd<Body> },
    Mark { to: Place, source: AliasId, mark: Mark },
}

impl Envelope {
    pub(crate) fn to(&self) -> Place {
        match self {
            Self::Request { to, .. }
            | Self::Cancel { to, .. }
            | Self::Answer { to, .. }
            | Self::Refused { to, .. }
            | Self::CancelEnded { to, .. }
            | Self::Mark { to, .. } => *to,
        }
    }
}

/// A message in few words: a trace is read by people.
impl std::fmt::Display for Envelope {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place(alias, process) = self.to();
        match self {
            Self::Request { request, .. } => write!(out, "request {} for {}", request.id, request.body)?,
            Self::Cancel { request, .. } => write!(out, "cancel {} for {}", request.id, request.body)?,
            Self::Answer { id, outcome, .. } => write!(out, "answer {id} {outcome:?}")?,
            Self::Refused { id, refusal, .. } => write!(out, "refused {id} {refusal:?}")?,
            Self::CancelEnded { id, end, .. } => write!(out, "cancel ended {id} {end:?}")?,
            Self::Mark { source, mark, .. } => write!(out, "mark {source} {}/{}", mark.born, mark.trans)?,
        }
        write!(out, " at {alias}.{process}")
    }
}

/// Who is in service for an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seat {
    pub(crate) incarnation: Incarnation,
    /// The mark of service.
    pub(crate) active: Option<usize>,
    /// A takeover has begun and no successor is promoted.
    pub(crate) vacant: bool,
    pub(crate) takeovers: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) alive: bool,
    pub(crate) server: Server<Body>,
    pub(crate) caller: Caller<Body>,
    pub(crate) writer: Writer,
    /// The handlers that run.
    pub(crate) runs: BTreeMap<CallId, Run>,
    /// Rows asked for and not read.
    pub(crate) reads: Vec<SlotKey>,
    /// Calls that this process has said it can't undo.
    pub(crate) not_undone: BTreeSet<CallId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Alias {
    pub(crate) seat: Seat,
    pub(crate) area: Area,
    pub(crate) processes: Vec<Process>,
}

/// What nobody in the world knows, and the properties are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// What a client asked for with an id.
    pub(crate) issued: BTreeMap<CallId, Body>,
    pub(crate) id_given_twice: bool,
    /// All outcomes that any client was given.
    pub(crate) outcomes: BTreeMap<Body, BTreeSet<Outcome<Body>>>,
    pub(crate) refused: BTreeSet<(Body, Refusal)>,
    pub(crate) fenced_commit: bool,
    /// A handler that does always the same was told that its journal holds something else.
    pub(crate) diverged: bool,
    /// The answer to a call on came from a journal, or to a call that a predecessor made.
    pub(crate) replayed: bool,
    /// Something was undone.
    pub(crate) undone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) aliases: Vec<Alias>,
    pub(crate) net: BTreeSet<Envelope>,
    pub(crate) started: Body,
    pub(crate) zombies: u32,
    pub(crate) ghost: Ghost,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A user calls.
    Call(usize),
    /// Time passes for a caller.
    Tick(Place),
    /// A process learns who is in service for an alias that it calls.
    Learn(Place, usize),
    Deliver(Envelope),
    /// The first job of a writer becomes durable, or is refused.
    Commit(Place),
    /// A writer tells its process what became durable.
    Tell(Place),
    /// A row that was asked for is read.
    Read(Place),
    /// A handler asks again for what could not be called.
    Again(Place, CallId, u16),
    /// An operator lets a relay try once more to undo.
    Resolve(Place, CallId),
    /// The FTM raises the incarnation and kills the active; a zombie survives it.
    Fence {
        alias: usize,
        zombie: bool,
    },
    Promote(usize),
}

impl std::fmt::Display for Action {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deliver(envelope) => write!(out, "{envelope}"),
            _ => write!(out, "{self:?}"),
        }
    }
}

impl Action {
    pub(crate) fn is_defect(&self) -> bool {
        matches!(self, Self::Fence { .. })
    }

    /// Whether it comes by itself, not because something is under way.
    pub(crate) fn is_new(&self) -> bool {
        matches!(self, Self::Call(_) | Self::Tick(_) | Self::Learn(..) | Self::Fence { .. })
    }
}

impl World {
    /// Everybody in service in incarnation 1.
    pub(crate) fn new(setup: &Setup) -> Self {
        let seat = Seat { vacant: true, incarnation: Incarnation(1), ..Seat::default() };
        let area = Area { fence: Incarnation(1), ..Area::default() };
        let alias = Alias { seat, area, processes: Vec::new() };
        let aliases = vec![alias; setup.services.len() + 1];
        let mut world =
            Self { aliases, net: BTreeSet::new(), started: 0, zombies: 0, ghost: Ghost::default() };
        for alias in (0..world.aliases.len()).rev() {
            world.promote(setup, alias);
        }
        world.learn_all(setup);
        world
    }

    pub(crate) fn process(&mut self, place: Place) -> &mut Process {
        &mut self.aliases[place.0].processes[place.1]
    }

    /// All processes that live.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (Place, &Process)> {
        self.aliases.iter().enumerate().flat_map(|(alias, rows)| {
            let alive = rows.processes.iter().enumerate().filter(|(_, process)| process.alive);
            alive.map(move |(index, process)| (Place(alias, index), process))
        })
    }

    /// The messages that somebody is there to get.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = &Envelope> {
        self.net.iter().filter(|envelope| {
            let Place(alias, process) = envelope.to();
            self.aliases[alias].processes[process].alive
        })
    }

    /// Everything that may happen next.
    pub(crate) fn actions(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = self.local_actions(setup);
        actions.extend(self.arriving().cloned().map(Action::Deliver));
        actions
    }

    /// Everything that may happen next but the arrival of a message.
    pub(crate) fn local_actions(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = Vec::new();
        for (place, process) in self.alive() {
            self.process_actions(setup, place, process, &mut actions);
        }
        for (alias, Alias { seat, .. }) in self.aliases.iter().enumerate() {
            if seat.vacant {
                actions.push(Action::Promote(alias));
            } else if seat.takeovers < setup.takeovers[alias] {
                actions.push(Action::Fence { alias, zombie: false });
                if self.zombies < setup.zombies {
                    actions.push(Action::Fence { alias, zombie: true });
                }
            }
        }
        actions
    }

    fn process_actions(&self, setup: &Setup, place: Place, process: &Process, actions: &mut Vec<Action>) {
        let calls = place.0 == 0 && self.started < setup.operations;
        let ready = [
            (calls, Action::Call(place.1)),
            (setup.resend && process.caller.next_wakeup().is_some(), Action::Tick(place)),
            (!process.writer.queue.is_empty(), Action::Commit(place)),
            (!process.writer.committed.is_empty(), Action::Tell(place)),
            (!process.reads.is_empty(), Action::Read(place)),
        ];
        actions.extend(ready.into_iter().filter(|(ready, _)| *ready).map(|(_, action)| action));
        if !setup.pushed {
            let unknown =
                |target: &usize| process.caller.route_to(alias_id(*target)) != Some(self.route(*target));
            let targets = setup.targets(place.0).into_iter().filter(unknown);
            actions.extend(targets.map(|target| Action::Learn(place, target)));
        }
        for (id, run) in &process.runs {
            actions.extend(run.rejected.iter().map(|&at| Action::Again(place, *id, at)));
        }
        let stuck = process.server.transactions().filter(|open| matches!(open.stage(), Stage::Stuck { .. }));
        actions.extend(stuck.map(|open| Action::Resolve(place, open.served())));
    }

    /// Does one step.
    pub(crate) fn act(&mut self, setup: &Setup, action: &Action) {
        match action {
            Action::Call(index) => self.call(setup, Place(0, *index)),
            Action::Tick(place) => self.feed(setup, *place, Feed::Caller(resend::Input::Tick)),
            Action::Learn(place, target) => self.learn(setup, *place, *target),
            Action::Deliver(envelope) => self.deliver(setup, envelope.clone()),
            Action::Commit(place) => self.commit(setup, *place),
            Action::Tell(place) => self.tell(setup, *place),
            Action::Read(place) => self.read(setup, *place),
            Action::Again(place, id, at) => self.ask_again(setup, *place, *id, *at),
            Action::Resolve(place, id) => {
                let resolution = server::Resolution::Rerun;
                self.feed(setup, *place, Feed::Server(server::Input::Resolve { id: *id, resolution }));
            }
            Action::Fence { alias, zombie } => self.fence(setup, *alias, *zombie),
            Action::Promote(alias) => self.promote(setup, *alias),
        }
    }

    fn call(&mut self, setup: &Setup, place: Place) {
        let body = self.started + 1;
        let call = resend::Input::Call { token: 0, target: alias_id(1), body, deadline: None };
        self.feed(setup, place, Feed::Caller(call));
    }

    /// The row of an alias in the port alias table.
    pub(crate) fn route(&self, alias: usize) -> Route {
        let seat = self.aliases[alias].seat;
        Route { incarnation: seat.incarnation, port: seat.active.map(|index| Place(alias, index).port()) }
    }

    pub(crate) fn learn(&mut self, setup: &Setup, place: Place, target: usize) {
        let route = self.route(target);
        self.feed(setup, place, Feed::Caller(resend::Input::Route { target: alias_id(target), route }));
    }

    pub(crate) fn learn_all(&mut self, setup: &Setup) {
        let places: Vec<_> = self.alive().map(|(place, _)| place).collect();
        for place in places {
            for target in setup.targets(place.0) {
                if self.process(place).caller.route_to(alias_id(target)) != Some(self.route(target)) {
                    self.learn(setup, place, target);
                }
            }
        }
    }

    fn deliver(&mut self, setup: &Setup, envelope: Envelope) {
        let place = envelope.to();
        let digest = |request: &Request<Body>| u128::from(request.body);
        let feed = match envelope {
            Envelope::Request { from, request, .. } => {
                let (asker, digest) = (from.asker(), digest(&request));
                Feed::Server(server::Input::Request { asker, request, digest })
            }
            Envelope::Cancel { from, request, .. } => {
                if self.confirms_early(setup, place, from, &request) {
                    return;
                }
                let (asker, digest) = (from.asker(), digest(&request));
                Feed::Server(server::Input::Cancel { asker, request, digest })
            }
            Envelope::Answer { id, outcome, .. } => Feed::Caller(resend::Input::Answer { id, outcome }),
            Envelope::Refused { from, id, refusal, .. } => {
                Feed::Caller(resend::Input::Refused { id, port: from.port(), refusal })
            }
            Envelope::CancelEnded { id, end, .. } => Feed::Caller(resend::Input::CancelEnded { id, end }),
            Envelope::Mark { source, mark, .. } => Feed::Server(server::Input::Mark { source, mark }),
        };
        self.feed(setup, place, feed);
    }
}
