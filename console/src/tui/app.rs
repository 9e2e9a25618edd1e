//! The state of the console: everything [`super::update`] changes and [`super::view`] shows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use palib::control::{AreaSummary, BrowseRow, MemberState, OperatorRequest, Relays, TableRow};
use ratatui::layout::Rect;

use crate::cluster::ClusterFile;
use crate::world::{History, Moment, Tone, World};

use super::popup::Popup;
use super::sequence::ChartLook;
use super::table::{Look, Table};
use super::theme::Theme;
use super::tour::Tour;

pub(crate) use super::screen::{Pane, Screen};

/// The connection to a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// There is no cluster.
    #[default]
    None,
    /// A cluster is being started.
    Starting(String),
    /// Attached.
    Up {
        /// The cluster's name.
        cluster: String,
        /// Whether this console started it.
        owned: bool,
        /// Whether the FTM is reached just now.
        reached: bool,
    },
    /// The cluster that was attached is gone.
    Gone(String),
}

/// A demo that can be spawned.
#[derive(Clone, Debug)]
pub(crate) struct DemoCard {
    /// Its name.
    pub name: String,
    /// Its cluster file.
    pub file: ClusterFile,
}

/// What was read of something at a time; screens show it again in the past, or while its owner hangs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading<T> {
    /// When, in milliseconds of Unix time, on the clock of the events.
    pub unix_ms: u64,
    /// What.
    pub what: T,
    /// Whether it was read from the file of a dead owner.
    pub at_rest: bool,
}

/// The last readings of something, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Readings<T> {
    kept: VecDeque<Reading<T>>,
    /// Why the newest attempt failed, if it did.
    pub failure: Option<String>,
    /// Whether an answer is awaited.
    pub asked: bool,
}

impl<T> Default for Readings<T> {
    fn default() -> Self {
        Readings { kept: VecDeque::new(), failure: None, asked: false }
    }
}

/// Readings kept of each thing: enough for a look back over what was on the screen.
const READINGS_MAX: usize = 48;

impl<T: PartialEq> Readings<T> {
    /// Keeps a reading; one that says the same as the last only confirms it.
    fn keep(&mut self, reading: Reading<T>) {
        self.failure = None;
        if self.kept.back().is_some_and(|last| last.what == reading.what && last.at_rest == reading.at_rest) {
            return;
        }
        if self.kept.len() == READINGS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(reading);
    }

    /// Keeps an answer; none is the answer to another question.
    pub(crate) fn answered(&mut self, unix_ms: u64, at_rest: bool, answer: Result<Option<T>, String>) {
        self.asked = false;
        match answer {
            Ok(Some(what)) => self.keep(Reading { unix_ms, what, at_rest }),
            Ok(None) => self.failure = Some("an answer to another question came".into()),
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The newest reading, or the newest one up to a time.
    pub(crate) fn at(&self, until_unix_ms: Option<u64>) -> Option<&Reading<T>> {
        let mut newest_first = self.kept.iter().rev();
        newest_first.find(|reading| until_unix_ms.is_none_or(|until| reading.unix_ms <= until))
    }
}

/// Rows with whether there are more than were asked for.
pub(crate) type Rows<T> = (Vec<T>, bool);

/// What an answer will be used for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Purpose {
    /// The port alias table, at the beginning and after events were missed; and the aliases that events have told of
    /// since it was asked for. Answers and events come on ways of their own, so these rows of it may be older.
    Seed(BTreeSet<String>),
    /// A page of a redundancy table.
    Redundancy(String),
    /// The transactions of a relay.
    Relays(String),
    /// A stable area at a glance.
    Area {
        /// The alias.
        alias: String,
        /// Whether its file is read instead of its owner asked.
        at_rest: bool,
    },
    /// Records of a table of a stable area.
    Records {
        /// The alias.
        alias: String,
        /// The table.
        table: String,
        /// Whether its file is read instead of its owner asked.
        at_rest: bool,
    },
    /// An order; its answer is told to the operator.
    Order {
        /// What was ordered, in words.
        what: String,
        /// What would undo it.
        undo: Option<Undo>,
    },
    /// One of many orders that were told of together; only what goes wrong is told.
    Quiet(String),
    /// The action of a step of the tour.
    Step,
    /// A page of the integrity check.
    Check(Box<super::stable::Check>),
}

/// How something is undone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Undo {
    /// What is so once it is undone, in words.
    pub what: String,
    /// How.
    pub by: Remedy,
}

/// What undoes something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Remedy {
    /// An order.
    Order(OperatorRequest),
    /// Taking back the newest defect that lasts: its number was not known when it was ordered.
    Newest,
    /// Ending to step the members of this alias from point to point.
    Steps(String),
}

/// A line for the operator, until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// What it means.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
}

/// A look into the past.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// Which moment.
    pub moment: Moment,
    /// The world as it was then.
    pub world: Box<World>,
}

/// What a place on the screen is, for the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// A tab of the top line.
    Tab(Screen),
    /// The title of a column.
    Header(Pane, usize),
    /// A row of a table, by its place.
    Row(Pane, usize),
    /// A pane.
    Pane(Pane),
    /// A line of the popup on top.
    Choice(usize),
}

/// What the last frame showed where. The mouse and page keys need it; `view` returns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Places, the most specific last.
    pub spots: Vec<(Rect, Spot)>,
    /// The first row in view of each table, and how many rows fit.
    pub pages: BTreeMap<Pane, (usize, usize)>,
}

/// The whole state.
#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    /// Everything known of the cluster, now and before.
    pub history: History,
    /// The moment that is looked at, if it is not now.
    pub past: Option<Past>,
    /// The connection.
    pub link: Link,
    /// How things look.
    pub theme: Theme,
    /// Whether orders are refused.
    pub read_only: bool,
    /// The screen.
    pub screen: Screen,
    /// The screens to go back to.
    pub back: Vec<Screen>,
    /// Which pane of each screen has the focus.
    pub focus: BTreeMap<Screen, usize>,
    /// How the operator looks at each table.
    pub looks: BTreeMap<Pane, Look>,
    /// What lies over the screen; the last is on top.
    pub popups: Vec<Popup>,
    /// The line for the operator.
    pub note: Option<Note>,
    /// The alias that redundancy table and relay transactions are shown of, once one was chosen.
    pub alias: Option<String>,
    /// The redundancy tables by alias.
    pub redundancy: BTreeMap<String, Readings<Rows<TableRow>>>,
    /// The transactions of relays by alias.
    pub relays: BTreeMap<String, Readings<Relays>>,
    /// The stable areas by alias.
    pub areas: BTreeMap<String, Readings<AreaSummary>>,
    /// Records by alias and table.
    pub records: BTreeMap<(String, String), Readings<Rows<BrowseRow>>>,
    /// The demos.
    pub demos: Vec<DemoCard>,
    /// The tour being taken.
    pub tour: Option<Tour>,
    /// What can be undone, newest last.
    pub undo: Vec<Undo>,
    /// What the awaited answers are for.
    pub awaited: BTreeMap<u64, Purpose>,
    /// The number of the last question.
    pub ticket: u64,
    /// Whether the mouse is ours.
    pub mouse: bool,
    /// How the operator looks at the sequence chart.
    pub chart: ChartLook,
    /// How many steps the strips of takeovers are coarser than they would be by themselves; finer below 0.
    pub zoom: isize,
    /// Whether log and sequence chart stay at their newest line.
    pub follow: bool,
    /// Columns and lines of the terminal.
    pub size: (u16, u16),
    /// What the last frame showed.
    pub shown: Shown,
    /// Ticks since the beginning: the only clock `update` knows beside the events'.
    pub ticks: u64,
}

impl App {
    /// A console without a cluster, on its demos.
    #[must_use]
    pub(crate) fn new(theme: Theme, read_only: bool, demos: Vec<DemoCard>) -> App {
        App { theme, read_only, demos, mouse: true, follow: true, size: (80, 24), ..App::default() }
    }

    /// The world that is looked at: now, or as it was.
    #[must_use]
    pub(crate) fn world(&self) -> &World {
        self.past.as_ref().map_or_else(|| self.history.live(), |past| &past.world)
    }

    /// The moment that is looked at; none is now.
    #[must_use]
    pub(crate) fn moment(&self) -> Option<Moment> {
        self.past.as_ref().map(|past| past.moment)
    }

    /// The end of what may be seen, in milliseconds of Unix time; none is now.
    #[must_use]
    pub(crate) fn until_unix_ms(&self) -> Option<u64> {
        self.past.as_ref().map(|past| past.world.last_unix_ms)
    }

    /// The pane that has the focus.
    #[must_use]
    pub(crate) fn pane(&self) -> Pane {
        if let Some(Popup::Defects(palette)) = self.popups.last()
            && palette.in_ledger
        {
            return Pane::Ledger;
        }
        let panes = self.screen.panes();
        panes[self.focus.get(&self.screen).copied().unwrap_or(0).min(panes.len() - 1)]
    }

    /// How a table is looked at.
    #[must_use]
    pub(crate) fn look(&self, pane: Pane) -> Look {
        self.looks.get(&pane).cloned().unwrap_or_default()
    }

    /// The same, to change it.
    pub(crate) fn look_mut(&mut self, pane: Pane) -> &mut Look {
        self.looks.entry(pane).or_default()
    }

    /// What a pane shows.
    #[must_use]
    pub(crate) fn table(&self, pane: Pane) -> Table {
        super::panes::table(self, pane)
    }

    /// The chosen place in a table of a pane: the newest where that is followed.
    #[must_use]
    pub(crate) fn place(&self, pane: Pane, table: &Table) -> Option<usize> {
        match pane {
            Pane::Log | Pane::Sequence if self.follow => table.rows.len().checked_sub(1),
            _ => table.chosen(&self.look(pane)),
        }
    }

    /// The cluster's name, if one is attached.
    #[must_use]
    pub(crate) fn cluster(&self) -> Option<&str> {
        match &self.link {
            Link::Up { cluster, .. } => Some(cluster),
            _ => None,
        }
    }

    /// The alias the redundancy table is shown of: the chosen one, or else the first that is called.
    #[must_use]
    pub(crate) fn shown_alias(&self) -> Option<String> {
        let aliases = &self.world().aliases;
        if let Some(alias) = self.alias.as_ref().filter(|alias| aliases.contains_key(*alias)) {
            return Some(alias.clone());
        }
        let in_doubt = self.world().in_doubt.values().next().cloned();
        let servers = || aliases.keys().find(|alias| self.world().role(alias) != crate::world::Role::Client);
        in_doubt.or_else(|| servers().cloned()).or_else(|| aliases.keys().next().cloned())
    }

    /// The process an action would be about, and the alias it was chosen by.
    #[must_use]
    pub(crate) fn target(&self) -> Option<(String, String)> {
        match self.screen {
            Screen::Cluster => {
                let table = self.table(Pane::Aliases);
                let row = table.chosen_row(&self.look(Pane::Aliases))?;
                let text = |name: &str| row.json.get(name)?.as_str().map(str::to_owned);
                Some((text("process")?, text("alias")?))
            }
            Screen::Redundancy | Screen::Relay | Screen::Stable => {
                let alias = match self.screen {
                    Screen::Stable => super::stable::chosen(self)?.0,
                    Screen::Relay => super::relay::shown_alias(self)?,
                    _ => self.shown_alias()?,
                };
                let process = self.world().aliases.get(&alias)?.in_service()?.process.clone();
                Some((process, alias))
            }
            Screen::Metrics => {
                let table = self.table(Pane::Gauges);
                let process = table.chosen_row(&self.look(Pane::Gauges))?.key.clone();
                let all = self.world().memberships(&process);
                let alias = all.iter().find(|(_, serves)| *serves).or_else(|| all.first())?.0.to_owned();
                Some((process, alias))
            }
            Screen::Sequence | Screen::Log | Screen::Demos => None,
        }
    }

    /// Whether the owner of an alias's stable area can be asked, hangs, or is dead.
    #[must_use]
    pub(crate) fn owner(&self, alias: &str) -> Owner {
        let Some(row) = self.world().aliases.get(alias) else { return Owner::Dead };
        match row.members.iter().find(|member| member.in_service) {
            Some(member) if member.state == MemberState::Hung => Owner::Hangs(member.process.clone()),
            Some(member) if member.state == MemberState::Dead => Owner::Dead,
            Some(member) => {
                let life = self.world().processes.get(&member.process).map(|process| process.life);
                match life {
                    Some(crate::world::Life::Hung | crate::world::Life::Paused) => {
                        Owner::Hangs(member.process.clone())
                    }
                    Some(crate::world::Life::Dead) => Owner::Dead,
                    _ => Owner::Serves(member.process.clone()),
                }
            }
            None => Owner::Dead,
        }
    }

    /// A new number for a question.
    pub(crate) fn next_ticket(&mut self, purpose: Purpose) -> u64 {
        self.ticket += 1;
        self.awaited.insert(self.ticket, purpose);
        self.ticket
    }

    /// Keeps what the last frame showed, so that tables stay where they are and the mouse hits what is seen.
    pub(crate) fn remember(&mut self, shown: Shown) {
        for (pane, (offset, _)) in &shown.pages {
            self.looks.entry(*pane).or_default().offset = *offset;
        }
        self.shown = shown;
    }

    /// Tells the operator something.
    pub(crate) fn tell(&mut self, tone: Tone, text: impl Into<String>) {
        self.note = Some(Note { tone, text: text.into() });
    }
}

/// The state of the member that has a stable area open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It serves.
    Serves(String),
    /// It hangs.
    Hangs(String),
    /// There is none that lives.
    Dead,
}
