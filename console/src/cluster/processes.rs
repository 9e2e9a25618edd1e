//! The processes of a cluster file: those written out, and those that follow from `members`.

use std::ops::Range;

use super::fields::{Fields, Mistakes, one_of};
use super::parse::{FoundAlias, MEMBERS_MAX, PROCESS, check_name};
use super::{KINDS, ProcessSpec};

/// A process of the file and where it was written.
pub(super) struct FoundProcess {
    spec: ProcessSpec,
    at: Range<usize>,
}

pub(super) fn processes(
    top: &Fields<'_>,
    aliases: &[FoundAlias],
    mistakes: &mut Mistakes<'_>,
) -> Vec<FoundProcess> {
    let known: Vec<&str> = aliases.iter().map(|alias| alias.spec.name.as_str()).collect();
    let mut found: Vec<FoundProcess> = Vec::new();
    for (table, at) in top.tables("process", mistakes) {
        let fields = Fields::open(table, at.clone(), &PROCESS, mistakes);
        let Some(name) = fields.text("name", mistakes) else {
            if fields.get("name").is_none() {
                mistakes.add(at, "this process has no name", "add a line such as: name = \"process-1\"");
            }
            continue;
        };
        check_name("a process", name.value, name.at.clone(), mistakes);
        if found.iter().any(|other| other.spec.name.eq_ignore_ascii_case(name.value)) {
            mistakes.add(
                name.at.clone(),
                format!("there are two processes named \"{}\"", name.value),
                "a process is listed once, with all its aliases",
            );
        }
        let member_of = fields.texts("aliases", mistakes);
        if member_of.as_ref().is_none_or(|list| list.value.is_empty()) {
            mistakes.add(
                name.at.clone(),
                format!("process {} is in no alias", name.value),
                "add a line such as: aliases = [\"counter\"]",
            );
        }
        let mut names: Vec<String> = Vec::new();
        for alias in member_of.into_iter().flat_map(|list| list.value) {
            if !known.contains(&alias.value) {
                mistakes.add(
                    alias.at,
                    format!("there is no alias \"{}\"", alias.value),
                    one_of(alias.value, &known),
                );
            } else if names.iter().any(|name| name == alias.value) {
                mistakes.add(
                    alias.at,
                    format!("alias {} is named twice", alias.value),
                    "a process has one port in an alias",
                );
            } else {
                names.push(alias.value.to_owned());
            }
        }
        let command = fields.command(mistakes);
        found.push(FoundProcess {
            spec: ProcessSpec { name: name.value.to_owned(), aliases: names, command },
            at: name.at,
        });
    }
    found
}

/// The processes written out, and for each alias without any the ones that follow from `members`.
pub(super) fn all_processes(
    aliases: &[FoundAlias],
    mut explicit: Vec<FoundProcess>,
    mistakes: &mut Mistakes<'_>,
) -> Vec<ProcessSpec> {
    for process in &mut explicit {
        process.spec.command = command_of(process, aliases, mistakes);
    }
    let mut derived: Vec<ProcessSpec> = Vec::new();
    for FoundAlias { spec: alias, says_what, members, at, .. } in aliases {
        let name = &alias.name;
        let listed = explicit.iter().filter(|process| process.spec.aliases.contains(name)).count() as i64;
        if listed == 0 {
            if !says_what {
                let hint =
                    format!("add kind = \"…\" (known: {}) or command = [\"./my-service\"]", KINDS.join(", "));
                mistakes.add(at.clone(), format!("alias {name} has neither a kind nor a command"), hint);
            }
            let wanted = members.as_ref().map_or(2, |(wanted, _)| *wanted).clamp(1, MEMBERS_MAX);
            derived.extend((1..=wanted).map(|number| ProcessSpec {
                name: format!("{name}-{number}"),
                aliases: vec![name.clone()],
                command: alias.command.clone(),
            }));
        } else if let Some((wanted, at)) = members
            && *wanted != listed
        {
            mistakes.add(
                at.clone(),
                format!("alias {name} says {wanted} members, and {listed} processes list it"),
                "leave `members` out where the processes are written out",
            );
        }
    }
    for process in &explicit {
        if aliases.iter().any(|alias| alias.spec.name.eq_ignore_ascii_case(&process.spec.name)) {
            let name = &process.spec.name;
            mistakes.add(
                process.at.clone(),
                format!("a process and an alias are both named \"{name}\""),
                format!("`kill {name}` would be unclear; rename one"),
            );
        }
        if derived.iter().any(|other| other.name.eq_ignore_ascii_case(&process.spec.name)) {
            mistakes.add(
                process.at.clone(),
                format!("the members of an alias include a process \"{}\" already", process.spec.name),
                "rename this one",
            );
        }
    }
    let mut all: Vec<ProcessSpec> = explicit.into_iter().map(|process| process.spec).collect();
    for process in derived {
        if let Some(FoundAlias { at, .. }) =
            aliases.iter().find(|alias| alias.spec.name.eq_ignore_ascii_case(&process.name))
        {
            mistakes.add(
                at.clone(),
                format!("a member of another alias is named \"{}\" too", process.name),
                "rename this alias",
            );
        }
        all.push(process);
    }
    all
}

/// A process runs its own command, or the one of its aliases where they agree.
fn command_of(
    process: &FoundProcess,
    aliases: &[FoundAlias],
    mistakes: &mut Mistakes<'_>,
) -> Option<Vec<String>> {
    if process.spec.command.is_some() {
        return process.spec.command.clone();
    }
    let of: Vec<&FoundAlias> =
        aliases.iter().filter(|alias| process.spec.aliases.contains(&alias.spec.name)).collect();
    if let Some(nothing) = of.iter().find(|alias| !alias.says_what) {
        let what =
            format!("nothing says what process {} runs for alias {}", process.spec.name, nothing.spec.name);
        mistakes.add(process.at.clone(), what, "give the alias a kind, or the process a command");
    }
    let first = of.first().and_then(|alias| alias.spec.command.clone());
    if of.iter().any(|alias| alias.spec.command != first) {
        let what = format!("the aliases of process {} run different commands", process.spec.name);
        mistakes.add(process.at.clone(), what, "give the process a command of its own that serves them all");
    }
    first
}

pub(super) fn check_active(aliases: &[FoundAlias], processes: &[ProcessSpec], mistakes: &mut Mistakes<'_>) {
    for alias in aliases {
        let Some(active) = &alias.spec.active else { continue };
        let members: Vec<&str> = processes
            .iter()
            .filter(|p| p.aliases.contains(&alias.spec.name))
            .map(|p| p.name.as_str())
            .collect();
        if !members.contains(&active.as_str()) {
            let what = format!("alias {} has no member \"{active}\"", alias.spec.name);
            mistakes.add(alias.active_at.clone(), what, one_of(active, &members));
        }
    }
}
