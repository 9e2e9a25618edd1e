//! What the operator does: to the cluster, and with what is on the screen.

use palib::control::{InDoubtDecision, OperatorRequest};
use tui_input::Input;

use crate::world::{Tone, clock};

use super::app::{App, Link, Pane, Purpose, Remedy, Screen, Undo};
use super::commands::{Id, available, find};
use super::msg::{Cmd, Quit};
use super::popup::{About, Confirm, Deed, Item, Popup, Then};
use super::update::{back, drill};
use super::{export, inject, process, redundancy, relay, resolve, sequence, tour};

/// Does a command that acts or opens a popup.
pub(crate) fn perform(app: &mut App, id: Id) -> Vec<Cmd> {
    match id {
        Id::Act => {
            let Some((process, alias)) = app.target() else { return Vec::new() };
            let title = format!("act on {process}, of {alias}");
            menu(app, title, About::Process { process, alias }, &ACTIONS);
        }
        Id::Resolve => {
            let is_relay = resolve::subject(app).is_ok_and(|subject| subject.is_relay);
            menu_of_call(app, "resolve", if is_relay { &RELAY_DECISIONS } else { &DECISIONS });
        }
        Id::Policy => {
            menu_of_call(app, "policy of", &[Id::PolicyForward, Id::PolicySubstitute, Id::PolicyBack])
        }
        Id::PolicyForward | Id::PolicySubstitute | Id::PolicyBack => return relay::set_policy(app, id),
        Id::Screenshot => {
            menu(app, "screenshot".into(), About::Screen, &[Id::ScreenshotText, Id::ScreenshotSvg])
        }
        Id::Export if app.screen == Screen::Sequence => menu(
            app,
            "export".into(),
            About::Screen,
            &[Id::ExportSvg, Id::ExportMermaid, Id::ExportShiviz, Id::ExportJson, Id::ExportCsv],
        ),
        Id::Export => menu(app, "export".into(), About::Screen, &[Id::ExportJson, Id::ExportCsv]),
        Id::Kill | Id::Hang | Id::HangFor | Id::Resume | Id::Exit | Id::Restart | Id::AddBackup => {
            let Some((process, alias)) = app.target() else { return Vec::new() };
            return process::perform(app, id, process, alias);
        }
        Id::Undo => return undo(app),
        Id::Defects => inject::open(app),
        Id::Sweep => return super::matrix::open(app),
        Id::HealAll => {
            let remedies =
                app.history.live().active_defects().filter_map(|it| Some((it.id.clone(), it.remedy()?)));
            let remedies: Vec<_> = remedies.collect();
            app.undo.retain(|undo| {
                matches!(&undo.by, Remedy::Order(request) if !matches!(request, OperatorRequest::Resume { .. }))
            });
            let heal =
                remedies.into_iter().map(|(id, remedy)| order(app, format!("{id} is over"), remedy, None));
            return heal.flatten().collect();
        }
        Id::ResolveReply | Id::ResolveRerun | Id::ResolveRollBack | Id::ResolveFail => {
            resolve::resolve(app, id);
        }
        Id::Filter => {
            let pane = app.pane();
            let before = app.look(pane).filter;
            app.popups.push(Popup::Filter { pane, input: Input::new(before.clone()), before });
        }
        Id::Sort => {
            let pane = app.pane();
            let columns = app.table(pane).columns.len();
            app.look_mut(pane).next_sort(columns);
        }
        Id::Palette => app.popups.push(Popup::Palette { input: Input::default(), chosen: 0 }),
        Id::Help => app.popups.push(Popup::Help { input: Input::default(), chosen: 0 }),
        Id::CopyCell | Id::CopyRow => return copy(app, id),
        Id::ScreenshotText
        | Id::ScreenshotSvg
        | Id::ExportJson
        | Id::ExportCsv
        | Id::ExportSvg
        | Id::ExportMermaid
        | Id::ExportShiviz => return save(app, id),
        Id::Mouse => {
            app.mouse = !app.mouse;
            app.tell(
                Tone::Plain,
                if app.mouse { "the mouse is taken" } else { "the mouse is the terminal's" },
            );
            return vec![Cmd::Mouse(app.mouse)];
        }
        Id::Repaint => return vec![Cmd::Repaint],
        Id::Suspend => return vec![Cmd::Suspend],
        Id::QuitNow => return vec![Cmd::Quit(Quit::AtOnce)],
        Id::Quit => return quit(app),
        // The rest moves about, and update itself does it.
        _ => {}
    }
    Vec::new()
}

/// What `x` offers.
pub(crate) const ACTIONS: [Id; 7] =
    [Id::Kill, Id::Hang, Id::HangFor, Id::Resume, Id::Exit, Id::Restart, Id::AddBackup];

/// What `r` offers of a call in doubt.
const DECISIONS: [Id; 3] = [Id::ResolveReply, Id::ResolveRerun, Id::ResolveFail];
/// What `r` offers of a transaction of a relay.
const RELAY_DECISIONS: [Id; 4] = [Id::ResolveReply, Id::ResolveRerun, Id::ResolveRollBack, Id::ResolveFail];

/// A menu about the chosen call, which stays chosen while it is open.
fn menu_of_call(app: &mut App, verb: &str, ids: &[Id]) {
    let Ok(resolve::Subject { call, .. }) = resolve::subject(app) else { return };
    let pane = app.pane();
    let table = app.table(pane);
    if let Some(place) = app.place(pane, &table) {
        app.look_mut(pane).choose(&table, place);
    }
    menu(app, format!("{verb} {call}"), About::Call(call), ids);
}

fn menu(app: &mut App, title: String, about: About, ids: &[Id]) {
    let items = ids.iter().map(|id| {
        let command = find(*id);
        Item {
            letter: command.keys[0].chars().last().unwrap_or(' '),
            label: command.name.rsplit(": ").next().unwrap_or(command.name).to_owned(),
            detail: command.help.to_owned(),
            disabled: available(app, *id).err(),
            command: *id,
        }
    });
    let items = items.collect();
    app.popups.push(Popup::Menu { title, about, items, chosen: 0 });
}

/// Gives an order; its answer is told, and what undoes it is kept.
pub(crate) fn order(app: &mut App, what: String, request: OperatorRequest, undo: Option<Undo>) -> Vec<Cmd> {
    let ticket = app.next_ticket(Purpose::Order { what, undo });
    vec![Cmd::Ask { ticket, request }]
}

/// Takes back the last thing that can be.
fn undo(app: &mut App) -> Vec<Cmd> {
    while let Some(undo) = app.undo.pop() {
        match undo.by {
            Remedy::Order(request) => return order(app, undo.what, request, None),
            Remedy::Steps(alias) => return inject::disarm_every(app, &alias),
            Remedy::Newest => {
                let newest = app.history.live().active_defects().last();
                if let Some((id, remedy)) = newest.and_then(|it| Some((it.id.clone(), it.remedy()?))) {
                    return order(app, format!("{id} is over"), remedy, None);
                }
            }
        }
    }
    app.tell(Tone::Plain, "what could be undone is over already");
    Vec::new()
}

/// Does a command, or tells why it can't be done.
pub(crate) fn perform_if_possible(app: &mut App, id: Id) -> Vec<Cmd> {
    match available(app, id) {
        Ok(()) => perform(app, id),
        Err(reason) => {
            app.tell(Tone::Warn, format!("{}: {reason}", find(id).name));
            Vec::new()
        }
    }
}

/// `Enter` in a pane.
pub(crate) fn enter(app: &mut App) -> Vec<Cmd> {
    match app.pane() {
        Pane::Aliases => {
            let Some((_, alias)) = app.target() else { return Vec::new() };
            app.alias = Some(alias);
            drill(app, Screen::Redundancy);
            return redundancy::refresh(app);
        }
        Pane::Areas => {
            app.focus.insert(Screen::Stable, 1);
            return super::stable::refresh(app);
        }
        Pane::Demos => return spawn(app),
        Pane::Redundancy => call_detail(app),
        Pane::Records => record_detail(app),
        Pane::Sequence => sequence::go_there(app),
        Pane::Relays | Pane::Journal => return sequence::show(app),
        Pane::Takeovers => super::metrics::go_there(app),
        Pane::Gauges => row_detail(app),
        // Its palette takes the key before.
        Pane::Ledger => {}
        Pane::LastEvents | Pane::Log if sequence::chosen_call(app).is_ok() => return sequence::show(app),
        Pane::LastEvents | Pane::Log | Pane::Steps => row_detail(app),
    }
    Vec::new()
}

fn spawn(app: &mut App) -> Vec<Cmd> {
    let Some(name) = super::panes::demo(app) else { return Vec::new() };
    if app.read_only {
        app.tell(Tone::Warn, "spawn: this console is read-only");
        return Vec::new();
    }
    match app.link.clone() {
        Link::Starting(other) => app.tell(Tone::Warn, format!("{other} is being started")),
        Link::Up { cluster, .. } if cluster == name => {
            app.focus.insert(Screen::Demos, 1);
            app.tell(Tone::Plain, format!("{name} runs already; n does the next step of its tour"));
        }
        Link::Up { cluster, owned, .. } => {
            let fate = if owned {
                format!("{cluster} goes down first, with all its processes.")
            } else {
                format!("{cluster} stays up; this console leaves it.")
            };
            app.popups.push(Popup::Confirm(Confirm {
                title: format!("Spawn {name}?"),
                lines: vec![fate],
                choices: vec![("Spawn".into(), Deed::Spawn(name))],
                chosen: 0,
                ends: Vec::new(),
                typed: None,
            }));
        }
        Link::None | Link::Gone(_) => return start(app, name),
    }
    Vec::new()
}

fn start(app: &mut App, name: String) -> Vec<Cmd> {
    app.link = Link::Starting(name.clone());
    app.past = None;
    app.history = crate::world::History::default();
    app.back.clear();
    app.screen = Screen::Cluster;
    app.tour = None;
    tour::begin(app, &name);
    vec![Cmd::Spawn(name)]
}

/// A confirmation was answered with Enter.
pub(crate) fn confirmed(app: &mut App, popup: Popup) -> Vec<Cmd> {
    let Popup::Confirm(confirm) = &popup else { return Vec::new() };
    let deed = match &confirm.typed {
        Some((wanted, input)) if input.value() == wanted => confirm.choices.first(),
        Some((_, input)) if input.value().is_empty() => None,
        Some((wanted, _)) => {
            app.tell(Tone::Warn, format!("type {wanted}, or Esc to cancel"));
            app.popups.push(popup);
            return Vec::new();
        }
        None => confirm.chosen.checked_sub(1).and_then(|place| confirm.choices.get(place)),
    };
    let deed = deed.map(|(_, deed)| deed.clone());
    if let Some(Err(changed)) = deed.as_ref().map(|deed| process::as_asked(app, confirm, deed)) {
        app.tell(Tone::Warn, changed);
        return Vec::new();
    }
    match deed {
        None => Vec::new(),
        Some(Deed::Order { what, request, undo }) => order(app, what, *request, undo),
        Some(Deed::Inject { what, requests }) => {
            requests.into_iter().flat_map(|request| inject::inject(app, &what, request)).collect()
        }
        Some(Deed::Spawn(name)) => start(app, name),
        Some(Deed::Quit(quit)) => vec![Cmd::Quit(quit)],
    }
}

/// A typed text was ended with Enter.
pub(crate) fn typed(app: &mut App, popup: Popup) -> Vec<Cmd> {
    let Popup::Ask { input, then, .. } = &popup else { return Vec::new() };
    let text = input.value().to_owned();
    match then.clone() {
        Then::Reply { alias, call } => resolve::typed(app, alias, call, InDoubtDecision::Reply(text)),
        Then::Fail { alias, call } => resolve::typed(app, alias, call, InDoubtDecision::Fail(text)),
        Then::Defect => match inject::read(app, &text) {
            Ok(plan) => inject::carry_out(app, plan),
            Err(wrong) => {
                app.tell(Tone::Warn, wrong);
                app.popups.push(popup);
                Vec::new()
            }
        },
        Then::HangFor { process } => match crate::units::parse_duration(&text) {
            Ok(span) => process::hang(app, process, Some(span.as_millis() as u64)),
            Err(wrong) => {
                app.tell(Tone::Warn, wrong);
                app.popups.push(popup);
                Vec::new()
            }
        },
    }
}

fn quit(app: &mut App) -> Vec<Cmd> {
    if back(app) {
        return Vec::new();
    }
    let Some(cluster) = app.cluster().map(str::to_owned) else { return vec![Cmd::Quit(Quit::AtOnce)] };
    if app.read_only {
        return vec![Cmd::Quit(Quit::LeaveUp)];
    }
    let (up, all) = app.history.live().up();
    app.popups.push(Popup::Confirm(Confirm {
        title: "Quit?".into(),
        lines: vec![format!("{cluster} runs: {up} of {all} processes are up.")],
        choices: vec![
            ("Leave it up".into(), Deed::Quit(Quit::LeaveUp)),
            ("Take it down".into(), Deed::Quit(Quit::Down)),
        ],
        chosen: 0,
        ends: Vec::new(),
        typed: None,
    }));
    Vec::new()
}

fn copy(app: &mut App, id: Id) -> Vec<Cmd> {
    let pane = app.pane();
    let look = app.look(pane);
    let table = app.table(pane);
    let Some(row) = app.place(pane, &table).and_then(|place| table.rows.get(place)) else {
        return Vec::new();
    };
    let column = look.column.min(table.columns.len().saturating_sub(1));
    let (what, text) = match id {
        Id::CopyRow => ("the row".to_owned(), row.json.to_string()),
        _ => (table.columns[column].title.to_lowercase(), row.cells[column].text.clone()),
    };
    app.tell(Tone::Plain, format!("copied {what}"));
    vec![Cmd::Copy(text)]
}

fn save(app: &mut App, id: Id) -> Vec<Cmd> {
    let name = app.screen.name().to_lowercase();
    let (extension, content) = match id {
        Id::ScreenshotText => ("txt", export::text(&super::view::picture(app))),
        Id::ScreenshotSvg => ("svg", export::svg(&super::view::picture(app))),
        Id::ExportSvg => ("svg", crate::sequence::svg(&sequence::chart(app))),
        Id::ExportMermaid => ("mmd", crate::sequence::mermaid(&sequence::chart(app))),
        Id::ExportShiviz => ("log", crate::sequence::shiviz(&sequence::chart(app))),
        Id::ExportCsv => ("csv", export::csv(&app.table(app.pane()))),
        _ => ("json", export::json(&app.table(app.pane()))),
    };
    vec![Cmd::Save { stem: format!("palib-{name}"), extension, content }]
}

fn detail(app: &mut App, title: String, lines: Vec<String>) {
    app.popups.push(Popup::Detail { title, lines, scroll: 0 });
}

fn call_detail(app: &mut App) {
    let Some(row) = redundancy::chosen(app).cloned() else { return };
    let zero = app.world().zero_unix_ms;
    let written = match row.written_unix_ms {
        0 => "not durable yet".to_owned(),
        at => clock(at, zero),
    };
    let mut lines = vec![
        format!("state         {}", super::panes::state_words(&row.state).1),
        format!("process type  {}", if row.process_type.is_empty() { "-" } else { &row.process_type }),
        format!("hits          {}", row.hits),
        format!("written       {written}"),
        format!("digest        {}", row.digest),
        format!("{}", if row.failed { "failed with" } else { "reply" }),
    ];
    let reply = row.text.clone().or_else(|| row.hex.clone()).unwrap_or_else(|| "-".into());
    lines.extend(reply.lines().map(|line| format!("  {line}")));
    lines.push(String::new());
    lines.push("what the events tell of it".into());
    let life = redundancy::lifeline(app, &row.id);
    if life.is_empty() {
        lines.push(format!("  {}", redundancy::without_events(&row.state)));
    }
    for (at, process, words) in life {
        lines.push(format!("  {}  {process}: {}", clock(at, zero), words.text));
    }
    detail(app, row.id, lines);
}

fn record_detail(app: &mut App) {
    let Some(record) = super::panes::record(app) else { return };
    let (mut lines, dump) = super::panes::value_lines(&record, 16);
    lines.push(String::new());
    lines.extend(dump);
    detail(app, record.key, lines);
}

fn row_detail(app: &mut App) {
    let pane = app.pane();
    let table = app.table(pane);
    let Some(row) = app.place(pane, &table).and_then(|place| table.rows.get(place)) else { return };
    let title = match pane {
        Pane::Steps => format!("step {}", row.cells[0].text),
        Pane::Gauges => row.key.clone(),
        _ => format!("event {}", row.key),
    };
    let lines: Vec<String> = match pane {
        Pane::Steps => step_lines(&row.json),
        _ => serde_json::to_string_pretty(&row.json).unwrap_or_default().lines().map(str::to_owned).collect(),
    };
    detail(app, title, lines);
}

fn step_lines(step: &serde_json::Value) -> Vec<String> {
    let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| -> Vec<String> {
        let items = step[name].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut lines: Vec<String> = text("text").lines().map(str::to_owned).collect();
    lines.extend([String::new(), format!("does    {}", text("does")), format!("watch   {}", text("watch"))]);
    let found = list("found");
    for (place, expected) in list("expect").into_iter().enumerate() {
        let is = found.get(place).map_or_else(String::new, |found| format!("   is {found}"));
        lines.push(format!("expect  {expected}{is}"));
    }
    lines
}
