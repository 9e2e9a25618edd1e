//! Accounts in the stable area: both balances and the outcome of a transfer become durable in one transaction.
//!
//! `transfer FROM TO AMOUNT` answers `true`, or `false` where funds lack; `read` answers all balances as JSON. An
//! account opens when it is first named. A transfer that its caller, a relay, cancels is made back, if the money is still
//! there.
//!
//! Behind an answer to a caller stands its number, as in `true #17`: the how manieth request it was. So a history says in which
//! order the ledger took them; to find such an order from balances alone is hopeless with many callers at once.

use std::collections::BTreeMap;
use std::time::Duration;

use palib::control::TicketAlias;
use palib::{Area, AreaTxn, Call, Error, RedProcess, Reply, Result, Service, Undo};

use crate::NodeError;
use crate::effects::{Effects, add_effect, add_undone, effects_key, is_of_operators, work};
use crate::options::Options;

/// What an account opens with, unless the cluster file says otherwise.
pub(crate) const OPENING: u64 = 1000;
/// How many accounts `a0`, `a1`, … there are from the beginning.
const ACCOUNTS: u64 = 16;

/// The service.
pub(crate) struct Ledger {
    effects: Effects,
    accounts: u64,
    opening: u64,
    work: Duration,
}

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    Transfer { from: &'a str, to: &'a str, amount: u64 },
    Read,
}

impl Ledger {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&["accounts", "opening", "work"])?;
        Ok(Self {
            effects: Effects::default(),
            accounts: options.number("accounts")?.unwrap_or(ACCOUNTS),
            opening: options.number("opening")?.unwrap_or(OPENING),
            work: options.time("work")?.unwrap_or_default(),
        })
    }

    async fn transfer(&self, call: &Call, from: &str, to: &str, amount: u64) -> Result<Reply> {
        let (from, to, opening, effects) = (account(from), account(to), self.opening, effects_key(call));
        call.commit(move |area| {
            let moved = shift(area, opening, &from, &to, amount)?;
            let number = add_effect(area, effects)?;
            Ok(numbered(if moved.is_some() { DONE } else { "false" }, effects, number))
        })
        .await
    }

    async fn read(&self, call: &Call) -> Result<Reply> {
        let (accounts, opening, effects) = (self.accounts, self.opening, effects_key(call));
        call.commit(move |area| {
            let mut balances: BTreeMap<String, u64> =
                (0..accounts).map(|number| (format!("a{number}"), opening)).collect();
            area.scan::<u64>(ACCOUNT, |key, balance| {
                balances.insert(key[ACCOUNT.len()..].to_owned(), balance);
                true
            })?;
            let number = add_effect(area, effects)?;
            let balances = serde_json::to_string(&balances);
            balances
                .map(|balances| numbered(&balances, effects, number))
                .map_err(|error| Error::failed(error.to_string()))
        })
        .await
    }
}

impl Service for Ledger {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let request = parse(call.text()?)?;
        work(self.work).await;
        match request {
            Request::Transfer { from, to, amount } => self.transfer(&call, from, to, amount).await,
            Request::Read => self.read(&call).await,
        }
    }

    async fn undo(&self, undo: Undo) -> Result<()> {
        let moved = matches!(undo.registered(), RedProcess::AutoReply(reply) if reply.bytes().starts_with(DONE.as_bytes()));
        let back = match parse(undo.text()?)? {
            Request::Transfer { from, to, amount } if moved => Some((account(from), account(to), amount)),
            Request::Transfer { .. } | Request::Read => None,
        };
        let opening = self.opening;
        undo.commit(move |area| {
            if let Some((from, to, amount)) = &back {
                shift(area, opening, to, from, *amount)?
                    .ok_or_else(|| Error::failed("the money has been spent"))?;
            }
            add_undone(area)
        })
        .await
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.effects.promoted(area);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.effects.read()
    }
}

const ACCOUNT: &str = "account/";
/// What a transfer is answered that was done.
const DONE: &str = "true";

/// An answer with its number. What operators ask by hand is counted apart, and is no part of any history.
fn numbered(answer: &str, effects: &str, number: u64) -> Reply {
    Reply::from(if is_of_operators(effects) { answer.to_owned() } else { format!("{answer} #{number}") })
}

fn account(name: &str) -> String {
    format!("{ACCOUNT}{name}")
}

/// Moves money from one account to another; nothing where funds lack.
fn shift(area: &mut AreaTxn<'_>, opening: u64, from: &str, to: &str, amount: u64) -> Result<Option<()>> {
    let balance =
        |area: &AreaTxn<'_>, account: &str| -> Result<u64> { Ok(area.get(account)?.unwrap_or(opening)) };
    let Some(rest) = balance(area, from)?.checked_sub(amount) else { return Ok(None) };
    area.put(from, &rest)?;
    let sum = balance(area, to)?.checked_add(amount);
    area.put(to, &sum.ok_or_else(|| Error::failed("the account is full"))?)?;
    Ok(Some(()))
}

fn parse(text: &str) -> Result<Request<'_>> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let request = match words[..] {
        ["transfer", from, to, amount] => {
            amount.parse().ok().map(|amount| Request::Transfer { from, to, amount })
        }
        ["read"] => Some(Request::Read),
        _ => None,
    };
    let hint = "ask `transfer FROM TO AMOUNT` or `read`";
    request.ok_or_else(|| Error::failed(format!("{text:?} is no request to a ledger; {hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_words() {
        let transfer = Request::Transfer { from: "a1", to: "a2", amount: 7 };
        assert_eq!(parse("transfer a1 a2 7").unwrap(), transfer);
        assert_eq!(parse("read").unwrap(), Request::Read);
        for wrong in ["", "transfer a1 a2", "transfer a1 a2 -1", "read a1"] {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for a request");
        }
    }
}
