//! The most and the least an account can have had when an answer was given.

use super::{Act, Contradiction, Ledger};
use crate::check::Kind;

/// Finds an answer that is wrong whichever of the transfers under way were done by then.
pub(super) fn contradiction(ledger: &Ledger) -> Option<Contradiction> {
    let entries = &ledger.entries;
    let mut by_invoke: Vec<usize> = (0..entries.len()).collect();
    by_invoke.sort_by_key(|&index| entries[index].invoke);
    let mut base = vec![ledger.opening; ledger.accounts.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut next = 0;
    for &index in &by_invoke {
        let (invoke, ret) = (entries[index].invoke, entries[index].ret);
        while let Some(&other) = by_invoke.get(next)
            && entries[other].invoke <= ret
        {
            if matches!(entries[other].act, Act::Move { .. }) {
                open.push(other);
            }
            next += 1;
        }
        open.retain(|&other| {
            let done = entries[other].ret < invoke;
            if let (true, Act::Move { from, to, amount }) = (done, &entries[other].act) {
                base[*from] -= amount;
                base[*to] += amount;
            }
            !done
        });
        let under_way = open.iter().copied().filter(|&other| other != index && entries[other].invoke <= ret);
        let found = match entries[index].act {
            _ if !entries[index].must => None,
            Act::Short { account, amount } => not_short(ledger, &base, under_way, account, amount),
            Act::Enough { account, amount } | Act::Move { from: account, amount, .. } => {
                not_enough(ledger, &base, under_way, account, amount)
            }
            Act::Read(_) => None,
        };
        if let Some((text, mut lines)) = found {
            lines.push(ledger.line(index));
            return Some(Contradiction { kind: Kind::WrongAnswer, text, lines });
        }
    }
    None
}

type Found = Option<(String, Vec<usize>)>;

fn not_short(
    ledger: &Ledger,
    base: &[i64],
    under_way: impl Iterator<Item = usize>,
    account: usize,
    amount: i64,
) -> Found {
    let gives =
        |&other: &usize| matches!(ledger.entries[other].act, Act::Move { from, .. } if from == account);
    let (sum, lines) = involved(ledger, under_way.filter(gives));
    let least = base[account] - sum;
    let text = || {
        let name = &ledger.accounts[account];
        format!(
            "a transfer of {amount} from {name} was answered false, and {name} had at least {least} at that time"
        )
    };
    (least >= amount).then(|| (text(), lines))
}

fn not_enough(
    ledger: &Ledger,
    base: &[i64],
    under_way: impl Iterator<Item = usize>,
    account: usize,
    amount: i64,
) -> Found {
    let gets = |&other: &usize| matches!(ledger.entries[other].act, Act::Move { to, .. } if to == account);
    let (sum, lines) = involved(ledger, under_way.filter(gets));
    let most = base[account] + sum;
    let text = || {
        let name = &ledger.accounts[account];
        format!(
            "a transfer of {amount} from {name} was answered true, and {name} had at most {most} at that time"
        )
    };
    (most < amount).then(|| (text(), lines))
}

fn involved(ledger: &Ledger, others: impl Iterator<Item = usize>) -> (i64, Vec<usize>) {
    let mut sum = 0;
    let mut lines = Vec::new();
    for other in others {
        if let Act::Move { amount, .. } = ledger.entries[other].act {
            sum += amount;
            lines.push(ledger.line(other));
        }
    }
    (sum, lines)
}
