//! Keys while a popup is open, and moving about in tables.

use super::act;
use super::app::{App, Pane};
use super::commands::{self, COMMANDS, Command, Id};
use super::filter::Filter;
use super::inject;
use super::msg::Cmd;
use super::popup::{About, Popup, edit};
use super::process;
use super::update::perform;
use super::view::page;

/// Gives a key to the popup on top.
pub(crate) fn in_popup(app: &mut App, key: &str) -> Vec<Cmd> {
    match app.popups.last() {
        Some(Popup::Defects(_)) => return inject::pressed(app, key),
        Some(Popup::Points(_)) => return inject::points_pressed(app, key),
        Some(Popup::Sweep(_)) => return super::matrix::pressed(app, key),
        _ => {}
    }
    let Some(mut popup) = app.popups.pop() else { return Vec::new() };
    if key == "esc" {
        if let Popup::Filter { pane, before, .. } = popup {
            app.look_mut(pane).filter = before;
        }
        return Vec::new();
    }
    match &mut popup {
        Popup::Menu { items, chosen, .. } => match key {
            "q" => return Vec::new(),
            "enter" => {
                let item = items[(*chosen).min(items.len() - 1)].clone();
                return choose(app, popup, item.command, item.disabled);
            }
            _ => {
                if let Some(item) = items.iter().find(|item| item.letter.to_string() == key).cloned() {
                    return choose(app, popup, item.command, item.disabled);
                }
                move_choice(chosen, items.len(), key, true);
            }
        },
        Popup::Confirm(confirm) => match (key, &mut confirm.typed) {
            ("enter", _) => return act::confirmed(app, popup),
            (_, Some((_, input))) => {
                edit(input, key);
            }
            ("q", None) => return Vec::new(),
            (_, None) => {
                let choices = confirm.choices.len() + 1;
                let letter = confirm.choices.iter().position(|(label, _)| {
                    label.chars().next().is_some_and(|first| first.to_lowercase().to_string() == key)
                });
                match (key, letter) {
                    // A letter only chooses; Enter does it. Nothing irreversible lies under one key.
                    (_, Some(place)) => confirm.chosen = place + 1,
                    ("c", None) => confirm.chosen = 0,
                    ("tab" | "right" | "l" | "down" | "j", None) => {
                        confirm.chosen = (confirm.chosen + 1) % choices;
                    }
                    ("backtab" | "left" | "h" | "up" | "k", None) => {
                        confirm.chosen = (confirm.chosen + choices - 1) % choices;
                    }
                    _ => {}
                }
            }
        },
        Popup::Ask { input, .. } => {
            if key == "enter" {
                return act::typed(app, popup);
            }
            edit(input, key);
        }
        Popup::Palette { input, chosen } => {
            let found = found_by_letters(input.value());
            if key == "enter" {
                let command = found.get(*chosen).copied();
                return run(app, popup, command);
            }
            if !move_choice(chosen, found.len(), key, false) && edit(input, key) {
                *chosen = 0;
            }
        }
        Popup::Help { input, chosen } => {
            let found = found_by_words(input.value());
            if key == "enter" {
                let command = found.get(*chosen).copied();
                return run(app, popup, command);
            }
            if !move_choice(chosen, found.len(), key, false) && edit(input, key) {
                *chosen = 0;
            }
        }
        Popup::Filter { pane, input, .. } => {
            if key == "enter" {
                return Vec::new();
            }
            edit(input, key);
            let (pane, text) = (*pane, input.value().to_owned());
            app.look_mut(pane).filter = text;
        }
        // They got the key already.
        Popup::Defects(_) | Popup::Points(_) | Popup::Sweep(_) => {}
        Popup::Detail { lines, scroll, title } => match key {
            "q" | "enter" => return Vec::new(),
            "y" | "Y" => {
                let text = lines.join("\n");
                let title = title.clone();
                app.popups.push(popup);
                app.tell(crate::world::Tone::Plain, format!("copied {title}"));
                return vec![Cmd::Copy(text)];
            }
            _ => {
                let (folded, rows) = page(app, lines);
                move_choice(scroll, (folded.len() + 1).saturating_sub(rows), key, true);
            }
        },
    }
    app.popups.push(popup);
    Vec::new()
}

/// Does what an item of a menu says, or tells why it can't be done and leaves the menu open.
fn choose(app: &mut App, menu: Popup, command: Id, disabled: Option<String>) -> Vec<Cmd> {
    if let Some(reason) = disabled {
        app.tell(crate::world::Tone::Warn, reason);
        app.popups.push(menu);
        return Vec::new();
    }
    let Popup::Menu { about, .. } = menu else { return Vec::new() };
    let refused = match about {
        About::Screen => None,
        About::Call(call) => super::resolve::subject(app)
            .map_or(true, |subject| subject.call != call)
            .then(|| format!("{call} is not in the table any more")),
        About::Process { process, alias } => match commands::can_do_to(app, command, &process) {
            Ok(()) => return process::perform(app, command, process, alias),
            Err(reason) => Some(reason),
        },
    };
    match refused {
        None => perform(app, command),
        Some(reason) => {
            app.tell(crate::world::Tone::Warn, reason);
            Vec::new()
        }
    }
}

/// Runs a command from palette or help; one that can't be done leaves the list open.
fn run(app: &mut App, list: Popup, command: Option<&'static Command>) -> Vec<Cmd> {
    let Some(command) = command else {
        app.popups.push(list);
        return Vec::new();
    };
    if let Err(reason) = commands::available(app, command.id) {
        app.tell(crate::world::Tone::Warn, format!("{}: {reason}", command.name));
        app.popups.push(list);
        return Vec::new();
    }
    perform(app, command.id)
}

/// Moves a choice in a list; `letters` also move where nothing is typed. False if the key is not for it.
fn move_choice(chosen: &mut usize, len: usize, key: &str, letters: bool) -> bool {
    let last = len.saturating_sub(1);
    let next = match key {
        "down" | "tab" => *chosen + 1,
        "up" | "backtab" => chosen.saturating_sub(1),
        "pagedown" | "ctrl-d" => *chosen + 10,
        "pageup" => chosen.saturating_sub(10),
        "j" if letters => *chosen + 1,
        "k" if letters => chosen.saturating_sub(1),
        "g" | "home" if letters => 0,
        "G" | "end" if letters => last,
        _ => return false,
    };
    *chosen = next.min(last);
    true
}

/// The commands whose names have these letters in this order, the best first (the palette).
#[must_use]
pub(crate) fn found_by_letters(typed: &str) -> Vec<&'static Command> {
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    use nucleo_matcher::{Config, Matcher, Utf32Str};
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, &Command)> = COMMANDS
        .iter()
        .filter_map(|command| {
            let score = pattern.score(Utf32Str::new(command.name, &mut buffer), &mut matcher)?;
            Some((score, command))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, command)| command).collect()
}

/// The commands whose names, keys or sentences contain all of these words (the help).
#[must_use]
pub(crate) fn found_by_words(typed: &str) -> Vec<&'static Command> {
    let words: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
    let has = |command: &&Command| {
        let text = format!("{} {} {}", command.name, command.help, command.chapter.title()).to_lowercase();
        words.iter().all(|word| text.contains(word) || command.keys.contains(&word.as_str()))
    };
    let mut found: Vec<&Command> = COMMANDS.iter().filter(has).collect();
    found.sort_by_key(|command| command.chapter);
    found
}

/// Moves the selection of the pane with the focus.
pub(crate) fn move_about(app: &mut App, id: Id) {
    let pane = app.pane();
    let table = app.table(pane);
    let page = app.shown.pages.get(&pane).map_or(10, |(_, rows)| *rows).max(2);
    if pane == Pane::Sequence && matches!(id, Id::Left | Id::Right) {
        return super::sequence::shift(app, id == Id::Right);
    }
    let mut look = app.look(pane);
    let last = table.rows.len().saturating_sub(1);
    let now = app.place(pane, &table).unwrap_or(0);
    let next = match id {
        Id::Down => now + 1,
        Id::Up => now.saturating_sub(1),
        Id::Top => 0,
        Id::Bottom => last,
        Id::HalfDown => now + page / 2,
        Id::HalfUp => now.saturating_sub(page / 2),
        Id::Left | Id::Right => {
            let step = if id == Id::Left { look.column.saturating_sub(1) } else { look.column + 1 };
            look.column = step.min(table.columns.len().saturating_sub(1));
            app.looks.insert(pane, look);
            return;
        }
        _ => now,
    };
    look.choose(&table, next);
    if matches!(pane, Pane::Log | Pane::Sequence) {
        app.follow = next >= last;
    }
    match pane {
        Pane::Areas => app.look_mut(Pane::Records).chosen = None,
        Pane::Relays => app.look_mut(Pane::Journal).chosen = None,
        Pane::Demos => app.look_mut(Pane::Steps).chosen = None,
        _ => {}
    }
    app.looks.insert(pane, look);
}

/// Whether what is typed into the filter can be understood; else what is wrong with it.
pub(crate) fn filter_error(app: &App, pane: Pane, text: &str) -> Option<String> {
    let table = app.table(pane);
    let titles: Vec<&str> = table.columns.iter().map(|column| column.title).collect();
    Filter::parse(text, &titles).err()
}
