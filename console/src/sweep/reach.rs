//! Which defect points an alias can pass, as far as its cluster file tells.
//!
//! Of a command of the user's own nothing is known, so it may pass all of them. Where a stock service is said to be unable
//! to pass a point that is because of what it is, never because it was not seen to do so.

use palib::control::Policy;
use palib::defect::{Part, Point};

use crate::cluster::{AliasSpec, ClusterFile};

/// Who calls whom, by name: `(caller, called)`.
pub(super) fn edges(file: &ClusterFile) -> Vec<(String, String)> {
    let mut edges = Vec::new();
    for alias in &file.aliases {
        let mut called: Vec<&str> = alias.options.values().flat_map(texts).collect();
        if alias.kind.as_deref() == Some("orders") {
            // Unless they have other names, which then stand in its options.
            called.extend(
                ["stock", "payments", "shipping"].iter().filter(|it| !alias.options.contains_key(**it)),
            );
        }
        let known = called.into_iter().filter(|name| *name != alias.name && file.alias(name).is_some());
        edges.extend(known.map(|name| (alias.name.clone(), name.to_owned())));
    }
    edges
}

fn texts(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(values) => values.iter().filter_map(|value| value.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// The aliases that call this one.
pub(super) fn callers<'f>(file: &'f ClusterFile, alias: &str) -> Vec<&'f AliasSpec> {
    let edges = edges(file);
    let calls = |name: &str| edges.iter().any(|(from, to)| from == name && to == alias);
    file.aliases.iter().filter(|other| calls(&other.name)).collect()
}

/// Whether transactions of this relay may go back at a takeover.
pub(super) fn turns_at_takeover(alias: &AliasSpec) -> bool {
    relays(alias) && alias.on_takeover != Policy::RollForward
}

fn is(alias: &AliasSpec, kinds: &[&str]) -> bool {
    alias.kind.as_deref().is_none_or(|kind| kinds.contains(&kind))
}

/// Whether it calls others on behalf of its callers; the shop's orders also take back what failed.
fn relays(alias: &AliasSpec) -> bool {
    is(alias, &["relay", "orders"])
}

fn turns(alias: &AliasSpec) -> bool {
    turns_at_takeover(alias) || is(alias, &["orders"])
}

/// Why an alias can't pass a point; none if it may.
pub(super) fn why_not(file: &ClusterFile, alias: &AliasSpec, point: Point) -> Option<&'static str> {
    let only_calls = alias.kind.as_deref() == Some("caller");
    match point.part() {
        Part::Ftm => Some("it is passed by the FTM only"),
        Part::Server if only_calls => Some("it serves nobody"),
        Part::Server => server(file, alias, point),
        Part::Caller => caller(alias, point, only_calls),
        Part::Relay if !relays(alias) => Some("it calls nobody on behalf of others"),
        Part::Relay => relay(file, alias, point),
        Part::Takeover => {
            let asks = matches!(point, Point::BeforeAsk | Point::AfterAsk);
            (asks && !is(alias, &["files"])).then_some("it leaves no call in doubt")
        }
    }
}

fn server(file: &ClusterFile, alias: &AliasSpec, point: Point) -> Option<&'static str> {
    use Point::{
        AfterBlock, AfterConfirm, AfterExecute, AfterHandler, AfterReceiveCancel, AfterTombstone, AfterUndo,
        AfterUndoing, BeforeBlock, BeforeConfirm, BeforeHandler, BeforeTombstone, BeforeUndo, BeforeUndoing,
    };
    match point {
        BeforeBlock | AfterBlock if !is(alias, &["files"]) => {
            Some("its changes and outcomes are one transaction, without a roll-forward point")
        }
        AfterExecute if alias.kind.as_deref() == Some("files") => {
            Some("it registers the outcome before its handler returns")
        }
        BeforeHandler | AfterHandler if !is(alias, &["files"]) => Some("its outcomes are replies"),
        AfterReceiveCancel | BeforeUndoing | AfterUndoing | BeforeUndo | AfterUndo | BeforeTombstone
        | AfterTombstone | BeforeConfirm | AfterConfirm
            if !may_be_cancelled(file, alias) =>
        {
            Some("nobody cancels what it was asked")
        }
        _ => None,
    }
}

/// Whether a relay that may go back calls it, or one that is called by such a relay.
fn may_be_cancelled(file: &ClusterFile, alias: &AliasSpec) -> bool {
    let (mut seen, mut open) = (vec![alias.name.as_str()], vec![alias.name.as_str()]);
    while let Some(name) = open.pop() {
        for caller in callers(file, name).into_iter().filter(|caller| relays(caller)) {
            if turns(caller) {
                return true;
            }
            if !seen.contains(&caller.name.as_str()) {
                seen.push(&caller.name);
                open.push(&caller.name);
            }
        }
    }
    false
}

fn caller(alias: &AliasSpec, point: Point, only_calls: bool) -> Option<&'static str> {
    use Point::{
        AfterChange, AfterConsume, AfterOutbox, AfterSendMark, BeforeChange, BeforeConsume, BeforeOutbox,
        BeforeSendMark,
    };
    let own = only_calls || alias.kind.is_none();
    match point {
        _ if !own && !relays(alias) => Some("it calls nobody"),
        BeforeOutbox | AfterOutbox | BeforeConsume | AfterConsume | BeforeChange | AfterChange if !own => {
            Some("its calls lie in its journal, not in an outbox")
        }
        BeforeOutbox | AfterOutbox if !alias.outbox => Some("it has no outbox (outbox = false)"),
        BeforeSendMark | AfterSendMark if only_calls => Some("its requests tell its mark"),
        _ => None,
    }
}

fn relay(file: &ClusterFile, alias: &AliasSpec, point: Point) -> Option<&'static str> {
    use Point::{
        AfterCancel, AfterClose, AfterCourse, AfterDesignation, AfterSendCancel, BeforeCancel, BeforeClose,
        BeforeCourse, BeforeSendCancel,
    };
    let retains = callers(file, &alias.name).into_iter().any(relays);
    let goes_back = turns(alias) || may_be_cancelled(file, alias);
    match point {
        AfterDesignation if alias.on_takeover != Policy::Substitute => {
            Some("its takeovers do not substitute")
        }
        BeforeClose | AfterClose if !goes_back && !retains => Some("its transactions only go forward"),
        BeforeCourse | AfterCourse | BeforeCancel | AfterCancel | BeforeSendCancel | AfterSendCancel
            if !goes_back =>
        {
            Some("its transactions only go forward")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::DEMOS;

    fn demo(name: &str) -> ClusterFile {
        let demo = DEMOS.iter().find(|demo| demo.name == name).expect("a demo");
        ClusterFile::parse(name, demo.text).expect("a cluster file")
    }

    #[test]
    fn what_can_be_passed_follows_from_who_an_alias_is_and_who_calls_it() {
        let check = |cluster: &str, alias: &str, point: Point, possible: bool| {
            let file = demo(cluster);
            let alias = file.alias(alias).expect("an alias");
            let why = why_not(&file, alias, point);
            assert_eq!(why.is_none(), possible, "{cluster}: {} at {point}: {why:?}", alias.name);
        };
        check("counter", "counter", Point::AfterCommit, true);
        check("counter", "counter", Point::AfterBlock, false);
        check("counter", "counter", Point::AfterUndo, false);
        check("counter", "counter", Point::BeforeSend, false);
        check("counter", "caller", Point::BeforeSend, true);
        check("counter", "caller", Point::AfterCommit, false);
        check("files", "files", Point::AfterAsk, true);
        check("files", "files", Point::AfterExecute, false);
        check("counter", "counter", Point::AfterExecute, true);
        check("relay", "relay", Point::BeforeSend, true);
        check("relay", "relay", Point::BeforeOutbox, false);
        check("relay", "relay", Point::BeforeCourse, false);
        check("relay", "counter", Point::AfterTombstone, false);
        check("rollback", "relay", Point::AfterCourse, true);
        check("rollback", "counter", Point::AfterUndo, true);
        check("rollback", "relay", Point::AfterDesignation, false);
        check("substitute", "main", Point::AfterTombstone, true);
        check("substitute", "relay", Point::AfterDesignation, true);
        check("orders", "stock", Point::BeforeUndo, true);
        check("chain", "hop-2", Point::AfterClose, true);
        check("chain", "hop-1", Point::AfterClose, false);
        check("fig4", "PA2", Point::AfterPromoted, true);
    }

    #[test]
    fn callers_are_found_by_whom_their_options_name() {
        let file = demo("fig4");
        let names: Vec<_> = callers(&file, "PA3").into_iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["caller"]);
        let names = edges(&demo("substitute"));
        let from_relay = names.iter().filter(|(from, _)| from == "relay").map(|(_, to)| to.as_str());
        assert_eq!(from_relay.collect::<Vec<_>>(), ["spare", "main"]);
    }
}
