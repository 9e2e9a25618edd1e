//! What the servers of the shop have in common: a book with an entry for each order, made once and taken back at most
//! once, and a rule by which an order is refused.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use palib::{Area, AreaTxn, Call, Error, Reply, Result, Undo};
use serde_json::json;

use crate::NodeError;
use crate::effects::{Effects, add, add_effect, add_undone, effects_key, work};
use crate::options::Options;

/// The options of every desk.
pub(super) const OPTIONS: [&str; 3] = ["refuse_one_in", "seed", "work"];

/// How a desk differs from others.
#[derive(Clone, Copy)]
pub(super) struct Trade {
    /// The name of its book: entries lie under `BOOK/ORDER`, and their value is how often the order is entered.
    pub(super) book: &'static str,
    /// In what words it refuses.
    pub(super) refusal: &'static str,
    /// Of how many orders one is refused, unless the cluster file says otherwise; 0: none.
    pub(super) refuse_one_in: u64,
}

/// A desk.
pub(super) struct Desk {
    trade: Trade,
    seed: u64,
    work: Duration,
    effects: Effects,
}

impl Desk {
    pub(super) fn new(options: &Options<'_>, trade: Trade) -> Result<Self, NodeError> {
        let refuse_one_in = options.number("refuse_one_in")?.unwrap_or(trade.refuse_one_in);
        Ok(Self {
            trade: Trade { refuse_one_in, ..trade },
            seed: options.number("seed")?.unwrap_or(0),
            work: options.time("work")?.unwrap_or_default(),
            effects: Effects::default(),
        })
    }

    /// Whether this order is one that is refused: by its name and the seed, so the same each time it is asked.
    fn refuses(&self, order: &str) -> bool {
        let hash = BuildHasherDefault::<DefaultHasher>::default();
        let chance = hash.hash_one((self.seed, self.trade.book, order));
        self.trade.refuse_one_in > 0 && chance.is_multiple_of(self.trade.refuse_one_in)
    }

    /// Enters an order, unless it is refused; `along` is done in the same transaction.
    pub(super) async fn enter(
        &self,
        call: &Call,
        order: &str,
        reply: &'static str,
        mut along: impl FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Reply> {
        work(self.work).await;
        if self.refuses(order) {
            return Err(Error::failed(self.trade.refusal));
        }
        let (book, entry, effects) = (self.trade.book, self.entry(order), effects_key(call));
        call.commit(move |area| {
            along(area)?;
            add(area, &entry, 1)?;
            add(area, book, 1)?;
            add_effect(area, effects)?;
            Ok(Reply::from(reply))
        })
        .await
    }

    /// Takes an entry back; `along` is done in the same transaction.
    pub(super) async fn take_back(
        &self,
        undo: &Undo,
        order: &str,
        mut along: impl FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (book, entry) = (self.trade.book, self.entry(order));
        undo.commit(move |area| {
            along(area)?;
            let times = area.get::<u64>(&entry)?.unwrap_or(0);
            match times.checked_sub(1) {
                None => return Err(Error::failed("the order is not in the book")),
                Some(0) => area.remove(&entry),
                Some(rest) => area.put(&entry, &rest)?,
            }
            let all = area.get::<u64>(book)?.unwrap_or(0);
            area.put(book, &all.saturating_sub(1))?;
            add_undone(area)
        })
        .await
    }

    /// Answers a question, in a transaction as all else.
    pub(super) async fn tell(
        &self,
        call: &Call,
        mut tell: impl FnMut(&mut AreaTxn<'_>) -> Result<String> + Send + 'static,
    ) -> Result<Reply> {
        let effects = effects_key(call);
        call.commit(move |area| {
            add_effect(area, effects)?;
            tell(area).map(Reply::from)
        })
        .await
    }

    /// Takes the answer to a question back: there is nothing to it but that it is counted.
    pub(super) async fn untell(&self, undo: &Undo) -> Result<()> {
        undo.commit(add_undone).await
    }

    pub(super) fn promoted(&self, area: &Area) {
        self.effects.promoted(area);
    }

    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        self.effects.read()
    }

    /// `count` answers how many entries there are.
    pub(super) fn command(&self, area: &Area, command: &str) -> Result<String> {
        if command.trim() != "count" {
            return Err(Error::failed("this service knows `count`"));
        }
        let entries = area.get::<u64>(self.trade.book)?.unwrap_or(0);
        Ok(json!({ self.trade.book: entries }).to_string())
    }

    fn entry(&self, order: &str) -> String {
        format!("{}/{order}", self.trade.book)
    }
}

/// A number of a request.
pub(super) fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|number| *number > 0)
}

/// What a request that nobody understands is answered with.
pub(super) fn unknown(text: &str, hint: &str) -> Error {
    Error::failed(format!("{text:?} is no request here; ask {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::alias;

    fn desk(options: serde_json::Value) -> Desk {
        let alias = alias("stock", options);
        let trade = Trade { book: "reservation", refusal: "out of stock", refuse_one_in: 10 };
        Desk::new(&Options::of(&alias), trade).unwrap()
    }

    #[test]
    fn the_same_orders_are_refused_each_time_and_by_each_process() {
        let refused = |desk: Desk| -> Vec<u64> {
            (0..1000).filter(|number| desk.refuses(&format!("caller/i1/{number}"))).collect()
        };
        let first = refused(desk(json!({})));
        assert!((60..140).contains(&first.len()), "{}", first.len());
        assert_eq!(first, refused(desk(json!({}))));
        assert_ne!(first, refused(desk(json!({ "seed": 1 }))));
        assert_eq!(refused(desk(json!({ "refuse_one_in": 0 }))), [0; 0]);
    }
}
