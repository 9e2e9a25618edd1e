//! From lines to calls: lines of one id become one call, and the calls fall into parts that are judged one by one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::Value;

use super::{BadLine, Calls, Contradiction, Kind, Op, counter, files, ledger, orders};
use crate::history::{History, Line, Status};

/// A part of a history that has a state of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) target: String,
    model: Model,
    pub(super) key: Option<String>,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = match self.model {
            Model::Counter => "counter",
            Model::File => "file",
            Model::Ledger => "ledger",
            Model::Orders => "orders",
        };
        let separator = if self.target.is_empty() { "" } else { " " };
        write!(out, "{}{separator}{model}", self.target)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(out, " {key}"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Model {
    Counter,
    File,
    Ledger,
    Orders,
}

/// The calls of a part.
pub(super) enum Ops {
    Counter(Vec<Op<counter::What>>),
    File(Vec<Op<files::What>>),
    Ledger(Vec<Op<ledger::Asked>>),
    Orders(Vec<Op<orders::What>>),
}

/// What [`gather`] made of a history.
pub(super) struct Gathered {
    pub(super) calls: Calls,
    pub(super) repeated: usize,
    pub(super) parts: BTreeMap<Part, Ops>,
    pub(super) contradictions: Vec<(Part, Contradiction)>,
}

/// Puts the lines of a history together.
pub(super) fn gather(history: &History) -> Result<Gathered, BadLine> {
    let mut gathered =
        Gathered { calls: Calls::default(), repeated: 0, parts: BTreeMap::new(), contradictions: Vec::new() };
    for call in calls(history, &mut gathered)? {
        match call.status {
            Status::Ok => gathered.calls.acked += 1,
            // It had no effect and its answer says nothing about the state.
            Status::Fail => {
                gathered.calls.failed += 1;
                continue;
            }
            Status::Info => gathered.calls.unknown += 1,
        }
        let line = &history.lines[call.line].1;
        take(line, &call, &mut gathered.parts)
            .map_err(|reason| BadLine { at: history.place(call.line), reason })?;
    }
    Ok(gathered)
}

/// A call, from all its lines.
struct Call {
    /// The line that says the most.
    line: usize,
    invoke: u64,
    ret: u64,
    status: Status,
}

fn calls(history: &History, gathered: &mut Gathered) -> Result<Vec<Call>, BadLine> {
    let mut calls: Vec<Call> = Vec::with_capacity(history.lines.len());
    let mut by_id: HashMap<&str, (usize, u32)> = HashMap::new();
    for (index, (_, line)) in history.lines.iter().enumerate() {
        let bad = |reason: &str| BadLine { at: history.place(index), reason: reason.to_owned() };
        let ret = match (line.status, line.return_ns) {
            (Status::Info, _) => u64::MAX,
            (_, Some(ret)) if ret >= line.invoke_ns => ret,
            (_, Some(_)) => return Err(bad("return_ns is before invoke_ns")),
            (_, None) => return Err(bad("a call with status ok or fail needs its return_ns")),
        };
        let call = Call { line: index, invoke: line.invoke_ns, ret, status: line.status };
        let Some(id) = line.id.as_deref() else {
            calls.push(call);
            continue;
        };
        match by_id.get_mut(id) {
            None => {
                by_id.insert(id, (calls.len(), 1));
                calls.push(call);
            }
            Some((known, times)) => {
                *times += 1;
                gathered.repeated += usize::from(*times == 2);
                join(history, gathered, &mut calls[*known], call);
            }
        }
    }
    Ok(calls)
}

/// A second line of a call: its caller was killed after it wrote the first one and before it dropped the call, or
/// gave up waiting and asked again later.
fn join(history: &History, gathered: &mut Gathered, known: &mut Call, again: Call) {
    let (first, second) = (&history.lines[known.line].1, &history.lines[again.line].1);
    let id = second.id.as_deref().unwrap_or_default();
    let mut contradiction = |kind, text| {
        // Which part it belongs to does not matter for the verdict: name what the line names.
        let part = Part {
            target: second.target.clone().unwrap_or_default(),
            model: Model::Counter,
            key: second.key.clone(),
        };
        let found = Contradiction { kind, text, lines: vec![known.line, again.line] };
        gathered.contradictions.push((part, found));
    };
    if (&first.op, &first.key, &first.arg, &first.target)
        != (&second.op, &second.key, &second.arg, &second.target)
    {
        contradiction(Kind::ReusedId, format!("{id} stands for two different requests"));
        return;
    }
    let answered = |status| status != Status::Info;
    if answered(known.status) && answered(again.status) {
        if known.status != again.status || (&first.result, first.number) != (&second.result, second.number) {
            let text = format!("{id} was answered twice: first {}, then {}", answer(first), answer(second));
            contradiction(Kind::TwoAnswers, text);
        }
    } else if answered(again.status) {
        known.line = again.line;
        known.status = again.status;
    }
    // The answer was there when it was first read, so the call had happened by then.
    known.invoke = known.invoke.min(again.invoke);
    known.ret = known.ret.min(again.ret);
}

fn answer(line: &Line) -> String {
    match (line.status, line.number) {
        (Status::Fail, _) => format!("failed ({})", line.result),
        (_, None) => line.result.to_string(),
        (_, Some(number)) => format!("{} #{number}", line.result),
    }
}

/// Adds a call to the part it belongs to. Calls that say nothing at all (a read without an answer) are left out.
fn take(line: &Line, call: &Call, parts: &mut BTreeMap<Part, Ops>) -> Result<(), String> {
    let known = call.status == Status::Ok;
    let part = |model| Part {
        target: line.target.clone().unwrap_or_default(),
        model,
        key: match model {
            Model::Ledger | Model::Orders => None,
            Model::Counter | Model::File => Some(line.key.clone().unwrap_or_default()),
        },
    };
    match line.op.as_str() {
        "inc" => {
            let amount = number(&line.arg).ok_or("inc needs a whole number as arg, not below 0")?;
            let after = if known {
                Some(number(&line.result).ok_or("inc needs a whole number as result")?)
            } else {
                None
            };
            let Ops::Counter(ops) =
                parts.entry(part(Model::Counter)).or_insert_with(|| Ops::Counter(Vec::new()))
            else {
                unreachable!("a part's model is part of its name")
            };
            ops.push(op(call, counter::What::Add { amount, after }));
        }
        "read" if !known => {}
        "read" if line.result.is_object() => {
            let balances = balances(&line.result).ok_or("a ledger's read needs whole numbers as balances")?;
            let asked = ledger::Asked { what: ledger::What::Read(balances), number: line.number };
            push_ledger(parts, part(Model::Ledger), op(call, asked));
        }
        "read" => {
            let value = number(&line.result)
                .ok_or("read needs a whole number (counter) or an object of balances (ledger) as result")?;
            let Ops::Counter(ops) =
                parts.entry(part(Model::Counter)).or_insert_with(|| Ops::Counter(Vec::new()))
            else {
                unreachable!("a part's model is part of its name")
            };
            ops.push(op(call, counter::What::Read { value }));
        }
        "transfer" => {
            let what = transfer(line, known).ok_or(
                "transfer needs {\"from\", \"to\", \"amount\"} as arg, the amount a whole number, and true or false as result",
            )?;
            let asked = ledger::Asked { what, number: line.number.filter(|_| known) };
            push_ledger(parts, part(Model::Ledger), op(call, asked));
        }
        "create" | "delete" => {
            let done = if known {
                Some(truth(&line.result).ok_or("create and delete need true or false as result")?)
            } else {
                None
            };
            let what = files::What { creates: line.op == "create", done };
            let Ops::File(ops) = parts.entry(part(Model::File)).or_insert_with(|| Ops::File(Vec::new()))
            else {
                unreachable!("a part's model is part of its name")
            };
            ops.push(op(call, what));
        }
        "order" => push_order(parts, part(Model::Orders), op(call, order(line, known)?)),
        // Its answer tells nothing of others: the run compares sums instead.
        "add" => {}
        other => {
            let known = "inc, read, transfer, create, delete, order and add";
            return Err(format!("unknown op `{other}`: known are {known}"));
        }
    }
    Ok(())
}

fn op<W>(call: &Call, what: W) -> Op<W> {
    Op { line: call.line, invoke: call.invoke, ret: call.ret, what }
}

fn push_ledger(parts: &mut BTreeMap<Part, Ops>, part: Part, op: Op<ledger::Asked>) {
    let Ops::Ledger(ops) = parts.entry(part).or_insert_with(|| Ops::Ledger(Vec::new())) else {
        unreachable!("a part's model is part of its name")
    };
    ops.push(op);
}

fn push_order(parts: &mut BTreeMap<Part, Ops>, part: Part, op: Op<orders::What>) {
    let Ops::Orders(ops) = parts.entry(part).or_insert_with(|| Ops::Orders(Vec::new())) else {
        unreachable!("a part's model is part of its name")
    };
    ops.push(op);
}

fn order(line: &Line, known: bool) -> Result<orders::What, String> {
    if !known {
        return Ok(None);
    }
    let number = number(&line.result).filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| "order needs a whole number, above 0, as result".to_owned())
}

/// A whole number, also where it was written as text. Kept below 2^53 so that sums of them can't run over.
fn number(value: &Value) -> Option<u64> {
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        other => other.as_u64()?,
    };
    (number < 1 << 53).then_some(number)
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_bool(),
    }
}

fn balances(value: &Value) -> Option<Vec<(String, i64)>> {
    let each = |(account, balance): (&String, &Value)| Some((account.clone(), balance.as_i64()?));
    value.as_object()?.iter().map(each).collect()
}

fn transfer(line: &Line, known: bool) -> Option<ledger::What> {
    let text = |name: &str| line.arg.get(name).and_then(Value::as_str).map(str::to_owned);
    let amount = i64::try_from(number(line.arg.get("amount")?)?).ok()?;
    let done = if known { Some(truth(&line.result)?) } else { None };
    Some(ledger::What::Transfer { from: text("from")?, to: text("to")?, amount, done })
}
