//! What a server side writes to its stable area, and what follows when that is durable.

use bytes::Bytes;
use palib_core::ids::{Incarnation, Nanos};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess as CoreRedProcess, Row, RowState};
use palib_core::server::{Input, Then, Write};

use super::{ServeSide, State};
use crate::client::rider;
use crate::defect::Point;
use crate::service::Service;
use crate::stable::{AreaWrite, AtomicClosure, Committed, Job, Token};
use crate::steps::Durable;

impl<S: Service> ServeSide<S> {
    pub(super) fn commit(
        &self,
        state: &mut State,
        incarnation: Incarnation,
        writes: Vec<Write<Bytes>>,
        then: Option<Then>,
    ) {
        let mut along = None;
        // Both kinds of writes are of one size, so this takes no memory of its own.
        let mut all: Vec<AreaWrite> = writes
            .into_iter()
            .map(|write| {
                if let Write::PutRow { row, .. } = &write {
                    along = self.along_with(row);
                }
                area_write(state, write)
            })
            .collect();
        all.extend(along.map(AreaWrite::Also));
        let idle = state.jobs.is_empty();
        let token = then.map_or(Token::Other(0), token_of);
        self.pass_commit(state, &token, Side::Before);
        state.jobs.push(Job { incarnation, writes: all, token });
        if idle {
            self.work.notify_one();
        }
    }

    /// What the service writes along with a row that registers something.
    fn along_with(&self, row: &Row<Bytes>) -> Option<AtomicClosure> {
        match row.state {
            RowState::Registered(
                CoreRedProcess::AutoReply(Outcome::Reply(_)) | CoreRedProcess::Handler { .. },
            ) => {}
            _ => return None,
        }
        let (service, source) = (self.service.clone(), self.shared.directory.name(row.id.source));
        Some(rider(move |area| service.registered(area, &source)))
    }

    /// A job is durable.
    pub(super) fn durable(&self, state: &mut State, now: Nanos, Committed { token, outcome }: Committed) {
        self.pass_commit(state, &token, Side::After);
        let input = match token {
            Token::Row(id) => {
                self.shared.trace_stable(id, &self.alias_name, Durable::Outcome);
                let hand = state.waits.remove(&id);
                state.resumed.extend(hand.map(|hand| (hand, outcome.clone())));
                Input::Stable { id, outcome }
            }
            Token::Block(id) => {
                self.shared.trace_stable(id, &self.alias_name, Durable::Block);
                Input::StableBlock { id }
            }
            Token::CallOn(id) => Input::StableCall { id },
            Token::Course(id) => Input::StableCourse { id },
            Token::Undoing(id) => Input::StableUndoing { id },
            Token::Cancelled(id) => {
                let hand = state.undoing.remove(&id);
                state.resumed.extend(hand.map(|hand| (hand, outcome.clone())));
                Input::StableCancelled { id, outcome }
            }
            Token::Closed { id, rolled_back } => Input::Closed { id, rolled_back },
            Token::Outbox(_) | Token::Other(_) => return,
        };
        self.feed_at(state, now, input);
    }
}

/// Which side of a commit.
#[derive(Clone, Copy)]
enum Side {
    /// It was not given to the writer.
    Before,
    /// It is durable, and nothing has followed from it.
    After,
}

impl<S: Service> ServeSide<S> {
    /// This process passes the defect points of a commit.
    #[inline]
    fn pass_commit(&self, state: &State, token: &Token, side: Side) {
        if self.shared.points.any() {
            self.pass_armed(state, token, side);
        }
    }

    #[cold]
    fn pass_armed(&self, state: &State, token: &Token, side: Side) {
        let (before, after) = match token {
            Token::Row(id) => {
                if state.core.transactions().any(|view| view.served() == *id) {
                    self.pass(match side {
                        Side::Before => Point::BeforeComplete,
                        Side::After => Point::AfterComplete,
                    });
                }
                (Point::BeforeCommit, Point::AfterCommit)
            }
            Token::Block(_) => (Point::BeforeBlock, Point::AfterBlock),
            Token::CallOn(_) => (Point::BeforeJournal, Point::AfterJournal),
            Token::Course(_) => (Point::BeforeCourse, Point::AfterCourse),
            Token::Cancelled(_) => (Point::BeforeTombstone, Point::AfterTombstone),
            Token::Undoing(_) => (Point::BeforeUndoing, Point::AfterUndoing),
            Token::Closed { .. } => (Point::BeforeClose, Point::AfterClose),
            Token::Outbox(_) | Token::Other(_) => return,
        };
        self.pass(match side {
            Side::Before => before,
            Side::After => after,
        });
    }
}

fn area_write(state: &mut State, write: Write<Bytes>) -> AreaWrite {
    let closure = "a commit in atomic mode follows its own input at once";
    match write {
        Write::PutRow { key, row } => AreaWrite::Row { key, row },
        Write::Atomic { key, id, digest, failure } => {
            let run = state.closure.take().expect(closure);
            AreaWrite::Atomic { key, id, digest, failure, run }
        }
        Write::AtomicUndo { key, id, digest } => {
            let run = state.closure.take().expect(closure);
            AreaWrite::AtomicUndo { key, id, digest, run }
        }
        Write::DropRow { key } => AreaWrite::DropRow { key },
        Write::PutJournal { row } => AreaWrite::Journal(row),
        Write::CloseJournal { served } => AreaWrite::CloseJournal(served),
        Write::PutMark { source, mark } => AreaWrite::Mark { source, mark },
    }
}

fn token_of(then: Then) -> Token {
    match then {
        Then::Stable { id } => Token::Row(id),
        Then::StableBlock { id } => Token::Block(id),
        Then::StableCall { id } => Token::CallOn(id),
        Then::StableCourse { id } => Token::Course(id),
        Then::StableUndoing { id } => Token::Undoing(id),
        Then::StableCancelled { id } => Token::Cancelled(id),
        Then::Closed { id, rolled_back } => Token::Closed { id, rolled_back },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writes_of_a_machine_and_of_an_area_have_one_size() {
        assert_eq!(size_of::<Write<Bytes>>(), size_of::<AreaWrite>());
        assert!(
            size_of::<AreaWrite>() <= 160,
            "{} bytes are moved about for each call",
            size_of::<AreaWrite>()
        );
    }
}
