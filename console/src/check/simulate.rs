//! Histories as real services would have answered them: several callers at once, each call happening at some moment
//! between its asking and its answer. For tests.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::history::{History, Line, Place, Status};

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Counter,
    Ledger,
    Files,
}

/// How a simulation goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) service: Service,
    pub(crate) calls: usize,
    pub(crate) callers: usize,
    pub(crate) keys: usize,
    pub(crate) seed: u64,
    /// Of 1000 calls, how many are never answered.
    pub(crate) unknown: u32,
    /// Of 1000 calls, how many are written twice.
    pub(crate) repeated: u32,
    /// What the accounts of a ledger move at most; they open with 1000.
    pub(crate) amount_max: i64,
    /// Whether a ledger numbers its answers.
    pub(crate) numbered: bool,
}

impl Plan {
    pub(crate) fn of(service: Service, calls: usize, callers: usize, seed: u64) -> Self {
        Self {
            service,
            calls,
            callers,
            keys: 8,
            seed,
            unknown: 5,
            repeated: 5,
            amount_max: 100,
            numbered: false,
        }
    }
}

/// A call, and when it happened.
struct Simulated {
    happened: u64,
    line: Line,
}

/// A history that is right.
pub(crate) fn simulate(plan: Plan) -> History {
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let mut calls = Vec::with_capacity(plan.calls);
    let mut free_at = vec![0_u64; plan.callers];
    for number in 0..plan.calls {
        let caller = (0..plan.callers).min_by_key(|&caller| free_at[caller]).expect("there is a caller");
        let invoke = free_at[caller] + random.random_range(1..50);
        let happened = invoke + random.random_range(0..400);
        // Now and then a call is held up by a takeover.
        let slow = if random.random_ratio(1, 100) { 5_000 } else { 400 };
        let ret = happened + random.random_range(0..slow);
        free_at[caller] = ret;
        let (op, key, arg) = request(plan, &mut random);
        let line = Line {
            process: format!("caller-{caller}"),
            op: op.to_owned(),
            key,
            arg,
            result: Value::Null,
            id: Some(format!("caller/i1/{number}")),
            invoke_ns: invoke,
            return_ns: Some(ret),
            status: Status::Ok,
            number: None,
            target: None,
        };
        calls.push(Simulated { happened, line });
    }
    calls.sort_by_key(|call| call.happened);
    answer(plan, &mut calls);
    write(plan, &mut random, calls)
}

fn request(plan: Plan, random: &mut SmallRng) -> (&'static str, Option<String>, Value) {
    let key = Some(format!("k{}", random.random_range(0..plan.keys)));
    match plan.service {
        Service::Counter if random.random_ratio(1, 4) => ("read", key, Value::Null),
        Service::Counter => ("inc", key, json!(random.random_range(1..10))),
        Service::Ledger if random.random_ratio(1, 5) => ("read", None, Value::Null),
        Service::Ledger => {
            let mut account = || format!("a{}", random.random_range(0..plan.keys));
            let (from, to) = (account(), account());
            let amount = random.random_range(0..=plan.amount_max);
            ("transfer", None, json!({ "from": from, "to": to, "amount": amount }))
        }
        Service::Files if random.random_ratio(1, 2) => ("create", key, Value::Null),
        Service::Files => ("delete", key, Value::Null),
    }
}

/// Answers the calls in the order in which they happened.
fn answer(plan: Plan, calls: &mut [Simulated]) {
    let mut counters = std::collections::BTreeMap::<String, u64>::new();
    let mut balances: std::collections::BTreeMap<String, i64> =
        (0..plan.keys).map(|account| (format!("a{account}"), 1000)).collect();
    let mut files = std::collections::BTreeSet::new();
    for (Simulated { line, .. }, number) in calls.iter_mut().zip(1..) {
        line.number = plan.numbered.then_some(number);
        let key = line.key.clone().unwrap_or_default();
        line.result = match line.op.as_str() {
            "inc" => {
                let value = counters.entry(key).or_default();
                *value += line.arg.as_u64().expect("it is a number");
                json!(*value)
            }
            "read" if line.key.is_some() => json!(counters.get(&key).copied().unwrap_or_default()),
            "read" => json!(balances),
            "transfer" => {
                let text = |name: &str| line.arg[name].as_str().expect("it is text").to_owned();
                let amount = line.arg["amount"].as_i64().expect("it is a number");
                let enough = balances[&text("from")] >= amount;
                if enough {
                    *balances.get_mut(&text("from")).expect("it is there") -= amount;
                    *balances.get_mut(&text("to")).expect("it is there") += amount;
                }
                json!(enough)
            }
            "create" => json!(files.insert(key)),
            _ => json!(files.remove(&key)),
        };
    }
}

/// As the callers write it: some calls twice, some without an answer.
fn write(plan: Plan, random: &mut SmallRng, calls: Vec<Simulated>) -> History {
    let mut lines: Vec<Line> = Vec::with_capacity(calls.len());
    for Simulated { mut line, .. } in calls {
        if random.random_ratio(plan.repeated, 1000) {
            let mut again = line.clone();
            again.return_ns = line.return_ns.map(|ret| ret + 700);
            again.process = "backup".to_owned();
            lines.push(again);
        } else if random.random_ratio(plan.unknown, 1000) {
            line.status = Status::Info;
            line.return_ns = None;
            line.result = Value::Null;
            line.number = None;
        }
        lines.push(line);
    }
    lines.sort_by_key(|line| line.return_ns);
    let place = |line| Place { file: 0, line };
    let lines = lines.into_iter().enumerate().map(|(index, line)| (place(index + 1), line)).collect();
    History { files: vec!["simulated".to_owned()], lines, ..History::default() }
}
