//! The transactions of relays: pictures of them, keys on them, and where else they show.

use palib::control::{
    AliasRow, AliasStats, DownstreamRow, DownstreamState, InDoubtDecision, MemberState, NodeStats, Policy,
    RelayRow, RelayStage,
};

use super::*;
use crate::tui::app::{Pane, Screen};
use crate::tui::popup::Popup;
use crate::world::stage::{member, row};

use DownstreamState::{Answered, Cancelled, Cancelling, Failed, Putting, Stuck, Waiting};

/// When the story ends, on the clock that the processes share.
const NOW_NS: u64 = 63_025_000_000;

/// Two relays before two servers, of which one is dead; `orders` has a bit of everything open.
pub(super) fn stage() -> Stage {
    let mut stage = Stage::new();
    let (cluster, processes) = ("orders".into(), Vec::new());
    stage.say("ftm", What::FtmStarted { pid: 4100, cluster, adopted: 0, starts: 1, processes });
    for alias in aliases() {
        stage.wait(5).say("ftm", What::Alias { row: alias });
    }
    for (from, target) in [
        ("caller", "front"),
        ("caller", "orders"),
        ("front", "orders"),
        ("orders", "stock"),
        ("orders", "bank"),
    ] {
        let call = format!("{from}/i1/1");
        let resent = What::Resent { call, target: target.into(), attempt: 1, to: String::new() };
        stage.say(&format!("{from}-1"), resent);
    }
    stage.wait(62_000);
    measure(
        &mut stage,
        "orders-1",
        AliasStats { relays: 8, relays_stuck: 2, relays_retained: 12, ..of("orders") },
    );
    measure(&mut stage, "front-1", AliasStats { relays: 1, ..of("front") });
    stage
}

fn aliases() -> Vec<AliasRow> {
    let pair = |alias: &str, id: u32, kind: &str| {
        let name = |number| format!("{alias}-{number}");
        let members = vec![
            member(&name(1), id * 10 + 1, MemberState::InService, "first start"),
            member(&name(2), id * 10 + 2, MemberState::Backup, "joined"),
        ];
        row(alias, id, kind, 1, members)
    };
    let dead = vec![member("bank-1", 51, MemberState::Dead, "SIGKILL by an operator (K1)")];
    vec![
        pair("caller", 1, "caller"),
        pair("front", 2, "relay"),
        pair("orders", 3, "relay"),
        pair("stock", 4, "ledger"),
        row("bank", 5, "ledger", 1, dead),
    ]
}

fn of(alias: &str) -> AliasStats {
    AliasStats { alias: alias.into(), in_service: true, ..AliasStats::default() }
}

fn measure(stage: &mut Stage, process: &str, stats: AliasStats) {
    stage
        .say(process, What::Stats(NodeStats { at_ns: NOW_NS, aliases: vec![stats], ..NodeStats::default() }));
}

fn call(
    position: &str,
    id: u32,
    target: &str,
    state: DownstreamState,
    tries: u32,
    text: &str,
) -> DownstreamRow {
    DownstreamRow {
        position: position.into(),
        id: format!("orders/i1/{id}"),
        target: target.into(),
        state,
        tries,
        replayed: false,
        text: Some(text.into()),
    }
}

fn transaction(id: &str, stage: RelayStage, why: &str, asked: &str, calls: Vec<DownstreamRow>) -> RelayRow {
    RelayRow {
        id: id.into(),
        alias: "orders".into(),
        policy: Policy::RollForward,
        stage,
        since_ns: 1_000_000_000,
        why: why.into(),
        needs_operator: matches!(stage, RelayStage::Diverged | RelayStage::Stuck | RelayStage::InDoubt),
        text: Some(asked.into()),
        calls,
    }
}

/// What a relay answers: those that need an operator first.
pub(super) fn relays(alias: &str) -> Relays {
    let rows = match alias {
        "orders" => orders(),
        "front" => vec![chain()],
        _ => Vec::new(),
    };
    Relays { open: rows.len() as u64, retained: if alias == "orders" { 12 } else { 0 }, rows }
}

fn chain() -> RelayRow {
    let mut calls = vec![call("1", 77, "orders", Waiting, 1, "order 7 pears")];
    calls[0].id = "front/i1/77".into();
    let why = "orders executes front/i1/77";
    let row = transaction("caller/i1/219", RelayStage::Processing, why, "buy 7 pears", calls);
    RelayRow { alias: "front".into(), ..row }
}

fn orders() -> Vec<RelayRow> {
    let mut waiting = vec![
        call("1", 40, "stock", Answered, 1, "reserved 3"),
        call("2", 41, "bank", Waiting, 6, "pay 30 from ada"),
    ];
    waiting[0].replayed = true;
    let at_once = |number: u32| {
        let state = if number < 3 { Answered } else { Waiting };
        call(&format!("2.{number}"), 50 + number, "stock", state, 1, "reserve 1")
    };
    let mut many = vec![call("1", 50, "stock", Failed, 1, "no such shelf")];
    many.extend((1..8).map(at_once));
    let stuck = vec![
        call("1", 30, "stock", Cancelled, 1, "reserved 1"),
        call("2", 31, "bank", Stuck, 2, "paid 10 from bob"),
    ];
    let diverged = vec![call("1", 20, "stock", Answered, 1, "reserved 9")];
    let back = vec![
        call("1", 60, "stock", Cancelled, 1, "reserved 2"),
        call("2", 61, "bank", Cancelling, 3, "paid 20 from eve"),
    ];
    let putting = vec![call("1", 70, "stock", Putting, 0, "reserve 7")];
    let done = vec![call("1", 80, "stock", Answered, 1, "reserved 8")];
    vec![
        RelayRow {
            policy: Policy::RollBack,
            ..transaction(
                "caller/i1/201",
                RelayStage::Stuck,
                "bank refuses to undo orders/i1/31: it is paid out",
                "order 1 apple for bob",
                stuck,
            )
        },
        transaction(
            "caller/i1/198",
            RelayStage::Diverged,
            "at 1 the journal has stock \"reserve 9\", this run asks for stock \"reserve 8\"",
            "order 9 plums",
            diverged,
        ),
        RelayRow {
            policy: Policy::Substitute,
            since_ns: 43_900_000_000,
            ..transaction(
                "caller/i1/214",
                RelayStage::Processing,
                "nobody is in service of bank; orders/i1/41 was sent 6 times and is sent again in 200 ms",
                "order 3 pears for ada",
                waiting,
            )
        },
        RelayRow {
            policy: Policy::RollBack,
            ..transaction(
                "caller/i1/210",
                RelayStage::RollingBack,
                "bank has not confirmed that orders/i1/61 is cancelled",
                "order 2 figs for eve",
                back,
            )
        },
        transaction(
            "caller/i1/220",
            RelayStage::Processing,
            "stock executes 5 calls",
            "order a basket",
            many,
        ),
        transaction(
            "front/i1/77",
            RelayStage::Processing,
            "its call is put into the journal",
            "order 7 pears",
            putting,
        ),
        transaction("caller/i1/221", RelayStage::Processing, "its handler runs", "order 0", Vec::new()),
        transaction(
            "caller/i1/222",
            RelayStage::Completing,
            "its outcome is being made durable",
            "order 8 nuts",
            done,
        ),
    ]
}

fn rig() -> Rig {
    Rig::on(stage()).sized((120, 36))
}

#[test]
fn transactions_look_as_they_were_approved() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, size, theme, keys) in [
            ("relay_80x24", (80, 24), UNICODE, "3"),
            ("relay_120x36", (120, 36), UNICODE, "3 j j"),
            ("relay_200x50", (200, 50), UNICODE, "3 j j j j"),
            ("relay_ascii", (80, 24), pictures::ASCII, "3 j"),
            ("relay_no_colour", (80, 24), pictures::NO_COLOUR, "3 j j j"),
            ("relay_small_60x12", (60, 12), UNICODE, "3"),
            ("relay_resolve_80x24", (80, 24), UNICODE, "3 r"),
            ("relay_roll_back_120x36", (120, 36), UNICODE, "3 j r b"),
            ("relay_policy_120x36", (120, 36), UNICODE, "3 j j p"),
            ("relay_chain_120x36", (120, 36), UNICODE, "3 ["),
            ("relay_cluster_120x36", (120, 36), UNICODE, "1"),
        ] {
            let mut rig = Rig::on(stage());
            rig.app.theme = theme;
            let mut rig = rig.sized(size);
            let (screen, rest) = keys.split_at(1);
            rig.press(screen).ticks(1).press(rest).ticks(1);
            insta::assert_snapshot!(name, dump(&rig.picture()));
        }
    });
}

#[test]
fn no_size_panics_and_ascii_stays_ascii() {
    for keys in ["3", "3 tab", "3 r", "3 r b", "3 j j p"] {
        let mut rig = Rig::on(stage());
        rig.press("3").ticks(1).press(keys);
        for columns in (1..=30).chain([39, 40, 41, 60, 79, 80, 81, 119, 120, 179, 180, 200]) {
            for lines in (1..=14).chain([23, 24, 25, 36, 50]) {
                rig.app.size = (columns, lines);
                rig.picture();
            }
        }
        rig.app.theme = pictures::ASCII;
        let text = rig.sized((200, 50)).text();
        assert!(text.is_ascii(), "{keys}: {text}");
    }
}

#[test]
fn the_relay_that_needs_an_operator_is_shown_first_and_brackets_turn_among_relays_only() {
    let mut rig = rig();
    rig.press("3").ticks(1);
    assert!(rig.text().contains("transactions of orders"), "{}", rig.text());
    rig.press("]");
    assert!(rig.text().contains("transactions of front") && rig.text().contains("caller/i1/219"));
    rig.press("]");
    assert!(rig.text().contains("transactions of orders"), "{}", rig.text());
    let title = crate::tui::run::title(&rig.app);
    assert!(title.starts_with("palib:/relay/orders?sel=caller/i1/201&t=live"), "{title}");
}

#[test]
fn those_that_need_an_operator_come_first_in_every_order() {
    let mut rig = rig();
    rig.press("3").ticks(1).press("s s");
    let table = rig.app.table(Pane::Relays);
    let first: Vec<&str> = table.rows.iter().take(2).map(|row| row.key.as_str()).collect();
    assert_eq!(first, ["caller/i1/201", "caller/i1/198"]);
}

#[test]
fn ages_are_sorted_by_how_long_they_are() {
    let mut rig = rig();
    rig.press("3").ticks(1);
    let age = rig.app.table(Pane::Relays).columns.iter().position(|column| column.title == "AGE");
    rig.app.look_mut(Pane::Relays).sort = age.map(|age| (age, false));
    let table = rig.app.table(Pane::Relays);
    assert_eq!(table.rows[2].key, "caller/i1/214", "19 s are less than 1 m 2 s");
}

#[test]
fn a_filter_by_id_is_applied_by_the_relay_itself() {
    let mut rig = rig();
    rig.press("3").ticks(1).press("/ i d : 2 1 4 enter").ticks(1);
    assert_eq!(rig.app.table(Pane::Relays).rows.len(), 1);
    let asked = rig.out.iter().rev().find_map(|command| match command {
        Cmd::Ask { request: OperatorRequest::Query { query: Query::Relays { filter, .. }, .. }, .. } => {
            Some(filter)
        }
        _ => None,
    });
    assert_eq!(asked.map(String::as_str), Some("214"));
}

#[test]
fn enter_follows_the_transaction_and_in_the_journal_the_call_that_was_made() {
    let mut rig = rig();
    rig.press("3").ticks(1).press("j j enter");
    assert_eq!((rig.app.screen, rig.app.chart.follow.as_deref()), (Screen::Sequence, Some("caller/i1/214")));
    rig.press("esc tab j c");
    assert_eq!((rig.app.screen, rig.app.chart.follow.as_deref()), (Screen::Sequence, Some("orders/i1/41")));
    rig.press("esc esc");
    assert_eq!((rig.app.screen, rig.app.pane()), (Screen::Relay, Pane::Relays), "the journal is left first");
}

#[test]
fn a_takeover_does_what_stage_and_policy_say() {
    let cases = [
        (
            "caller/i1/201",
            "goes on undoing: 1 of 2 calls are left; if that is refused again, it waits for you",
        ),
        ("caller/i1/198", "runs the handler again, with 1 answers from the journal; if it diverges again"),
        ("caller/i1/214", "asks the service what shall take the place of bank orders/i1/41, then goes on"),
        ("caller/i1/210", "goes on undoing: 1 of 2 calls are left"),
        (
            "caller/i1/220",
            "with 3 answers from the journal, and sends stock orders/i1/53, stock orders/i1/54",
        ),
        ("caller/i1/221", "its journal is empty: orders-2 performs the request from the beginning"),
        ("front/i1/77", "its journal is empty"),
        (
            "caller/i1/222",
            "the outcome counts if it is durable by then; else orders-2 runs the handler again",
        ),
    ];
    let rig = rig();
    for (id, says) in cases {
        let row = orders().into_iter().find(|row| row.id == id).unwrap();
        let told = crate::tui::relay::takeover(&rig.app, &row);
        assert!(told.starts_with("if orders-1 dies now, ") && told.contains(says), "{id}: {told}");
    }
    let mut forward = orders().swap_remove(2);
    forward.policy = Policy::RollBack;
    let told = crate::tui::relay::takeover(&rig.app, &forward);
    assert!(told.contains("has stock orders/i1/40, bank orders/i1/41 undone"), "{told}");
}

/// The query within the last order.
fn last_query(rig: &Rig) -> Query {
    match rig.orders().pop() {
        Some(OperatorRequest::Query { query, .. }) => query,
        other => panic!("no query was ordered: {other:?}"),
    }
}

#[test]
fn a_policy_is_changed_at_once_and_changed_back_by_undo() {
    let set = |policy| Query::SetPolicy { alias: "orders".into(), call: "caller/i1/214".into(), policy };
    let mut rig = rig();
    rig.press("3").ticks(1).press("j j p s");
    assert!(rig.note().contains("its policy is substitute already"), "{}", rig.note());
    assert_eq!(rig.orders(), []);
    rig.press("b");
    assert_eq!(last_query(&rig), set(Policy::RollBack));
    assert!(rig.note().contains("the policy of caller/i1/214 is roll-back"), "{}", rig.note());
    rig.press("u");
    assert_eq!(last_query(&rig), set(Policy::Substitute));
    rig.press("p f");
    assert_eq!(last_query(&rig), set(Policy::RollForward));
    rig.press("U");
    assert!(rig.note().contains("nothing hangs"), "a policy is nothing to be healed: {}", rig.note());
}

#[test]
fn a_transaction_that_waits_is_decided_in_four_ways_each_confirmed() {
    let cases = [
        ("r r o k enter", InDoubtDecision::Reply("ok".into())),
        ("r e", InDoubtDecision::Rerun),
        ("r b", InDoubtDecision::RollBack),
        ("r f n o enter", InDoubtDecision::Fail("no".into())),
    ];
    for (keys, expected) in cases {
        let mut rig = rig();
        rig.press("3").ticks(1).press(keys);
        assert!(rig.text().contains("[ Cancel ]"), "{keys}: {}", rig.text());
        rig.press("enter");
        assert_eq!(rig.orders(), [], "Enter alone cancels");
        rig.press(keys).press("tab enter");
        let call = "caller/i1/201".to_owned();
        assert_eq!(last_query(&rig), Query::Resolve { alias: "orders".into(), call, decision: expected });
    }
}

#[test]
fn a_transaction_under_way_can_only_be_cancelled_and_one_being_undone_not_even_that() {
    let mut rig = rig();
    rig.press("3").ticks(1).press("j j r r");
    assert!(rig.note().contains("needs no decision: it is processing"), "{}", rig.note());
    rig.press("b tab enter");
    let call = "caller/i1/214".to_owned();
    let decision = InDoubtDecision::RollBack;
    assert_eq!(last_query(&rig), Query::Resolve { alias: "orders".into(), call, decision });
    rig.press("j r");
    assert!(rig.note().contains("it is rolling back"), "{}", rig.note());
    assert!(rig.app.popups.is_empty());
}

#[test]
fn a_menu_acts_on_nothing_but_the_transaction_it_was_opened_for() {
    let mut rig = rig();
    rig.press("3").ticks(1).press("j j p");
    rig.without = Some("caller/i1/214");
    rig.ticks(1).press("b");
    assert!(rig.note().contains("caller/i1/214 is not in the table any more"), "{}", rig.note());
    assert_eq!(rig.orders(), []);
}

#[test]
fn read_only_and_past_refuse_with_their_reasons() {
    let mut rig = rig();
    rig.press("3").ticks(1).press("space");
    for key in ["p", "r", "x"] {
        rig.press(key);
        assert!(rig.note().contains("this is the past"), "{key}: {}", rig.note());
    }
    assert!(rig.text().contains("as read at"), "{}", rig.text());
    rig.press("space");
    rig.app.read_only = true;
    for key in ["p", "r", "x"] {
        rig.press(key);
        assert!(rig.note().contains("read-only"), "{key}: {}", rig.note());
    }
    assert_eq!(rig.orders(), []);
}

#[test]
fn the_transactions_of_the_past_are_those_that_were_read_then() {
    let mut rig = rig();
    rig.press("3").ticks(1);
    assert_eq!(rig.app.table(Pane::Relays).rows.len(), 8);
    rig.press(", , , , , , ,");
    assert!(rig.app.table(Pane::Relays).empty.contains("Not read then"), "{}", rig.text());
}

#[test]
fn without_a_relay_the_screen_says_so() {
    let mut rig = Rig::after_kill();
    assert!(rig.press("3").ticks(1).text().contains("No alias here calls others"), "{}", rig.text());
    rig.press("p");
    assert!(rig.note().contains("no transaction is chosen"), "{}", rig.note());
}

#[test]
fn the_top_line_and_the_topology_tell_of_transactions_that_need_an_operator() {
    let mut rig = rig();
    let text = rig.press("1").text();
    assert!(text.contains("▲ 2 need you") && text.contains("tx 8, 2 for you"), "{text}");
    for keys in ["1", "2", "3", "4", "7", "8"] {
        let text = Rig::on(stage()).sized((80, 24)).press(keys).text();
        let top = text.lines().next().unwrap_or_default();
        assert!(top.contains("2 need you") && top.ends_with("LIVE"), "{top}");
    }
}

#[test]
fn a_row_of_a_relay_in_the_redundancy_table_can_be_rolled_back_there_too() {
    let states = ["relaying", "rolling_back", "rolled_back", "diverged", "stuck", "undoing", "cancelled"];
    let rolls_back = ["relaying", "diverged", "stuck"];
    for state in states {
        let mut rig = Rig::after_kill();
        rig.rows = vec![table_row("caller/i1/9", state, "", 0, "order")];
        rig.press("2").ticks(1).press("r");
        assert_eq!(!rig.app.popups.is_empty(), rolls_back.contains(&state), "{state}: {}", rig.note());
        let offers = matches!(rig.app.popups.last(), Some(Popup::Menu { items, .. }) if items.len() == 4);
        assert_eq!(offers, rolls_back.contains(&state), "{state}");
        assert!(rig.text().contains(&state.replace('_', " ")), "{}", rig.text());
    }
}
