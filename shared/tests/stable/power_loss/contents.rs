//! What a stable area holds, as a plain map in memory that is written down once more, with nothing of the area's code:
//! the reference against which each image is held.

use std::collections::BTreeMap;

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, Session, Slot, SlotKey, TransId};
use palib::core::redundancy::{Row, RowState};
use palib::core::relay::{Journaled, Position, Served};
use palib::core::resend::Pending;
use palib::stable::StableArea;

use super::workload::{BORN_MAX, SLOTS, SOURCES};

type Place = (Session, TransId);

/// Everything in an area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    rows: BTreeMap<SlotKey, Row<Bytes>>,
    marks: BTreeMap<AliasId, Mark>,
    outbox: BTreeMap<CallId, Pending<Bytes>>,
    journal: BTreeMap<(Place, Position), Journaled<Bytes>>,
    app: BTreeMap<Vec<u8>, Bytes>,
}

impl Contents {
    pub(crate) fn put_row(&mut self, key: SlotKey, row: Row<Bytes>) {
        self.rows.insert(key, row);
    }

    pub(crate) fn drop_row(&mut self, key: SlotKey) {
        self.rows.remove(&key);
    }

    /// A mark never falls. What is below it is done: its sessions, also what came there after it was first told; and of
    /// its own session what still waits.
    pub(crate) fn put_mark(&mut self, source: AliasId, mark: Mark) {
        let rises = self.marks.get(&source).is_none_or(|known| *known < mark);
        if rises {
            self.marks.insert(source, mark);
        }
        self.rows.retain(|key, row| {
            let Session { source: of, born } = key.session;
            let is_waiting = matches!(row.state, RowState::Blocked { .. } | RowState::Relaying { .. });
            let is_done = rises && born == mark.born && is_waiting && row.id.trans < mark.trans;
            of != source || !(born < mark.born || is_done)
        });
    }

    pub(crate) fn put_journal(&mut self, row: Journaled<Bytes>) {
        self.journal.insert((row.served.place(), row.position.clone()), row);
    }

    pub(crate) fn close_journal(&mut self, served: Served) {
        self.journal.retain(|(place, _), _| *place != served.place());
    }

    pub(crate) fn put_call(&mut self, call: Pending<Bytes>) {
        self.outbox.insert(call.id, call);
    }

    pub(crate) fn drop_call(&mut self, id: CallId) {
        self.outbox.remove(&id);
    }

    /// Adds to a number of the service's own, and gives it back.
    pub(crate) fn add(&mut self, key: &str, number: u64) -> u64 {
        let sum = crate::support::number_in(self.app.get(key.as_bytes()).cloned()) + number;
        self.put(key, Bytes::from(sum.to_string()));
        sum
    }

    pub(crate) fn put(&mut self, key: &str, value: Bytes) {
        self.app.insert(key.as_bytes().to_vec(), value);
    }

    /// Reads all of an open area, every table on the ways its owner reads it.
    pub(crate) fn read(area: &dyn StableArea) -> Self {
        let mut found = Self::default();
        for source in SOURCES {
            for born in 1..=BORN_MAX {
                for slot in 0..SLOTS {
                    let session = Session { source, born: Incarnation(born) };
                    let key = SlotKey { session, slot: Slot(slot) };
                    let (row, mark) = area.load(key).unwrap();
                    found.rows.extend(row.map(|row| (key, row)));
                    found.marks.extend(mark.map(|mark| (source, mark)));
                }
            }
        }
        found.outbox.extend(area.outbox().unwrap().into_iter().map(|call| (call.id, call)));
        let journal = area.journal().unwrap().into_iter();
        found.journal.extend(journal.map(|row| ((row.served.place(), row.position.clone()), row)));
        area.read(&mut |app| {
            app.scan(b"", &mut |key, value| {
                found.app.insert(key.to_vec(), Bytes::copy_from_slice(value));
                true
            })
            .unwrap();
        })
        .unwrap();
        found.check_the_rest(area);
        found
    }

    /// What else an area says must agree with what was read of it.
    fn check_the_rest(&self, area: &dyn StableArea) {
        let waiting: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| matches!(row.state, RowState::Blocked { .. } | RowState::Relaying { .. }))
            .map(|(key, row)| (*key, row.clone()))
            .collect();
        assert_eq!(area.blocked().unwrap(), waiting, "the index of blocked rows");
        let counted: BTreeMap<String, u64> =
            area.summary().tables.into_iter().map(|table| (table.name, table.rows)).collect();
        let held = [
            ("redundancy", self.rows.len()),
            ("blocked", waiting.len()),
            ("marks", self.marks.len()),
            ("outbox", self.outbox.len()),
            ("relay", self.journal.len()),
            ("app", self.app.len()),
        ];
        for (table, rows) in held {
            assert_eq!(counted[table], rows as u64, "rows of table {table}");
        }
    }
}
