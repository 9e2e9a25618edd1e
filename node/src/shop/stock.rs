//! The stock of the shop: `reserve ORDER ITEM QUANTITY` takes pieces out of it, `price ITEM QUANTITY` answers what they
//! cost, and `read ITEM` how many are left.

use palib::control::TicketAlias;
use palib::{Area, AreaTxn, Call, Error, Reply, Result, Service, Undo};

use super::desk::{self, Desk, Trade, number, unknown};
use crate::NodeError;
use crate::options::Options;

/// Pieces of an item there are in the beginning.
const OPENING: u64 = 1_000_000;
/// What a piece costs; callers offer so much.
const PRICE: u64 = 10;

/// The service.
pub(crate) struct Stock {
    desk: Desk,
    opening: u64,
    price: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    Reserve { order: &'a str, item: &'a str, quantity: u64 },
    Price { quantity: u64 },
    Read { item: &'a str },
}

impl Stock {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&[&desk::OPTIONS[..], &["opening", "price"]].concat())?;
        let trade = Trade { book: "reservation", refusal: "out of stock", refuse_one_in: 12 };
        Ok(Self {
            desk: Desk::new(&options, trade)?,
            opening: options.number("opening")?.unwrap_or(OPENING),
            price: options.number("price")?.unwrap_or(PRICE),
        })
    }
}

impl Service for Stock {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let opening = self.opening;
        match parse(call.text()?)? {
            Request::Reserve { order, item, quantity } => {
                let item = item.to_owned();
                let take = move |area: &mut AreaTxn<'_>| {
                    let rest = left(area, &item, opening)?.checked_sub(quantity);
                    area.put(&pieces(&item), &rest.ok_or_else(|| Error::failed("not so many are left"))?)
                };
                self.desk.enter(&call, order, "reserved", take).await
            }
            Request::Price { quantity } => {
                let price = self.price.saturating_mul(quantity);
                self.desk.tell(&call, move |_| Ok(price.to_string())).await
            }
            Request::Read { item } => {
                let item = item.to_owned();
                self.desk.tell(&call, move |area| Ok(left(area, &item, opening)?.to_string())).await
            }
        }
    }

    async fn undo(&self, undo: Undo) -> Result<()> {
        let Request::Reserve { order, item, quantity } = parse(undo.text()?)? else {
            return self.desk.untell(&undo).await;
        };
        let (item, opening) = (item.to_owned(), self.opening);
        let put_back = move |area: &mut AreaTxn<'_>| {
            let more = left(area, &item, opening)?.saturating_add(quantity);
            area.put(&pieces(&item), &more)
        };
        self.desk.take_back(&undo, order, put_back).await
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

fn pieces(item: &str) -> String {
    format!("pieces/{item}")
}

fn left(area: &AreaTxn<'_>, item: &str, opening: u64) -> Result<u64> {
    Ok(area.get(&pieces(item))?.unwrap_or(opening))
}

fn parse(text: &str) -> Result<Request<'_>> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let request = match words[..] {
        ["reserve", order, item, quantity] => {
            number(quantity).map(|quantity| Request::Reserve { order, item, quantity })
        }
        ["price", _, quantity] => number(quantity).map(|quantity| Request::Price { quantity }),
        ["read", item] => Some(Request::Read { item }),
        _ => None,
    };
    request
        .ok_or_else(|| unknown(text, "`reserve ORDER ITEM QUANTITY`, `price ITEM QUANTITY` or `read ITEM`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_words() {
        let reserve = Request::Reserve { order: "caller/i1/7", item: "i3", quantity: 2 };
        assert_eq!(parse("reserve caller/i1/7 i3 2").unwrap(), reserve);
        assert_eq!(parse("price i3 2").unwrap(), Request::Price { quantity: 2 });
        assert_eq!(parse("read i3").unwrap(), Request::Read { item: "i3" });
        for wrong in ["", "reserve o i3", "reserve o i3 0", "price i3 -1", "read"] {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for a request");
        }
    }
}
