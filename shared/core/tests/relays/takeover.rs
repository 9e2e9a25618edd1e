//! What the FTM does to a world: it raises incarnations, kills, and promotes.

use std::collections::{BTreeMap, BTreeSet};

use palib_core::ids::{IdForm, Nanos, TRANS_GRANT, TransId};
use palib_core::relay::Policy;
use palib_core::resend::{self, Caller};
use palib_core::server::{self, Server};

use crate::area::Writer;
use crate::feed::Feed;
use crate::ids::{Place, alias_id};
use crate::setup::{Body, Setup, Without};
use crate::world::{Process, World};

impl World {
    pub(crate) fn fence(&mut self, setup: &Setup, alias: usize, zombie: bool) {
        let active = self.aliases[alias].seat.active.take();
        if let Some(active) = active.filter(|_| !zombie) {
            self.kill(setup, Place(alias, active));
        }
        self.zombies += u32::from(zombie);
        let rows = &mut self.aliases[alias];
        rows.seat.incarnation = rows.seat.incarnation.next();
        rows.seat.takeovers += 1;
        rows.seat.vacant = true;
        rows.area.fence = rows.seat.incarnation;
    }

    /// The calling machine comes first: the serving one may call on at once.
    pub(crate) fn promote(&mut self, setup: &Setup, alias: usize) {
        let place = Place(alias, self.aliases[alias].processes.len());
        let (server, caller) = Self::machines(setup, alias);
        self.aliases[alias].processes.push(Process {
            alive: true,
            server,
            caller,
            writer: Writer::default(),
            runs: BTreeMap::new(),
            reads: Vec::new(),
            not_undone: BTreeSet::new(),
        });
        let rows = &mut self.aliases[alias];
        rows.seat.vacant = false;
        let (incarnation, area) = (rows.seat.incarnation, &rows.area);
        let journal: Vec<_> = area.journal.values().cloned().collect();
        let blocked = area.under_way();
        let promoted = resend::Input::Promoted {
            incarnation,
            port: place.port(),
            trans_base: TransId(incarnation.0 * TRANS_GRANT),
            pending: area.outbox.values().cloned().collect(),
            held: journal.iter().map(|row| row.call.clone()).collect(),
        };
        if setup.pushed {
            self.learn_all(setup);
        }
        self.feed(setup, place, Feed::Caller(promoted));
        let journal = if setup.lacks(Without::Journal) { Vec::new() } else { journal };
        self.feed(setup, place, Feed::Server(server::Input::Promoted { incarnation, blocked, journal }));
        if setup.pushed {
            self.learn_all(setup);
        }
    }

    /// The machines of a backup that knows nothing.
    pub(crate) fn machines(setup: &Setup, alias: usize) -> (Server<Body>, Caller<Body>) {
        let server = server::Settings {
            on_takeover: if alias == 0 { Policy::RollForward } else { setup.service(alias).policy },
            alias: alias_id(alias),
            window: setup.window,
            sessions_max: 8,
            calls_max: 64,
        };
        let caller = resend::Settings {
            source: alias_id(alias),
            form: IdForm::Incarnation,
            outbox: alias > 0 || setup.outbox,
            window: setup.window,
            resend_after: Nanos(0),
            inquire_after: Nanos(0),
            mark_after: Nanos(0),
        };
        (Server::new(server), Caller::new(caller))
    }
}
