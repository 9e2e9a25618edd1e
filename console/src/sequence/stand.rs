//! Who is how while time goes down: the fold behind the lanes.

use std::collections::{BTreeMap, BTreeSet};

use palib::control::{AliasRow, Event, MemberState, What};

use super::Stand;
use crate::world::{Life, World};

/// Processes and aliases at a moment of the chart.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    gone: BTreeMap<String, bool>,
    hangs: BTreeMap<String, bool>,
    /// Who has the mark of service of an alias.
    serves: BTreeMap<String, String>,
    /// The members of each alias, in their order.
    members: BTreeMap<String, Vec<String>>,
    /// Hangs that were injected: what ends them names only their number.
    injected: BTreeMap<String, String>,
    /// Aliases that nobody serves, since when.
    dark: BTreeMap<String, u64>,
    blackouts: Vec<(String, u64, u64)>,
}

impl Standing {
    /// As a world has it, before these events.
    pub(super) fn of(world: &World, told: &[&Event]) -> Standing {
        let mut standing = Standing::default();
        for row in world.aliases.values() {
            standing.row(row, 0);
        }
        for (name, process) in &world.processes {
            standing.gone.insert(name.clone(), process.life == Life::Dead);
            standing.hangs.insert(name.clone(), matches!(process.life, Life::Hung | Life::Paused));
        }
        // Who is heard of first because it was started was not there before.
        let mut heard: BTreeSet<&str> = standing.gone.keys().map(String::as_str).collect();
        let mut unborn = Vec::new();
        for event in told {
            match &event.what {
                What::Spawned { name, .. } if heard.insert(name) => unborn.push(name.clone()),
                What::Exited { name, .. } | What::Adopted { name, .. } | What::Joined { name } => {
                    heard.insert(name);
                }
                _ => {
                    heard.insert(&event.process);
                }
            }
        }
        unborn.into_iter().for_each(|name| standing.set(&name, true, false));
        standing
    }

    /// Folds an event in.
    pub(super) fn apply(&mut self, event: &Event) {
        match &event.what {
            What::Alias { row } => self.row(row, event.at_ns),
            What::Spawned { name, .. } | What::Adopted { name, .. } | What::Joined { name } => {
                self.set(name, false, false);
            }
            What::Exited { name, .. } => {
                self.set(name, true, false);
                let dark: Vec<String> = self
                    .serves
                    .iter()
                    .filter(|(_, process)| *process == name)
                    .map(|(alias, _)| alias.clone())
                    .collect();
                dark.into_iter().for_each(|alias| self.unserved(&alias, event.at_ns));
            }
            What::Hung { name, .. } => self.set(name, false, true),
            What::Heard { name } => self.set(name, false, false),
            What::Defect { id, spec } => {
                if let Some(process) = spec.strip_prefix("hang ").and_then(|rest| rest.split(' ').next()) {
                    let process = self.process(process);
                    self.injected.insert(id.clone(), process.clone());
                    self.set(&process, false, true);
                }
            }
            What::Paused { name, id, .. } => {
                self.injected.insert(id.clone(), name.clone());
                self.set(name, false, true);
            }
            What::Healed { id } => {
                if let Some(process) = self.injected.remove(id)
                    && self.gone.get(&process) != Some(&true)
                {
                    self.set(&process, false, false);
                }
            }
            What::TakeoverStarted { alias, .. } => self.unserved(alias, event.at_ns),
            What::InService { alias, member, .. } => self.served(alias, member, event.at_ns),
            _ => {}
        }
    }

    /// How a process is.
    pub(super) fn stand(&self, process: &str) -> Stand {
        // Who was not heard of yet is taken for alive: events begin anywhere.
        if self.gone.get(process) == Some(&true) {
            Stand::Gone
        } else if self.hangs.get(process) == Some(&true) {
            Stand::Hangs
        } else if self.serves.values().any(|serving| serving == process) {
            Stand::Serves
        } else {
            Stand::Waits
        }
    }

    /// Who has an alias in service.
    pub(super) fn serving(&self, alias: &str) -> Option<&String> {
        self.serves.get(alias)
    }

    /// The process a defect names: by its own name, or by the alias it serves.
    pub(super) fn process(&self, name: &str) -> String {
        self.serves.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The members of the aliases.
    pub(super) fn members(&self) -> &BTreeMap<String, Vec<String>> {
        &self.members
    }

    /// Times in which an alias was served by nobody, as `(alias, from, until)`; those that last until `end_ns`.
    pub(super) fn blackouts(&self, end_ns: u64) -> Vec<(String, u64, u64)> {
        let last = self.dark.iter().map(|(alias, since)| (alias.clone(), *since, end_ns));
        self.blackouts.iter().cloned().chain(last).collect()
    }

    fn set(&mut self, process: &str, gone: bool, hangs: bool) {
        self.gone.insert(process.to_owned(), gone);
        self.hangs.insert(process.to_owned(), hangs);
    }

    fn row(&mut self, row: &AliasRow, at_ns: u64) {
        let known = self.members.entry(row.alias.clone()).or_default();
        for member in &row.members {
            if !known.contains(&member.process) {
                known.push(member.process.clone());
            }
        }
        for member in &row.members {
            match member.state {
                MemberState::Dead => self.set(&member.process, true, false),
                MemberState::Hung => self.set(&member.process, false, true),
                _ => {}
            }
        }
        if let Some(member) = row.in_service() {
            self.served(&row.alias, &member.process.clone(), at_ns);
        }
    }

    fn served(&mut self, alias: &str, process: &str, at_ns: u64) {
        self.serves.insert(alias.to_owned(), process.to_owned());
        if let Some(since) = self.dark.remove(alias) {
            self.blackouts.push((alias.to_owned(), since, at_ns));
        }
    }

    fn unserved(&mut self, alias: &str, at_ns: u64) {
        if self.serves.remove(alias).is_some() {
            self.dark.insert(alias.to_owned(), at_ns);
        }
    }
}
