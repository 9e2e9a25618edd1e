//! The console without a terminal and without a cluster: keys in, commands and pictures out.

mod inject;
mod keys;
mod matrix;
mod menus;
mod metrics;
mod pictures;
mod relay;
mod sequence;
mod time;
mod topology;

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use palib::control::{
    Answer, AreaSummary, AreaTable, BrowseRow, Event, OperatorAnswer, OperatorRequest, Page, Query, Relays,
    TableRow, What,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::app::{App, DemoCard};
use super::msg::{Cmd, Msg};
use super::theme::{Colours, Theme};
use super::update::update;
use super::view::view;
use crate::cluster::ClusterFile;
use crate::world::stage::{Stage, ZERO_UNIX_MS, chart_story};

const UNICODE: Theme = Theme { colours: Colours::Sixteen, ascii: false };

/// A demo with a tour, as a cluster file has it.
const COUNTER: &str = r#"
name = "counter"
title = "A call survives kill -9"

[aliases.counter]
kind = "counter"
members = 2

[aliases.caller]
kind = "caller"
members = 2
options = { target = "counter" }

[[tour]]
say = "Two callers count at two counters. One of each is in service, the other waits."
watch = "the line between caller and counter"
expect = ["lost = 0"]

[[tour]]
say = "We kill the counter that is in service. The backup opens the same stable area and answers."
do = "kill counter"
watch = "the mark of service moves in the table"
expect = ["in service counter = counter-2", "lost = 0", "doubled = 0"]
"#;

const FILES: &str = r#"
name = "files"
title = "An effect outside the stable area happens once"

[aliases.files]
kind = "files"
members = 2
"#;

fn demos() -> Vec<DemoCard> {
    let card =
        |name: &str, text| DemoCard { name: name.into(), file: ClusterFile::parse(name, text).unwrap() };
    vec![card("counter", COUNTER), card("files", FILES)]
}

/// A console with a cluster behind it that answers at once.
struct Rig {
    app: App,
    /// The commands that went out, but for the questions that were answered.
    out: Vec<Cmd>,
    refuse: Option<String>,
    /// A transaction that is over: relays do not tell of it any more.
    without: Option<&'static str>,
    /// Whether the actions of a tour are still being done.
    acting: bool,
    /// What a redundancy table holds.
    rows: Vec<TableRow>,
}

impl Rig {
    fn without_cluster() -> Rig {
        Rig {
            app: App::new(UNICODE, false, demos()),
            out: Vec::new(),
            refuse: None,
            without: None,
            acting: false,
            rows: table_rows(),
        }
    }

    fn on(stage: Stage) -> Rig {
        let mut rig = Rig::without_cluster();
        rig.send(Msg::Attached { cluster: "counter".into(), owned: true });
        rig.send(Msg::Events(stage.events));
        rig
    }

    /// A cluster in which a call was sent again over a takeover.
    fn with_chart() -> Rig {
        Rig::on(chart_story())
    }

    /// A cluster in which `counter-1` was killed and `counter-2` serves.
    fn after_kill() -> Rig {
        Rig::on(Stage::counter_after_kill())
    }

    fn sized(mut self, (columns, lines): (u16, u16)) -> Rig {
        self.send(Msg::Resize(columns, lines));
        self.picture();
        self
    }

    fn send(&mut self, msg: Msg) {
        let mut commands = update(&mut self.app, msg);
        while !commands.is_empty() {
            let mut next = Vec::new();
            for command in commands {
                if let Some(msg) = self.answer(&command) {
                    next.extend(update(&mut self.app, msg));
                }
                self.out.push(command);
            }
            commands = next;
        }
    }

    fn answer(&self, command: &Cmd) -> Option<Msg> {
        let (ticket, query) = match command {
            Cmd::Ask { ticket, request: OperatorRequest::Query { query, .. } } => (*ticket, query),
            Cmd::ReadAtRest { ticket, query, .. } => (*ticket, query),
            Cmd::Perform { ticket, .. } if !self.acting => {
                return Some(Msg::Answered {
                    ticket: *ticket,
                    answer: Ok(OperatorAnswer::Done(String::new())),
                });
            }
            Cmd::Ask { ticket, request } => {
                let answer = match (&self.refuse, request) {
                    (_, OperatorRequest::Aliases) => Ok(OperatorAnswer::Aliases(Vec::new())),
                    (Some(reason), _) => Err(reason.clone()),
                    (None, _) => Ok(OperatorAnswer::Done(String::new())),
                };
                return Some(Msg::Answered { ticket: *ticket, answer });
            }
            _ => return None,
        };
        let answer = match query {
            Query::Table { .. } => Answer::Table(Page { rows: self.rows.clone(), next: None }),
            Query::Area { alias } => Answer::Area(area(alias)),
            Query::Browse { table, .. } => Answer::Browse(Page { rows: records(table), next: None }),
            Query::Relays { alias, .. } => {
                let mut relays = relay::relays(alias);
                relays.rows.retain(|row| self.without != Some(row.id.as_str()));
                Answer::Relays(relays)
            }
            Query::Resolve { .. } | Query::SetPolicy { .. } => Answer::Resolved,
            Query::Service { .. } => Answer::Service("done".into()),
        };
        Some(Msg::Answered { ticket, answer: Ok(OperatorAnswer::Query(answer)) })
    }

    /// Presses keys, written as the table of commands writes them, with spaces between.
    fn press(&mut self, keys: &str) -> &mut Rig {
        for key in keys.split(' ').filter(|key| !key.is_empty()) {
            self.send(Msg::Key(key_event(key)));
        }
        self
    }

    fn ticks(&mut self, ticks: u32) -> &mut Rig {
        (0..ticks).for_each(|_| self.send(Msg::Tick));
        self
    }

    /// Paints, and keeps what the frame showed as the loop does.
    fn picture(&mut self) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.app.size.0, self.app.size.1));
        let shown = view(&self.app, &mut buffer);
        self.app.remember(shown);
        buffer
    }

    fn text(&mut self) -> String {
        super::export::text(&self.picture())
    }

    fn note(&self) -> &str {
        self.app.note.as_ref().map_or("", |note| note.text.as_str())
    }

    /// Orders that went out, without questions.
    fn orders(&self) -> Vec<OperatorRequest> {
        let asked = self.out.iter().filter_map(|command| match command {
            Cmd::Ask { request, .. } => Some(request.clone()),
            _ => None,
        });
        asked
            .filter(|request| {
                let reads = matches!(
                    request,
                    OperatorRequest::Aliases
                        | OperatorRequest::Query {
                            query: Query::Table { .. }
                                | Query::Area { .. }
                                | Query::Browse { .. }
                                | Query::Relays { .. },
                            ..
                        }
                );
                !reads
            })
            .collect()
    }
}

fn key_event(key: &str) -> KeyEvent {
    let (code, modifiers) = match key {
        "enter" => (KeyCode::Enter, KeyModifiers::NONE),
        "esc" => (KeyCode::Esc, KeyModifiers::NONE),
        "tab" => (KeyCode::Tab, KeyModifiers::NONE),
        "backtab" => (KeyCode::BackTab, KeyModifiers::SHIFT),
        "space" => (KeyCode::Char(' '), KeyModifiers::NONE),
        "backspace" => (KeyCode::Backspace, KeyModifiers::NONE),
        "up" => (KeyCode::Up, KeyModifiers::NONE),
        "down" => (KeyCode::Down, KeyModifiers::NONE),
        "left" => (KeyCode::Left, KeyModifiers::NONE),
        "right" => (KeyCode::Right, KeyModifiers::NONE),
        "home" => (KeyCode::Home, KeyModifiers::NONE),
        "end" => (KeyCode::End, KeyModifiers::NONE),
        "pageup" => (KeyCode::PageUp, KeyModifiers::NONE),
        "pagedown" => (KeyCode::PageDown, KeyModifiers::NONE),
        _ => match key.strip_prefix("ctrl-") {
            Some(letter) => (KeyCode::Char(letter.chars().next().unwrap()), KeyModifiers::CONTROL),
            None => (KeyCode::Char(key.chars().next().unwrap()), KeyModifiers::NONE),
        },
    };
    KeyEvent::new(code, modifiers)
}

fn table_row(id: &str, state: &str, process_type: &str, hits: u64, text: &str) -> TableRow {
    TableRow {
        id: id.into(),
        state: state.into(),
        process_type: process_type.into(),
        hits,
        written_unix_ms: if state == "executing" { 0 } else { ZERO_UNIX_MS + 1200 + hits },
        text: Some(text.into()),
        hex: None,
        failed: false,
        digest: "9f3a21c0".into(),
    }
}

fn table_rows() -> Vec<TableRow> {
    vec![
        table_row("caller/i1/118", "auto_reply", "AUTO_REPLY", 1, "41"),
        table_row("caller/i1/119", "auto_reply", "AUTO_REPLY", 0, "42"),
        table_row("caller/i1/120", "handler", "HANDLER 0", 0, "created"),
        table_row("caller/i1/121", "executing", "", 0, ""),
        table_row(
            "caller/i1/97",
            "in_doubt",
            "",
            2,
            "create /a/very/long/name/that/does/not/fit/anywhere/at/all.txt",
        ),
    ]
}

fn area(alias: &str) -> AreaSummary {
    let table = |name: &str, rows| AreaTable { name: name.into(), rows };
    AreaSummary {
        alias: alias.into(),
        file: format!("/home/ada/.local/state/palib/counter/areas/{alias}.redb"),
        bytes: 49_152,
        schema: 1,
        incarnation: 2,
        tables: vec![table("app", 3), table("marks", 1), table("meta", 1), table("redundancy", 42)],
        commits: 883,
        commit_us_p50: 210,
        commit_us_p99: 940,
    }
}

fn records(table: &str) -> Vec<BrowseRow> {
    let row = |key: &str, value: &str, hex: &str, damage: Option<&str>| BrowseRow {
        key: key.into(),
        key_hex: key.bytes().map(|byte| format!("{byte:02x}")).collect(),
        value: value.into(),
        value_hex: hex.into(),
        value_bytes: hex.len() as u64 / 2,
        damage: damage.map(str::to_owned),
    };
    match table {
        "app" => vec![
            row("n/apples", "42", "2a", None),
            row("n/pears", "7", "07", None),
            row("n/plums", "", "ffffffff", Some("its checksum does not match")),
        ],
        _ => vec![row(
            "caller/118",
            "state: auto_reply\nreply: 41\nwritten: 00:01.20",
            "7800000000000000020100001c000000046e3d34310000000000000000000000ab",
            None,
        )],
    }
}

/// An event at the end of a story.
fn later(stage: &mut Stage, what: What) -> Event {
    stage.wait(100).say("ftm", what);
    stage.events.last().unwrap().clone()
}

/// A picture as text, and below it the styles, a letter for each: TestBackend would drop them.
fn dump(picture: &Buffer) -> String {
    let mut out = super::export::text(picture);
    out.push_str("\nstyles: g green  c cyan  y yellow  r red  m magenta  d dim  b bold  _ underlined  capital or # reversed\n");
    let mut seen = BTreeMap::new();
    for y in 0..picture.area.height {
        let line: String = (0..picture.area.width).map(|x| letter(picture, x, y)).collect();
        let line = line.trim_end();
        if !line.is_empty() {
            seen.insert(y, line.to_owned());
        }
    }
    for (y, line) in seen {
        out.push_str(&format!("{y:>2} {line}\n"));
    }
    out
}

fn letter(picture: &Buffer, x: u16, y: u16) -> char {
    let cell = &picture[(x, y)];
    let has = |modifier| cell.modifier.contains(modifier);
    let letter = match cell.fg {
        Color::Green | Color::Rgb(120, 200, 120) => 'g',
        Color::Cyan | Color::Rgb(110, 195, 205) => 'c',
        Color::Yellow | Color::Rgb(230, 190, 95) => 'y',
        Color::Red | Color::Rgb(235, 105, 100) => 'r',
        Color::Magenta | Color::Rgb(205, 130, 215) => 'm',
        Color::Rgb(130, 135, 140) => 'd',
        _ if has(Modifier::BOLD) => 'b',
        _ if has(Modifier::UNDERLINED) => '_',
        _ if has(Modifier::DIM) => 'd',
        _ => ' ',
    };
    match (has(Modifier::REVERSED), letter) {
        (true, ' ' | '_' | 'd') => '#',
        (true, letter) => letter.to_ascii_uppercase(),
        (false, letter) => letter,
    }
}
