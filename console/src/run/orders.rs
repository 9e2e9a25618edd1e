//! The books of a shop at rest against the orders as their callers have them: every acknowledged order has exactly one
//! reservation, one payment and one shipment; every other one has none; and there is nothing without an order.

use std::collections::{BTreeMap, BTreeSet};

use palib::stable::{AreaError, Inspection};

use super::books::{Book, entries};
use crate::cluster::{AliasSpec, ClusterFile};
use crate::history::{History, Status};

/// The option of a shop that names a server of it, which is also that server's kind, and the book it keeps.
const SERVERS: [(&str, &str); 3] =
    [("stock", "reservation"), ("payments", "payment"), ("shipping", "shipment")];
/// Of contradictions of one kind so many are told one by one.
const TOLD_MAX: usize = 20;

/// Compares each shop of the cluster with the history, and says what does not fit.
pub(super) fn audit(
    file: &ClusterFile,
    areas: &BTreeMap<&str, Inspection>,
    history: &History,
) -> Result<Vec<String>, AreaError> {
    let mut wrong = Vec::new();
    for shop in file.aliases.iter().filter(|alias| alias.kind.as_deref() == Some("orders")) {
        let Some(area) = areas.get(shop.name.as_str()) else { continue };
        let numbers = entries(area, "order/")?;
        compare_numbers(shop, &numbers, history, &mut wrong);
        for (option, book) in SERVERS {
            let server = shop.options.get(option).and_then(|name| name.as_str()).unwrap_or(option);
            // A server that was never asked has no area, and no entries.
            let found = match areas.get(server) {
                Some(area) => entries(area, &format!("{book}/"))?,
                None => Book::new(),
            };
            // Another shop may have the same server, and its orders are in the book as well.
            let others = shops_with(file, option, server).filter(|other| *other != shop.name);
            let mut elsewhere = BTreeSet::new();
            for other in others.filter_map(|other| areas.get(other)) {
                elsewhere.extend(entries(other, "order/")?.into_keys());
            }
            compare_book(server, book, &numbers, &found, &elsewhere, &mut wrong);
        }
    }
    Ok(wrong)
}

/// The shops that have this server.
fn shops_with<'a>(file: &'a ClusterFile, option: &'a str, server: &'a str) -> impl Iterator<Item = &'a str> {
    let shops = file.aliases.iter().filter(|alias| alias.kind.as_deref() == Some("orders"));
    let named = move |shop: &&AliasSpec| {
        shop.options.get(option).and_then(|name| name.as_str()).unwrap_or(option) == server
    };
    shops.filter(named).map(|shop| shop.name.as_str())
}

/// What callers were told against what the shop has written down.
fn compare_numbers(shop: &AliasSpec, numbers: &Book, history: &History, wrong: &mut Vec<String>) {
    let name = shop.name.as_str();
    let mut told: BTreeMap<&str, (Status, Option<u64>)> = BTreeMap::new();
    let lines = history.lines.iter().map(|(_, line)| line);
    for line in lines.filter(|line| line.op == "order" && line.target.as_deref() == Some(name)) {
        let Some(id) = line.id.as_deref() else { continue };
        let known = told.get(id).is_some_and(|(status, _)| *status != Status::Info);
        if !known {
            told.insert(id, (line.status, line.result.as_u64()));
        }
    }
    let mut found = Vec::new();
    for (id, (status, number)) in &told {
        match (status, number, numbers.get(*id)) {
            (Status::Ok, Some(number), Some(written)) if number == written => {}
            (Status::Ok, _, written) => {
                found.push(format!(
                    "{name}: order {id} was answered {number:?}, and is {written:?} in its book"
                ));
            }
            (Status::Fail, _, Some(written)) => {
                found.push(format!("{name}: order {id} failed, and is number {written} in its book"));
            }
            (Status::Fail | Status::Info, ..) => {}
        }
    }
    let unknown = |id: &&String| !told.contains_key(id.as_str()) && !id.starts_with("operator/");
    // Only the callers of the cluster file write histories; what other relays order is not in them.
    if !told.is_empty() {
        let ordered_here = numbers.keys().filter(unknown);
        found.extend(ordered_here.map(|id| format!("{name}: nobody ordered {id}, and it is in the book")));
    }
    tell(found, wrong);
}

/// The book of one server against the orders that were completed.
fn compare_book(
    server: &str,
    book: &str,
    orders: &Book,
    found: &Book,
    elsewhere: &BTreeSet<String>,
    wrong: &mut Vec<String>,
) {
    let without = orders.keys().filter(|id| !found.contains_key(*id));
    tell(without.map(|id| format!("{server}: order {id} has no {book}")).collect(), wrong);
    let stray = found.keys().filter(|id| !orders.contains_key(*id) && !elsewhere.contains(*id));
    tell(stray.map(|id| format!("{server}: there is a {book} for {id}, which is no order")).collect(), wrong);
    let again = found.iter().filter(|(_, times)| **times != 1);
    tell(
        again.map(|(id, times)| format!("{server}: order {id} has its {book} {times} times")).collect(),
        wrong,
    );
}

/// The first of them one by one, the rest as a number.
fn tell(mut found: Vec<String>, wrong: &mut Vec<String>) {
    let more = found.len().saturating_sub(TOLD_MAX);
    found.truncate(TOLD_MAX);
    wrong.append(&mut found);
    if more > 0 {
        wrong.push(format!("and {more} more of the kind"));
    }
}
