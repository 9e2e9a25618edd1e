//! The palette of defects: what can be done to whom, what it would do, and the ledger of what was done.

mod plan;
mod points;
mod preview;
mod scenario;

use std::collections::BTreeMap;

use palib::control::OperatorRequest;
use tui_input::Input;

use super::act;
use super::app::{App, Pane, Purpose, Remedy, Undo};
use super::commands::{Id, may_act};
use super::keys::move_about;
use super::msg::Cmd;
use super::popup::{Confirm, Deed, Popup, Then};
use super::process;
use crate::world::{DefectState, DefectView, Role, Tone};

pub(crate) use plan::{Plan, plan, read};
pub(crate) use points::{
    Points, arm_every, candidates, disarm_every, every_point, pressed as points_pressed,
};
pub(crate) use preview::{consequences, ends};

/// A column of the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// What befalls a process.
    Process,
    /// What befalls the link between two.
    Network,
    /// What befalls the disk below a stable area.
    Storage,
    /// What waits for somebody to pass a point; and the FTM.
    Point,
}

impl Group {
    /// All of them, from left to right.
    pub(crate) const ALL: [Group; 4] = [Group::Process, Group::Network, Group::Storage, Group::Point];

    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Process => "PROCESS",
            Group::Network => "NETWORK",
            Group::Storage => "STORAGE",
            Group::Point => "DEFECT POINT, FTM",
        }
    }
}

/// Something to choose in the palette.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Choice {
    #[default]
    Kill,
    Hang,
    Exit,
    Restart,
    KillBackup,
    KillAll,
    Cut,
    OneWay,
    Drop,
    Delay,
    Duplicate,
    Reorder,
    FsyncError,
    Full,
    Torn,
    Slow,
    KillAt,
    WaitAt,
    EveryPoint,
    KillFtm,
}

/// The choices: what, its letter, its column, its words.
pub(crate) const CHOICES: [(Choice, char, Group, &str); 20] = [
    (Choice::Kill, 'k', Group::Process, "kill -9"),
    (Choice::Hang, 'h', Group::Process, "hang"),
    (Choice::Exit, 'e', Group::Process, "exit"),
    (Choice::Restart, 'r', Group::Process, "restart"),
    (Choice::KillBackup, 'b', Group::Process, "kill a backup"),
    (Choice::KillAll, 'a', Group::Process, "kill the alias"),
    (Choice::Cut, 'c', Group::Network, "cut"),
    (Choice::OneWay, 'o', Group::Network, "one way"),
    (Choice::Drop, 'd', Group::Network, "drop"),
    (Choice::Delay, 'l', Group::Network, "delay"),
    (Choice::Duplicate, '2', Group::Network, "twice"),
    (Choice::Reorder, 'm', Group::Network, "mix up"),
    (Choice::FsyncError, 'y', Group::Storage, "fsync fails"),
    (Choice::Full, 'f', Group::Storage, "disk full"),
    (Choice::Torn, 't', Group::Storage, "torn write"),
    (Choice::Slow, 'w', Group::Storage, "slow"),
    (Choice::KillAt, 'p', Group::Point, "kill at a point…"),
    (Choice::WaitAt, 'n', Group::Point, "wait at a point…"),
    (Choice::EveryPoint, 'i', Group::Point, "step each point"),
    (Choice::KillFtm, 'F', Group::Point, "kill the FTM"),
];

impl Choice {
    /// The amounts it can be done by, in the language of defects, and the place of the first one offered.
    pub(crate) fn amounts(self) -> (&'static [&'static str], usize) {
        match self {
            Choice::Hang => (&["", "200ms", "1s", "3s", "10s"], 3),
            Choice::Drop => (&["1%", "5%", "10%", "25%", "50%", "90%"], 2),
            Choice::Delay => (&["5ms", "20ms±5ms", "50ms±20ms", "200ms±50ms", "1s"], 1),
            Choice::Duplicate => (&["1%", "5%", "20%", "50%"], 1),
            Choice::Slow => (&["5ms", "20ms", "100ms", "300ms", "1s"], 3),
            _ => (&[], 0),
        }
    }

    fn entry(self) -> &'static (Choice, char, Group, &'static str) {
        CHOICES.iter().find(|(choice, ..)| *choice == self).expect("every choice stands in the list")
    }

    /// Its column.
    pub(crate) fn group(self) -> Group {
        self.entry().2
    }

    /// Whether it opens a list of points, where nothing is done yet.
    fn opens_list(self) -> bool {
        matches!(self, Choice::KillAt | Choice::WaitAt)
    }
}

/// The palette as it is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Palette {
    /// Whom it is about: a member of an alias, as `(alias, process)`.
    pub target: (String, String),
    /// The other end of a link, once it was changed.
    other: Option<String>,
    /// What is chosen.
    pub choice: Choice,
    /// Whether the keys go to the ledger.
    pub in_ledger: bool,
    /// The amounts that were changed, by their places.
    amounts: BTreeMap<Choice, usize>,
}

impl Palette {
    /// The amount of a choice, in the language of defects; empty if it has none.
    pub(crate) fn amount(&self, choice: Choice) -> &'static str {
        let (amounts, first) = choice.amounts();
        let place = self.amounts.get(&choice).copied().unwrap_or(first);
        amounts.get(place).copied().unwrap_or_default()
    }

    /// The other end of a link: the chosen one, or else whom the target talks to most naturally.
    pub(crate) fn other(&self, app: &App) -> String {
        if let Some(other) = self.other.as_ref().filter(|other| **other != self.target.1) {
            return other.clone();
        }
        let world = app.world();
        let (alias, process) = &self.target;
        let edges = world.edges();
        let linked = edges.iter().find_map(|edge| {
            let other = if edge.to == *alias { &edge.from } else { &edge.to };
            (edge.to == *alias || edge.from == *alias).then_some(other)
        });
        let serving = linked.and_then(|alias| world.aliases.get(alias)?.in_service());
        match serving.filter(|member| member.process != *process) {
            Some(member) => member.process.clone(),
            None => "ftm".to_owned(),
        }
    }

    fn turn_amount(&mut self, by: isize) {
        let (amounts, first) = self.choice.amounts();
        let now = self.amounts.get(&self.choice).copied().unwrap_or(first);
        let next = now.saturating_add_signed(by).min(amounts.len().saturating_sub(1));
        self.amounts.insert(self.choice, next);
    }
}

/// Every member of every alias, as `(alias, process)`: who can be a target.
fn targets(app: &App) -> Vec<(String, String)> {
    let rows = app.world().aliases.values();
    rows.flat_map(|row| row.members.iter().map(|member| (row.alias.clone(), member.process.clone())))
        .collect()
}

/// Who can be at the other end: every other process, and the FTM.
fn other_ends(app: &App, process: &str) -> Vec<String> {
    let processes = app.world().processes.keys().filter(|name| *name != process).cloned();
    processes.chain(std::iter::once("ftm".to_owned())).collect()
}

/// Opens the palette over the screen, about what is chosen there.
pub(crate) fn open(app: &mut App) {
    let chosen = app.target().map(|(process, alias)| (alias, process));
    let world = app.world();
    let serving = |alias: &String| {
        world.aliases.get(alias)?.in_service().map(|member| (alias.clone(), member.process.clone()))
    };
    let server = || world.aliases.keys().filter(|alias| world.role(alias) == Role::Server).find_map(serving);
    let target = chosen.or_else(server).or_else(|| targets(app).into_iter().next()).unwrap_or_default();
    app.look_mut(Pane::Ledger).chosen = None;
    app.popups.push(Popup::Defects(Palette { target, ..Palette::default() }));
}

/// The palette on top, to change it.
fn top(app: &mut App) -> Option<&mut Palette> {
    match app.popups.last_mut() {
        Some(Popup::Defects(palette)) => Some(palette),
        _ => None,
    }
}

/// Gives a key to the palette on top.
pub(crate) fn pressed(app: &mut App, key: &str) -> Vec<Cmd> {
    let Some(palette) = top(app).cloned() else { return Vec::new() };
    match key {
        "esc" | "q" => {
            app.popups.pop();
        }
        "u" if palette.in_ledger => return take_back_chosen(app),
        "u" => return act::perform_if_possible(app, Id::Undo),
        "U" => return act::perform_if_possible(app, Id::HealAll),
        "S" => return act::perform_if_possible(app, Id::Screenshot),
        "s" => return scenario::save(app),
        ":" => write(app),
        "tab" | "backtab" => turn_target(app, key == "tab"),
        "]" | "[" => turn_other(app, key == "]"),
        "+" | "=" => change(app, |palette| palette.turn_amount(1)),
        "-" => change(app, |palette| palette.turn_amount(-1)),
        "enter" if palette.in_ledger => return go_there(app),
        "enter" => return choose(app, palette.choice),
        "up" | "down" | "left" | "right" | "pageup" | "pagedown" | "home" | "end" => move_to(app, key),
        _ => {
            let found = CHOICES.iter().find(|(_, letter, ..)| letter.to_string() == key);
            if let Some((choice, ..)) = found {
                change(app, |palette| (palette.choice, palette.in_ledger) = (*choice, false));
                if choice.opens_list() {
                    return choose(app, *choice);
                }
            }
        }
    }
    Vec::new()
}

fn change(app: &mut App, how: impl FnOnce(&mut Palette)) {
    if let Some(palette) = top(app) {
        how(palette);
    }
}

fn turn_target(app: &mut App, on: bool) {
    let all = targets(app);
    let Some(palette) = top(app) else { return };
    let now = all.iter().position(|target| *target == palette.target);
    let next = match (now, on) {
        (None, _) => 0,
        (Some(now), true) => now + 1,
        (Some(now), false) => now + all.len() - 1,
    };
    if let Some(target) = all.get(next % all.len().max(1)) {
        palette.target = target.clone();
    }
}

fn turn_other(app: &mut App, on: bool) {
    let Some(palette) = top(app).cloned() else { return };
    let all = other_ends(app, &palette.target.1);
    let now = all.iter().position(|name| *name == palette.other(app)).unwrap_or(0);
    let next = if on { now + 1 } else { now + all.len() - 1 } % all.len();
    change(app, |palette| palette.other = Some(all[next].clone()));
}

/// Moves among the choices, column by column, and beyond their last into the ledger.
fn move_to(app: &mut App, key: &str) {
    let Some(palette) = top(app).cloned() else { return };
    if palette.in_ledger {
        let table = app.table(Pane::Ledger);
        let first = app.place(Pane::Ledger, &table).unwrap_or(0) == 0;
        let id = match key {
            "up" if first => return change(app, |palette| palette.in_ledger = false),
            "up" => Id::Up,
            "down" => Id::Down,
            "pageup" => Id::HalfUp,
            "pagedown" => Id::HalfDown,
            "home" => Id::Top,
            "end" => Id::Bottom,
            _ => return,
        };
        return move_about(app, id);
    }
    let column: Vec<Choice> = of_group(palette.choice.group());
    let place = column.iter().position(|choice| *choice == palette.choice).unwrap_or(0);
    let group = Group::ALL.iter().position(|group| *group == palette.choice.group()).unwrap_or(0);
    let beside = |group: usize| {
        let column = of_group(Group::ALL[group % Group::ALL.len()]);
        column[place.min(column.len() - 1)]
    };
    let next = match key {
        "up" => column[place.saturating_sub(1)],
        "down" | "pagedown" | "end" if place + 1 == column.len() || key != "down" => {
            let any = !app.table(Pane::Ledger).rows.is_empty();
            return change(app, |palette| palette.in_ledger = any);
        }
        "down" => column[place + 1],
        "left" => beside(group + Group::ALL.len() - 1),
        "right" => beside(group + 1),
        _ => return,
    };
    change(app, |palette| palette.choice = next);
}

/// The choices of a column.
pub(crate) fn of_group(group: Group) -> Vec<Choice> {
    CHOICES.iter().filter(|(_, _, of, _)| *of == group).map(|(choice, ..)| *choice).collect()
}

/// Does what is chosen, or asks first if that can't be taken back.
pub(crate) fn choose(app: &mut App, choice: Choice) -> Vec<Cmd> {
    let Some(palette) = top(app).cloned() else { return Vec::new() };
    if let Err(reason) = may_act(app) {
        app.tell(Tone::Warn, reason);
        return Vec::new();
    }
    match choice {
        Choice::KillAt | Choice::WaitAt => {
            let points = Points::of(&palette.target.0, choice == Choice::WaitAt);
            app.popups.push(Popup::Points(points));
            Vec::new()
        }
        Choice::EveryPoint => arm_every(app, &palette.target.0),
        _ => match plan(app, &palette, choice) {
            Ok(plan) => carry_out(app, plan),
            Err(reason) => {
                app.tell(Tone::Warn, reason);
                Vec::new()
            }
        },
    }
}

/// Gives the orders of a plan; asks first if they can't be taken back.
pub(crate) fn carry_out(app: &mut App, plan: Plan) -> Vec<Cmd> {
    if plan.gentle {
        return plan.requests.into_iter().flat_map(|request| inject(app, &plan.text, request)).collect();
    }
    let ends = ends(app, &plan.requests);
    app.popups.push(Popup::Confirm(Confirm {
        title: format!("{}?", plan.text),
        lines: plan.preview.into_iter().map(|sentence| sentence.text).collect(),
        choices: vec![("Inject".to_owned(), Deed::Inject { what: plan.text, requests: plan.requests })],
        chosen: 0,
        ends,
        typed: plan.last_of.map(|alias| (alias, Input::default())),
    }));
    Vec::new()
}

/// Orders a defect; what undoes it is kept.
pub(crate) fn inject(app: &mut App, what: &str, request: OperatorRequest) -> Vec<Cmd> {
    let undo = match &request {
        OperatorRequest::Kill { .. } | OperatorRequest::Exit { .. } | OperatorRequest::Restart { .. } => None,
        // An alias means somebody else once it was taken over.
        OperatorRequest::Hang { process, .. } if app.history.live().processes.contains_key(process) => {
            Some(process::resumption(process.clone()))
        }
        _ => Some(Undo { what: format!("{what} is over"), by: Remedy::Newest }),
    };
    let ticket = app.next_ticket(Purpose::Order { what: what.to_owned(), undo });
    vec![Cmd::Ask { ticket, request }]
}

/// Asks for a defect in the words of the language.
fn write(app: &mut App) {
    if let Err(reason) = may_act(app) {
        return app.tell(Tone::Warn, reason);
    }
    let Some(palette) = top(app).cloned() else { return };
    let text = plan(app, &palette, palette.choice).map(|plan| plan.text).unwrap_or_default();
    app.popups.push(Popup::Ask {
        title: "a defect in words, such as kill counter@after-block#2".to_owned(),
        prompt: "defect".to_owned(),
        input: Input::new(text),
        then: Then::Defect,
    });
}

/// The ids behind the chosen line of the ledger.
fn chosen_ids(app: &App) -> Vec<String> {
    let table = app.table(Pane::Ledger);
    let Some(row) = table.chosen_row(&app.look(Pane::Ledger)) else { return Vec::new() };
    let ids = row.json["ids"].as_array().cloned().unwrap_or_default();
    ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// Takes back what the chosen line of the ledger tells of.
fn take_back_chosen(app: &mut App) -> Vec<Cmd> {
    if let Err(reason) = may_act(app) {
        app.tell(Tone::Warn, reason);
        return Vec::new();
    }
    let ids = chosen_ids(app);
    let defects = app.history.live().defects.iter().filter(|defect| ids.contains(&defect.id));
    let remedies: Vec<_> = defects.filter_map(|it| Some((it.id.clone(), it.remedy()?))).collect();
    if remedies.is_empty() {
        app.tell(Tone::Warn, "it does not last: there is nothing to take back");
    }
    let over =
        remedies.into_iter().map(|(id, remedy)| act::order(app, format!("{id} is over"), remedy, None));
    over.flatten().collect()
}

/// Shows every screen as it was when the chosen defect began, on the sequence chart.
fn go_there(app: &mut App) -> Vec<Cmd> {
    let ids = chosen_ids(app);
    let Some(id) = ids.first() else { return Vec::new() };
    let begun = |what: &palib::control::What| {
        use palib::control::What;
        matches!(what, What::Defect { id: of, .. } | What::Armed { id: of, .. } | What::Paused { id: of, .. } if of == id)
    };
    let found = app.history.newest_first(app.moment()).find(|(_, event)| begun(&event.what));
    let Some(moment) = found.map(|(moment, _)| moment) else {
        app.tell(Tone::Warn, format!("{id} was too long ago: its events are not kept any more"));
        return Vec::new();
    };
    app.popups.pop();
    super::sequence::at(app, moment);
    Vec::new()
}

/// Defects of the ledger that are alike in that somebody of an alias is to wait at a point, and did not come by yet:
/// armed ones, or such as were taken back. Stepping makes many of them, and they stand on one line.
pub(crate) fn waits_alike(app: &App, alias: &str, state: DefectState) -> Vec<String> {
    let alike = |it: &&DefectView| it.state() == state && waits_for(it).as_deref() == Some(alias);
    app.world().defects.iter().filter(alike).map(|it| it.id.clone()).collect()
}

/// The alias at whose point somebody is to wait, for a defect that nobody came by.
pub(crate) fn waits_for(defect: &DefectView) -> Option<String> {
    let target = defect.spec.strip_prefix("pause ")?;
    let nobody = defect.deeds.since_ns().is_none();
    nobody.then(|| target.split('@').next().unwrap_or_default().to_owned())
}
