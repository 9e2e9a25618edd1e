//! What happened in a run, for people: one line for each thing, with a lane for each process.

use palib_core::ids::Nanos;

/// What is told of a run, if anybody listens. The seat after all others is the FTM's.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    on: bool,
    names: Vec<String>,
    /// What each seat looks like: dead, starting, backup, in service, stopped.
    lanes: Vec<char>,
    lines: Vec<String>,
}

impl Trace {
    /// A trace that is kept.
    pub(crate) fn kept(names: Vec<String>) -> Self {
        let lanes = vec![DEAD; names.len() + 1];
        Self { on: true, names, lanes, lines: Vec::new() }
    }

    /// A trace that nobody reads.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Says what happened in a seat; in none, it happened to all, or from outside.
    pub(crate) fn say(&mut self, now: Nanos, seat: Option<usize>, what: impl FnOnce() -> String) {
        if !self.on {
            return;
        }
        let mut lanes = self.lanes.clone();
        if let Some(seat) = seat {
            lanes[seat] = HERE;
        }
        let who = seat.map_or("", |seat| self.name(seat));
        let (lanes, width) = (lanes.iter().collect::<String>(), self.width());
        self.lines.push(format!("{:>10.3} {lanes}  {who:<width$} {}", now.0 as f64 / 1e6, what()));
    }

    /// Sets what a seat looks like from now on.
    pub(crate) fn look(&mut self, seat: usize, look: char) {
        if self.on {
            self.lanes[seat] = look;
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        if !self.on {
            return Vec::new();
        }
        let mut names = self.names.clone();
        names.push("ftm".to_owned());
        let width = self.width();
        let head = format!("{:>10} {:w$}  {:<width$} what happens", "ms", "", "who", w = names.len());
        let legend = format!(
            "lanes, from the left: {}   {DEAD} dead  {BACKUP} lives  {ACTIVE} in service  {STOPPED} stopped  {HERE} acts",
            names.join(" ")
        );
        [legend, head].into_iter().chain(self.lines).collect()
    }

    fn name(&self, seat: usize) -> &str {
        self.names.get(seat).map_or("ftm", String::as_str)
    }

    fn width(&self) -> usize {
        self.names.iter().map(String::len).max().unwrap_or(3)
    }
}

/// No process sits there.
pub(crate) const DEAD: char = ' ';
/// A process sits there.
pub(crate) const BACKUP: char = '│';
/// A process with something in service.
pub(crate) const ACTIVE: char = '┃';
/// A process that was stopped.
pub(crate) const STOPPED: char = '┊';
/// It happens there.
const HERE: char = '●';
