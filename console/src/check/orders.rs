//! Orders are answered with numbers: 1, 2, 3, … in the order in which they were completed. So they are the answers of
//! a counter that each order adds 1 to, and judged as such: no number twice, none left out, and none against time.
//!
//! An order that failed has no number. That nothing is left of it anywhere is not in a history; a run looks into the books.

use super::{Contradiction, Judged, Op, counter};

/// The number of an order; nothing if nobody knows its outcome.
pub(super) type What = Option<u64>;

/// Judges the orders of one alias.
pub(super) fn judge(ops: Vec<Op<What>>) -> Judged {
    let adds = ops.into_iter().map(|Op { line, invoke, ret, what: after }| {
        let what = counter::What::Add { amount: 1, after };
        Op { line, invoke, ret, what }
    });
    match counter::judge(adds.collect()) {
        Judged::Wrong(found) => {
            let text = format!("the numbers of orders: {}", found.text);
            Judged::Wrong(Contradiction { text, ..found })
        }
        judged => judged,
    }
}
