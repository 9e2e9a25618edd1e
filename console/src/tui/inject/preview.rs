//! What a defect would do, in sentences: who takes over, what is under way, how long nobody would answer. Numbers are
//! measured ones, or it is said that there are none.

use palib::control::{MemberState, OperatorRequest};

use crate::defect::{DiskFault, Injury, LinkFault};
use crate::tui::app::App;
use crate::tui::popup::Ends;
use crate::world::{Role, Tone, Way, World, duration_us};

/// A sentence with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// What it means.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
}

impl Sentence {
    pub(crate) fn plain(text: impl Into<String>) -> Sentence {
        Sentence { tone: Tone::Plain, text: text.into() }
    }

    fn warn(text: impl Into<String>) -> Sentence {
        Sentence { tone: Tone::Warn, text: text.into() }
    }
}

/// The process a name means: an alias stands for its member in service.
pub(super) fn serving(world: &World, name: &str) -> String {
    let member = world.aliases.get(name).and_then(palib::control::AliasRow::in_service);
    member.map_or_else(|| name.to_owned(), |member| member.process.clone())
}

/// Who would end by these orders, as of now.
pub(crate) fn ends(app: &App, requests: &[OperatorRequest]) -> Vec<Ends> {
    let world = app.history.live();
    let ended = requests.iter().filter_map(|request| match request {
        OperatorRequest::Kill { process }
        | OperatorRequest::Exit { process }
        | OperatorRequest::Restart { process } => Some(serving(world, process)),
        _ => None,
    });
    ended.map(|name| (name.clone(), world.processes.get(&name).and_then(|it| it.pid))).collect()
}

/// What several defects at once would do, and an alias that has nobody left then.
pub(super) fn of(app: &App, injuries: &[Injury]) -> (Vec<Sentence>, Option<String>) {
    let world = app.history.live();
    let ended: Vec<String> = injuries
        .iter()
        .filter_map(|injury| match injury {
            Injury::Kill(target) | Injury::Exit(target) => Some(serving(world, &target.0)),
            _ => None,
        })
        .filter(|name| name != "ftm")
        .collect();
    let (mut told, last_of) = consequences(app, &ended);
    for injury in injuries {
        match injury {
            Injury::Kill(target) if target.0 == "ftm" => told.push(Sentence::plain(
                "Its keeper starts it again. Calls go on without it; nobody is taken over until it is back.",
            )),
            Injury::Kill(_) | Injury::Exit(_) => {}
            Injury::Hang { target, span } => hang(app, &serving(world, &target.0), span.is_some(), &mut told),
            Injury::At { target, point, pause, .. } => at(app, &target.0, point.name(), *pause, &mut told),
            Injury::Link { fault, from, to, .. } => link(app, *fault, (&from.0, &to.0), &mut told),
            Injury::Disk { alias, fault, .. } => disk(app, &alias.0, *fault, &mut told),
        }
    }
    (told, last_of)
}

/// What the end of processes takes down; and an alias that has nobody left then.
pub(crate) fn consequences(app: &App, ended: &[String]) -> (Vec<Sentence>, Option<String>) {
    let world = app.history.live();
    let mut told = Vec::new();
    let mut last_of = None;
    for row in world.aliases.values() {
        let hit: Vec<_> = row.members.iter().filter(|it| ended.contains(&it.process)).collect();
        if hit.is_empty() {
            continue;
        }
        let alias = &row.alias;
        let heir = row.members.iter().find(|it| {
            !ended.contains(&it.process) && matches!(it.state, MemberState::Backup | MemberState::InService)
        });
        match (hit.iter().any(|it| it.in_service), heir) {
            (true, Some(heir)) => {
                told.push(Sentence::plain(format!(
                    "{alias}: {} takes over. {}",
                    heir.process,
                    under_way(world, alias)
                )));
                told.push(Sentence::plain(expected(world, alias, Way::Death)));
            }
            (false, Some(heir)) => told.push(Sentence::plain(format!(
                "{alias}: {} goes on; its backup is gone until it starts again.",
                heir.process
            ))),
            (_, None) => {
                let text = format!("{alias}: nobody is left. Calls wait until a member starts again.");
                told.push(Sentence::warn(text));
                last_of = Some(alias.clone());
            }
        }
    }
    if told.is_empty() && !ended.is_empty() {
        told.push(Sentence::plain(format!("{} is a member of no alias.", ended.join(", "))));
    }
    (told, last_of)
}

/// How long nobody would answer, judged by what was measured.
fn expected(world: &World, alias: &str, way: Way) -> String {
    match world.usual_blackout_us(alias, way) {
        Some((us, 1)) => format!("{alias}: a blackout of about {}, as measured once.", duration_us(us)),
        Some((us, n)) => {
            format!("{alias}: a blackout of about {}, the median of {n} measured.", duration_us(us))
        }
        None => format!("{alias}: how long nobody answers was not measured yet."),
    }
}

fn under_way(world: &World, alias: &str) -> String {
    world.active_stats(Some(alias)).next().map_or_else(String::new, |stats| {
        match stats.executing + stats.held + stats.pending {
            0 => "No call is under way just now.".to_owned(),
            1 => "One call is under way; it is answered once.".to_owned(),
            calls => format!("About {calls} calls are under way; each is answered once."),
        }
    })
}

fn hang(app: &App, process: &str, for_some_time: bool, told: &mut Vec<Sentence>) {
    let world = app.history.live();
    let served: Vec<&str> = world
        .memberships(process)
        .into_iter()
        .filter(|(_, serves)| *serves)
        .map(|(alias, _)| alias)
        .collect();
    if served.is_empty() {
        told.push(Sentence::plain(format!("{process} serves nothing: nobody notices but the FTM.")));
    }
    for alias in served {
        let members = &world.aliases[alias].members;
        let heir = members.iter().find(|it| it.state == MemberState::Backup && it.process != process);
        told.push(match heir {
            Some(heir) => Sentence::plain(format!(
                "{alias}: once its heartbeats are missed it is killed, and {} takes over. {}",
                heir.process,
                under_way(world, alias)
            )),
            None => {
                Sentence::warn(format!("{alias}: no backup. Calls wait until it goes on or starts again."))
            }
        });
        if heir.is_some() {
            told.push(Sentence::plain(expected(world, alias, Way::Silence)));
        }
    }
    if for_some_time {
        told.push(Sentence::plain("If it is heard again before it is missed, nothing happens."));
    }
}

fn at(app: &App, alias: &str, point: &str, pause: bool, told: &mut Vec<Sentence>) {
    let world = app.history.live();
    let what = if pause { "waits there until n lets it go on" } else { "dies there" };
    told.push(Sentence::plain(format!("Armed: whoever serves {alias} and passes {point} {what}.")));
    match pause {
        true => told.push(Sentence::plain("Who waits is not taken for one that hangs: nobody takes over.")),
        false if world.aliases.contains_key(alias) => {
            told.push(Sentence::plain(expected(world, alias, Way::Death)));
        }
        false => {}
    }
}

fn link(app: &App, fault: LinkFault, (from, to): (&str, &str), told: &mut Vec<Sentence>) {
    let world = app.history.live();
    let silent = matches!(fault, LinkFault::Cut | LinkFault::OneWay);
    if from == "ftm" || to == "ftm" {
        let process = serving(world, if from == "ftm" { to } else { from });
        if silent {
            told.push(Sentence::plain(format!("The FTM misses the heartbeats of {process}.")));
            return hang(app, &process, false, told);
        }
    }
    let calls = world.edges().into_iter().find(|edge| {
        let joins = |a: &str, b: &str| is_of(world, a, &edge.from) && is_of(world, b, &edge.to);
        joins(from, to) || joins(to, from)
    });
    told.push(Sentence::plain(match (fault, calls) {
        (LinkFault::Cut, Some(edge)) => format!(
            "{from} and {to} do not hear each other: calls of {} to {} wait until it is healed or one of them is taken over.",
            edge.from, edge.to
        ),
        (LinkFault::OneWay, Some(_)) => {
            format!("{to} hears nothing from {from}; the other way all arrives.")
        }
        (_, Some(edge)) => format!(
            "QUIC repairs what it can: calls of {} to {} become slower; none is lost, none doubled.",
            edge.from, edge.to
        ),
        (_, None) => format!("No calls go between {from} and {to} now: nothing is felt before one of them is taken over."),
    }));
    told.push(Sentence::plain("How long calls wait then was not measured: it is up to you."));
}

/// Whether a name is an alias or that of one of its members.
fn is_of(world: &World, name: &str, alias: &str) -> bool {
    let members = || world.aliases.get(alias).into_iter().flat_map(|row| &row.members);
    name == alias || members().any(|member| member.process == name)
}

fn disk(app: &App, alias: &str, fault: DiskFault, told: &mut Vec<Sentence>) {
    let world = app.history.live();
    let role = world.role(alias);
    match fault {
        DiskFault::Slow(by) => {
            let by = crate::units::duration(by);
            told.push(Sentence::plain(format!(
                "Each commit of {alias} takes {by} longer; every call waits for one."
            )));
        }
        DiskFault::Full => {
            told.push(Sentence::plain(format!(
                "Who serves {alias} ends at its next commit; its successors find the disk full too, until it is healed."
            )));
            told.push(Sentence::plain(
                "What was acknowledged is there; calls wait until there is room again.",
            ));
        }
        DiskFault::FsyncError | DiskFault::Torn => {
            told.push(Sentence::plain(format!(
                "Who serves {alias} ends at its next commit; what it acknowledged is there, the rest is asked again."
            )));
            told.push(Sentence::plain(expected(world, alias, Way::Death)));
        }
    }
    if role == Role::Client {
        told.push(Sentence::plain(format!("{alias} calls: its outbox is what is written there.")));
    }
}
