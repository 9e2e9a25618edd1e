//! Orders: `order ITEM QUANTITY AMOUNT` asks for the price and reserves the pieces at once, takes the payment, has the parcel
//! shipped, and answers the number of the order. The numbers are 1, 2, 3, … in the order in which orders were completed.
//!
//! If anybody refuses, or the pieces cost more than was offered, the order fails, and all that was done for it is undone.

use palib::control::TicketAlias;
use palib::{Area, Call, Error, Reply, Result, Service, Undo};
use serde_json::json;
use tokio::join;

use super::desk::{number, unknown};
use crate::NodeError;
use crate::options::Options;
use crate::relayed::{Calls, Relayed};

/// The number of the last order that was completed.
const LAST: &str = "last";
/// Numbers by orders: `order/caller/i1/7`.
const BOOK: &str = "order";

/// The service.
pub(crate) struct Orders {
    stock: String,
    payments: String,
    shipping: String,
    relayed: Relayed,
}

#[derive(Debug, PartialEq, Eq)]
struct Order<'a> {
    item: &'a str,
    quantity: u64,
    amount: u64,
}

impl Orders {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&["stock", "payments", "shipping"])?;
        let name = |option: &str| -> Result<String, NodeError> {
            Ok(options.text(option)?.unwrap_or_else(|| option.to_owned()))
        };
        let (stock, payments, shipping) = (name("stock")?, name("payments")?, name("shipping")?);
        let calls = [(&stock, 2), (&payments, 1), (&shipping, 1)];
        let relayed = Relayed::of(&calls.map(|(alias, calls)| (alias.as_str(), Calls::all(calls))));
        Ok(Self { stock, payments, shipping, relayed })
    }
}

impl Service for Orders {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let Order { item, quantity, amount } = parse(call.text()?)?;
        self.relayed.begins(&call);
        // What an order is called elsewhere must be the same in each run of this.
        let order = call.id_text();
        let (price, reserved) = join!(
            call.relay(&self.stock, format!("price {item} {quantity}")),
            call.relay(&self.stock, format!("reserve {order} {item} {quantity}")),
        );
        reserved?;
        let price: u64 = price?.text()?.parse().map_err(|_| Error::failed("the stock answered no price"))?;
        if price > amount {
            return Err(Error::failed(format!("that costs {price}, and {amount} was offered")));
        }
        call.relay(&self.payments, format!("pay {order} {price}")).await?;
        call.relay(&self.shipping, format!("ship {order} {item} {quantity}")).await?;
        let mut count = self.relayed.completed(&call);
        call.commit(move |area| {
            count(area)?;
            let number = area.get::<u64>(LAST)?.unwrap_or(0) + 1;
            area.put(LAST, &number)?;
            area.put(&format!("{BOOK}/{order}"), &number)?;
            Ok(Reply::from(number.to_string()))
        })
        .await
    }

    /// A relay may have ordered. What was called is undone already; the number stays unused.
    async fn undo(&self, undo: Undo) -> Result<()> {
        self.relayed.undo(undo).await
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.relayed.promoted(area)
    }

    /// `count` answers how many orders were completed.
    fn command(&self, area: &Area, command: &str) -> Result<String> {
        if command.trim() != "count" {
            return Err(Error::failed("this service knows `count`"));
        }
        let orders = area.get::<u64>(LAST)?.unwrap_or(0);
        Ok(json!({ BOOK: orders }).to_string())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.relayed.read()
    }
}

fn parse(text: &str) -> Result<Order<'_>> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let order = match words[..] {
        ["order", item, quantity, amount] => {
            number(quantity).zip(number(amount)).map(|(quantity, amount)| Order { item, quantity, amount })
        }
        _ => None,
    };
    order.ok_or_else(|| unknown(text, "`order ITEM QUANTITY AMOUNT`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_words() {
        assert_eq!(parse("order i3 2 20").unwrap(), Order { item: "i3", quantity: 2, amount: 20 });
        for wrong in ["", "order i3 2", "order i3 0 20", "order i3 2 many", "order i3 2 20 1"] {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for an order");
        }
    }
}
