//! The payments of the shop: `pay ORDER AMOUNT` takes money from the card of whoever ordered. `tell payments takings` answers
//! how much there is altogether.

use palib::control::TicketAlias;
use palib::{Area, AreaTxn, Call, Error, Reply, Result, Service, Undo};

use super::desk::{self, Desk, Trade, number, unknown};
use crate::NodeError;
use crate::effects::add;
use crate::options::Options;

/// The service.
pub(crate) struct Payments {
    desk: Desk,
}

/// All money taken.
const TAKINGS: &str = "takings";

impl Payments {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&desk::OPTIONS)?;
        let trade = Trade { book: "payment", refusal: "card declined", refuse_one_in: 8 };
        Ok(Self { desk: Desk::new(&options, trade)? })
    }
}

impl Service for Payments {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let (order, amount) = parse(call.text()?)?;
        self.desk.enter(&call, order, "paid", move |area| add(area, TAKINGS, amount)).await
    }

    async fn undo(&self, undo: Undo) -> Result<()> {
        let (order, amount) = parse(undo.text()?)?;
        let give_back = move |area: &mut AreaTxn<'_>| {
            let rest = area.get::<u64>(TAKINGS)?.unwrap_or(0).checked_sub(amount);
            area.put(TAKINGS, &rest.ok_or_else(|| Error::failed("the money is not there"))?)
        };
        self.desk.take_back(&undo, order, give_back).await
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.desk.promoted(area);
        Ok(())
    }

    fn command(&self, area: &Area, command: &str) -> Result<String> {
        if command.trim() == TAKINGS {
            return Ok(area.get::<u64>(TAKINGS)?.unwrap_or(0).to_string());
        }
        self.desk.command(area, command)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.desk.counters()
    }
}

fn parse(text: &str) -> Result<(&str, u64)> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let request = match words[..] {
        ["pay", order, amount] => number(amount).map(|amount| (order, amount)),
        _ => None,
    };
    request.ok_or_else(|| unknown(text, "`pay ORDER AMOUNT`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_words() {
        assert_eq!(parse("pay caller/i1/7 20").unwrap(), ("caller/i1/7", 20));
        for wrong in ["", "pay", "pay o", "pay o 0", "pay o 1 2", "count"] {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for a request");
        }
    }
}
