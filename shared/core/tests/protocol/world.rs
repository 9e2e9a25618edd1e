//! A whole cluster as one value: client aliases, a server alias, their processes, areas, the FTM and the network.
//!
//! Each step is one action. A crash needs no action of its own: a process that has crashed and one that is not
//! scheduled any more are the same, until the FTM fences its alias. Messages are never taken out of the network,
//! so each may be lost (never delivered), doubled and overtaken.

use std::collections::{BTreeMap, BTreeSet};

use palib_core::ids::{AliasId, CallId, IdForm, Incarnation, PortId};
use palib_core::message::{Outcome, Refusal, Request};
use palib_core::resend::{self, Caller, Route};
use palib_core::server::{self, Asker, Server};

use crate::areas::{Body, ClientArea, ClientJob, Effects, ServerArea, ServerJob, Writer};

pub(crate) const SERVER: AliasId = AliasId(1);

/// How a service does an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Atomic mode.
    Atomic,
    /// `block_request`, an effect outside the stable area, an automatic reply.
    Outside,
    /// The same, with a redundant-message handler; the service then returns its reply.
    OutsideHandler,
    /// The same as `Outside`, but `recover` can't tell, and an operator must.
    InDoubt,
    /// No effect: the service fails.
    Failing,
}

/// A guard of the protocol, taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Without {
    /// The server answers before its commit is stable.
    StableBeforeReply,
    /// Commits do not check the incarnation.
    IncarnationCheck,
    /// The incarnation is raised only after the backup has read the area.
    FenceBeforePromotion,
    /// A session is pruned, and the mark it was pruned by is not kept.
    StoredMark,
    /// A slot that holds a later call looks empty to an earlier one.
    LaterCallInSlot,
    /// A request whose id is being executed is executed too.
    Hold,
    /// The service goes on past its roll-forward point before that is stable.
    StableBeforeResume,
    /// `recover` is not asked: a blocked call is run again.
    Recover,
    /// The client sends before the call is in its outbox.
    OutboxBeforeSend,
    /// The mark rises before the drop from the outbox is stable.
    DropBeforeMark,
    /// A new active client starts with the transIds of the old one.
    FreshTransIds,
}

/// What a world is made of, and how far it may go.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) callers: usize,
    pub(crate) operations: Body,
    /// What each operation is, in turn.
    pub(crate) modes: Vec<Mode>,
    pub(crate) server_takeovers: u32,
    pub(crate) client_takeovers: u32,
    /// In so many takeovers the kill does not reach the process: it goes on, and wakes up fenced.
    pub(crate) zombies: u32,
    pub(crate) outbox: bool,
    pub(crate) form: IdForm,
    pub(crate) window: u32,
    pub(crate) sessions_max: usize,
    /// Requests reach whoever is in service when they arrive, as if ports were used again.
    pub(crate) roaming: bool,
    /// Requests are sent again also when nothing tells that they were lost.
    pub(crate) resend: bool,
    /// Rows are read in a step of their own.
    pub(crate) slow_reads: bool,
    pub(crate) without: Option<Without>,
}

impl Setup {
    /// One pair of clients and one of servers, in atomic mode.
    pub(crate) fn pair(operations: Body) -> Self {
        Self {
            callers: 1,
            operations,
            modes: vec![Mode::Atomic],
            server_takeovers: 1,
            client_takeovers: 1,
            zombies: 0,
            outbox: true,
            form: IdForm::Incarnation,
            window: 2,
            sessions_max: 8,
            roaming: false,
            resend: true,
            slow_reads: false,
            without: None,
        }
    }

    pub(crate) fn mode(&self, operation: Body) -> Mode {
        self.modes[operation as usize % self.modes.len()]
    }

    pub(crate) fn lacks(&self, guard: Without) -> bool {
        self.without == Some(guard)
    }
}

/// A message, with its process of origin and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Envelope {
    /// Without a place to go to it reaches whoever is in service then.
    Request {
        from: Place,
        to: Option<usize>,
        request: Request<Body>,
    },
    Answer {
        to: Place,
        id: CallId,
        outcome: Outcome<Body>,
    },
    Refused {
        from: usize,
        to: Place,
        id: CallId,
        refusal: Refusal,
    },
}

/// A client process: the number of its alias, and its number in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) usize, pub(crate) usize);

/// Who is in service for an alias. Processes are numbered from 0, in the order of their promotion.
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
pub(crate) struct ServerProcess {
    pub(crate) alive: bool,
    pub(crate) machine: Server<Body>,
    pub(crate) writer: Writer<ServerJob, (ServerJob, Option<Outcome<Body>>)>,
    /// Rows asked for and not read.
    pub(crate) reads: Vec<palib_core::ids::SlotKey>,
    /// Calls whose handler has gone on past its roll-forward point in this process.
    pub(crate) resumed: BTreeSet<CallId>,
    pub(crate) in_doubt: BTreeSet<CallId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientProcess {
    pub(crate) alive: bool,
    pub(crate) machine: Caller<Body>,
    pub(crate) writer: Writer<ClientJob, ClientJob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientAlias {
    pub(crate) seat: Seat,
    pub(crate) area: ClientArea,
    pub(crate) processes: Vec<ClientProcess>,
}

/// What nobody in the world knows, and the properties are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// Which operation an id was given to.
    pub(crate) issued: BTreeMap<CallId, Body>,
    /// All outcomes that any client was given for an operation.
    pub(crate) outcomes: BTreeMap<Body, BTreeSet<Outcome<Body>>>,
    pub(crate) refused: BTreeSet<(Body, Refusal)>,
    pub(crate) id_given_twice: bool,
    pub(crate) fenced_commit: bool,
    /// An answer came from the table of a predecessor.
    pub(crate) replayed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) server_seat: Seat,
    pub(crate) area: ServerArea,
    pub(crate) servers: Vec<ServerProcess>,
    pub(crate) clients: Vec<ClientAlias>,
    pub(crate) net: BTreeSet<Envelope>,
    /// Effects outside the stable area.
    pub(crate) outside: Effects,
    pub(crate) started: Body,
    pub(crate) zombies: u32,
    pub(crate) ghost: Ghost,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A user calls.
    Call(Place),
    /// Time passes for a client.
    Tick(Place),
    /// A client learns the port alias table's row of the server.
    Learn(Place),
    Deliver(Envelope),
    /// The first job of a writer becomes durable, or is refused.
    ServerCommit(usize),
    ClientCommit(Place),
    /// A writer tells the process what became durable.
    ServerTell(usize),
    ClientTell(Place),
    /// A row that was asked for is read.
    Read(usize),
    /// An operator decides about a call in doubt.
    Resolve(usize, CallId),
    /// The FTM raises the incarnation and kills the active; a zombie survives it.
    FenceServer {
        zombie: bool,
    },
    FenceClient {
        alias: usize,
        zombie: bool,
    },
    PromoteServer,
    PromoteClient(usize),
}

impl World {
    /// Everybody in service in incarnation 1.
    pub(crate) fn new(setup: &Setup) -> Self {
        let seat = Seat { vacant: true, incarnation: Incarnation(1), ..Seat::default() };
        let mut world = Self::unserved(setup);
        world.server_seat = seat;
        world.area.fence = Incarnation(1);
        for client in &mut world.clients {
            client.seat = seat;
            client.area.fence = Incarnation(1);
        }
        world.promote_server(setup);
        for alias in 0..setup.callers {
            world.promote_client(setup, alias);
            world.learn(setup, Place(alias, 0));
        }
        world
    }

    /// Nobody in service.
    pub(crate) fn unserved(setup: &Setup) -> Self {
        let client =
            ClientAlias { seat: Seat::default(), area: ClientArea::default(), processes: Vec::new() };
        Self {
            server_seat: Seat::default(),
            area: ServerArea::default(),
            servers: Vec::new(),
            clients: vec![client; setup.callers],
            net: BTreeSet::new(),
            outside: Effects::default(),
            started: 0,
            zombies: 0,
            ghost: Ghost::default(),
        }
    }

    /// Everything that may happen next.
    pub(crate) fn actions(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = self.local_actions(setup);
        actions.extend(self.arriving().cloned().map(Action::Deliver));
        actions
    }

    /// The messages that somebody is there to get.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = &Envelope> {
        self.net.iter().filter(|envelope| self.is_alive(envelope))
    }

    /// Everything that may happen next but the arrival of a message.
    pub(crate) fn local_actions(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, server) in self.servers.iter().enumerate().filter(|(_, server)| server.alive) {
            let ready = [
                (!server.writer.queue.is_empty(), Action::ServerCommit(index)),
                (!server.writer.committed.is_empty(), Action::ServerTell(index)),
                (!server.reads.is_empty(), Action::Read(index)),
            ];
            actions.extend(ready.into_iter().filter(|(ready, _)| *ready).map(|(_, action)| action));
            actions.extend(server.in_doubt.iter().map(|&id| Action::Resolve(index, id)));
        }
        for (alias, client) in self.clients.iter().enumerate() {
            for (index, process) in client.processes.iter().enumerate().filter(|(_, process)| process.alive) {
                let place = Place(alias, index);
                let known = process.machine.route_to(SERVER);
                let ready = [
                    (self.started < setup.operations, Action::Call(place)),
                    (setup.resend && process.machine.next_wakeup().is_some(), Action::Tick(place)),
                    (known != Some(self.route()), Action::Learn(place)),
                    (!process.writer.queue.is_empty(), Action::ClientCommit(place)),
                    (!process.writer.committed.is_empty(), Action::ClientTell(place)),
                ];
                actions.extend(ready.into_iter().filter(|(ready, _)| *ready).map(|(_, action)| action));
            }
            Self::seat_actions(
                client.seat,
                setup.client_takeovers,
                self.zombies < setup.zombies,
                |zombie| Action::FenceClient { alias, zombie },
                Action::PromoteClient(alias),
                &mut actions,
            );
        }
        Self::seat_actions(
            self.server_seat,
            setup.server_takeovers,
            self.zombies < setup.zombies,
            |zombie| Action::FenceServer { zombie },
            Action::PromoteServer,
            &mut actions,
        );
        actions
    }

    fn seat_actions(
        seat: Seat,
        takeovers: u32,
        zombies: bool,
        fence: impl Fn(bool) -> Action,
        promote: Action,
        actions: &mut Vec<Action>,
    ) {
        if seat.vacant {
            actions.push(promote);
        } else if seat.takeovers < takeovers {
            actions.push(fence(false));
            if zombies {
                actions.push(fence(true));
            }
        }
    }

    fn is_alive(&self, envelope: &Envelope) -> bool {
        match envelope {
            Envelope::Request { to, .. } => self.reached(*to).is_some(),
            Envelope::Answer { to, .. } | Envelope::Refused { to, .. } => {
                self.clients[to.0].processes[to.1].alive
            }
        }
    }

    fn reached(&self, to: Option<usize>) -> Option<usize> {
        to.or(self.server_seat.active).filter(|&index| self.servers[index].alive)
    }

    /// Does one step.
    pub(crate) fn act(&mut self, setup: &Setup, action: &Action) {
        match action {
            Action::Call(place) => self.call(setup, *place),
            Action::Tick(place) => self.feed_client(setup, *place, resend::Input::Tick),
            Action::Learn(place) => self.learn(setup, *place),
            Action::Deliver(envelope) => self.deliver(setup, envelope),
            Action::ServerCommit(index) => self.server_commit(setup, *index),
            Action::ClientCommit(place) => self.client_commit(setup, *place),
            Action::ServerTell(index) => self.server_tell(setup, *index),
            Action::ClientTell(place) => self.client_tell(setup, *place),
            Action::Read(index) => self.read(setup, *index),
            Action::Resolve(index, id) => self.resolve(setup, *index, *id),
            Action::FenceServer { zombie } => self.fence_server(setup, *zombie),
            Action::FenceClient { alias, zombie } => self.fence_client(*alias, *zombie),
            Action::PromoteServer => self.promote_server(setup),
            Action::PromoteClient(alias) => self.promote_client(setup, *alias),
        }
    }

    /// The row of the server alias in the port alias table.
    pub(crate) fn route(&self) -> Route {
        let port = self.server_seat.active.map(server_port);
        Route { incarnation: self.server_seat.incarnation, port }
    }

    fn learn(&mut self, setup: &Setup, place: Place) {
        let route = self.route();
        self.feed_client(setup, place, resend::Input::Route { target: SERVER, route });
    }

    fn call(&mut self, setup: &Setup, place: Place) {
        let operation = self.started;
        let input = resend::Input::Call {
            token: u64::from(operation),
            target: SERVER,
            body: operation,
            deadline: None,
        };
        self.feed_client(setup, place, input);
    }

    fn deliver(&mut self, setup: &Setup, envelope: &Envelope) {
        if !self.is_alive(envelope) {
            return;
        }
        match envelope.clone() {
            Envelope::Request { from, to, request } => {
                let Some(to) = self.reached(to) else { return };
                let digest = u128::from(request.body);
                let asker = Asker((from.0 * 100 + from.1) as u64);
                self.feed_server(setup, to, server::Input::Request { asker, request, digest });
            }
            Envelope::Answer { to, id, outcome } => {
                self.feed_client(setup, to, resend::Input::Answer { id, outcome });
            }
            Envelope::Refused { from, to, id, refusal } => {
                let port = server_port(from);
                self.feed_client(setup, to, resend::Input::Refused { id, port, refusal });
            }
        }
    }
}

pub(crate) fn kill_server(server: &mut ServerProcess) {
    server.alive = false;
    server.writer = Writer::default();
    server.reads.clear();
    server.resumed.clear();
    server.in_doubt.clear();
}

pub(crate) fn server_port(index: usize) -> PortId {
    PortId(index as u32 + 1)
}

pub(crate) fn server_of(port: PortId) -> usize {
    port.0 as usize - 1
}
