//! What the FTM does to a world: it raises incarnations, kills, and promotes.

use std::collections::BTreeSet;

use palib_core::ids::{AliasId, Nanos, PortId, TRANS_GRANT, TransId};
use palib_core::relay::Policy;
use palib_core::resend::{self, Caller};
use palib_core::server::{self, Server};

use crate::areas::Writer;
use crate::world::{ClientProcess, Place, SERVER, ServerProcess, Setup, Without, World, kill_server};

impl World {
    pub(crate) fn fence_server(&mut self, setup: &Setup, zombie: bool) {
        let seat = &mut self.server_seat;
        if let Some(active) = seat.active.take()
            && !zombie
        {
            kill_server(&mut self.servers[active]);
        }
        self.zombies += u32::from(zombie);
        seat.incarnation = seat.incarnation.next();
        seat.takeovers += 1;
        seat.vacant = true;
        if !setup.lacks(Without::FenceBeforePromotion) {
            self.area.fence = seat.incarnation;
        }
    }

    pub(crate) fn promote_server(&mut self, setup: &Setup) {
        let index = self.servers.len();
        let settings = server::Settings {
            on_takeover: Policy::RollForward,
            alias: SERVER,
            window: setup.window,
            sessions_max: setup.sessions_max,
            calls_max: 64,
        };
        self.servers.push(ServerProcess {
            alive: true,
            machine: Server::new(settings),
            writer: Writer::default(),
            reads: Vec::new(),
            resumed: BTreeSet::new(),
            in_doubt: BTreeSet::new(),
        });
        self.server_seat.vacant = false;
        let (incarnation, blocked) = (self.server_seat.incarnation, self.area.blocked());
        self.feed_server(setup, index, server::Input::Promoted { incarnation, blocked, journal: Vec::new() });
    }

    pub(crate) fn fence_client(&mut self, alias: usize, zombie: bool) {
        let client = &mut self.clients[alias];
        if let Some(active) = client.seat.active.take()
            && !zombie
        {
            client.processes[active].alive = false;
            client.processes[active].writer = Writer::default();
        }
        self.zombies += u32::from(zombie);
        client.seat.incarnation = client.seat.incarnation.next();
        client.seat.takeovers += 1;
        client.seat.vacant = true;
        client.area.fence = client.seat.incarnation;
    }

    pub(crate) fn promote_client(&mut self, setup: &Setup, alias: usize) {
        let client = &mut self.clients[alias];
        let place = Place(alias, client.processes.len());
        let incarnation = client.seat.incarnation;
        let fresh = !setup.lacks(Without::FreshTransIds);
        let settings = resend::Settings {
            source: AliasId(10 + alias as u32),
            form: setup.form,
            outbox: setup.outbox,
            window: setup.window,
            resend_after: Nanos(0),
            inquire_after: Nanos(0),
            mark_after: Nanos(0),
        };
        let writer = Writer::default();
        client.processes.push(ClientProcess { alive: true, machine: Caller::new(settings), writer });
        client.seat.vacant = false;
        client.seat.active = Some(place.1);
        let pending = client.area.outbox.values().cloned().collect();
        let port = PortId(if fresh { (1000 * (alias + 1) + place.1) as u32 } else { 7 });
        let trans_base = TransId(if fresh { incarnation.0 * TRANS_GRANT } else { 0 });
        self.feed_client(
            setup,
            place,
            resend::Input::Promoted { incarnation, port, trans_base, pending, held: Vec::new() },
        );
    }
}
