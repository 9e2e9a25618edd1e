//! The shipping of the shop: `ship ORDER ITEM QUANTITY` hands a parcel to a carrier.

use palib::control::TicketAlias;
use palib::{Area, Call, Reply, Result, Service, Undo};

use super::desk::{self, Desk, Trade, number, unknown};
use crate::NodeError;
use crate::options::Options;

/// The service.
pub(crate) struct Shipping {
    desk: Desk,
}

impl Shipping {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&desk::OPTIONS)?;
        let trade = Trade { book: "shipment", refusal: "no carrier goes there", refuse_one_in: 20 };
        Ok(Self { desk: Desk::new(&options, trade)? })
    }
}

impl Service for Shipping {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let order = parse(call.text()?)?;
        self.desk.enter(&call, order, "shipped", |_| Ok(())).await
    }

    async fn undo(&self, undo: Undo) -> Result<()> {
        let order = parse(undo.text()?)?;
        self.desk.take_back(&undo, order, |_| Ok(())).await
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.desk.promoted(area);
        Ok(())
    }

    fn command(&self, area: &Area, command: &str) -> Result<String> {
        self.desk.command(area, command)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.desk.counters()
    }
}

/// The order; what lies in the parcel is on its label only.
fn parse(text: &str) -> Result<&str> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let request = match words[..] {
        ["ship", order, _, quantity] => number(quantity).map(|_| order),
        _ => None,
    };
    request.ok_or_else(|| unknown(text, "`ship ORDER ITEM QUANTITY`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_words() {
        assert_eq!(parse("ship caller/i1/7 i3 2").unwrap(), "caller/i1/7");
        for wrong in ["", "ship o i3", "ship o i3 0", "ship o i3 1 2"] {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for a request");
        }
    }
}
