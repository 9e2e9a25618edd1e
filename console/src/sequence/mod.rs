//! Message sequence charts, made of events: a lane for each process, time downwards, arrows for messages.
//!
//! The model knows no terminal, no network and no file format; the screen, the reports and the exports show it.

mod arrivals;
mod build;
mod bursts;
mod calls;
mod lanes;
mod mermaid;
mod shiviz;
mod stand;
mod steps;
mod svg;

#[cfg(test)]
mod tests;

use crate::world::{Role, Tone};

pub use calls::{call_of, family};
pub use mermaid::mermaid;
pub use shiviz::shiviz;
pub use svg::{STYLE, inline, svg, tone_class};

/// What a chart is wanted of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The call to follow through all processes, with every call that was made on its behalf; none: everything.
    pub follow: Option<String>,
    /// Times in which nothing happens are folded if they are at least so long, in microseconds.
    pub fold_us: u64,
    /// How many steps at most; the newest are kept.
    pub steps_max: usize,
    /// Whether processes with which nothing happens have lanes too.
    pub idle_lanes: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Wish { follow: None, fold_us: 10_000, steps_max: 500, idle_lanes: true }
    }
}

/// A message sequence chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The followed call first, then those that were made on its behalf; none if everything is shown.
    pub calls: Vec<String>,
    /// The processes: clients, relays, servers; members of an alias side by side.
    pub lanes: Vec<Lane>,
    /// What is shown, downwards.
    pub lines: Vec<Line>,
    /// Older steps that were left out.
    pub left_out: usize,
    /// The zero of the times, on the machine's monotonic clock, in nanoseconds.
    pub zero_ns: u64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its name.
    pub process: String,
    /// An alias it is a member of; empty for the FTM and for operators.
    pub alias: String,
    /// The part that alias plays.
    pub role: Role,
}

/// How a process is while a line lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It has the mark of service.
    Serves,
    /// It waits to take over.
    Waits,
    /// It hangs.
    Hangs,
    /// It is dead, or was not started yet.
    Gone,
}

/// A line of the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it shows.
    pub shows: Shows,
    /// How each lane is after it.
    pub stands: Vec<Stand>,
}

/// What a line shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Shows {
    /// Something that happened.
    Step(Step),
    /// A time in which nothing did.
    Gap(Gap),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The number of the event it was made of.
    pub seq: u64,
    /// When, on the machine's monotonic clock, in nanoseconds.
    pub at_ns: u64,
    /// The call it is about.
    pub call: Option<String>,
    /// What it means.
    pub tone: Tone,
    /// Its kind, one word.
    pub kind: &'static str,
    /// The few words that stand in the chart.
    pub label: String,
    /// All there is to say.
    pub text: String,
    /// How it is drawn.
    pub shape: Shape,
}

/// How a step is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A message from lane to lane.
    Arrow(Arrow),
    /// Something in one lane.
    Mark {
        /// The lane.
        lane: usize,
        /// What it is.
        sign: Sign,
    },
    /// Something that concerns no lane, or all of them.
    Across,
}

/// A message from lane to lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// From where.
    pub from: usize,
    /// To where.
    pub to: usize,
    /// What it carries.
    pub carries: Carries,
    /// When it arrived, on the machine's monotonic clock; none if nobody told of it.
    pub arrived_ns: Option<u64>,
    /// Whether nothing else tells that it arrived either.
    pub lost: bool,
}

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A request, first sent.
    Request,
    /// A request, sent again.
    Again,
    /// An outcome, or a confirmation.
    Answer,
    /// The wish to have a call undone.
    Cancel,
}

/// What happens in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Something ordinary.
    Note,
    /// Something became durable.
    Stable,
    /// A request was found to be sent redundantly, or half-done work was found.
    Found,
    /// Somebody must decide.
    Doubt,
    /// The process died.
    Death,
    /// It hangs, or missed its heartbeats.
    Hang,
    /// It started, or goes on.
    Start,
    /// It takes over.
    Takeover,
    /// It has the mark of service.
    Service,
    /// An operator or a defect did it.
    Injected,
}

/// A time in which nothing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How long, in microseconds.
    pub us: u64,
    /// The alias nobody served meanwhile, if there is one.
    pub blackout: Option<String>,
}

impl Chart {
    /// The steps, without the gaps.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.lines.iter().filter_map(|line| match &line.shows {
            Shows::Step(step) => Some(step),
            Shows::Gap(_) => None,
        })
    }

    /// When a step was, on the chart's own clock, to a tenth of a millisecond.
    #[must_use]
    pub fn clock(&self, at_ns: u64) -> String {
        let (sign, ns) = match at_ns.checked_sub(self.zero_ns) {
            Some(ns) => ("", ns),
            None => ("-", self.zero_ns - at_ns),
        };
        let tenths = ns / 100_000;
        format!("{sign}{:02}:{:02}.{:04}", tenths / 600_000, tenths / 10_000 % 60, tenths % 10_000)
    }
}

/// A call's number alone, as it counts within its grant: `#118` for `caller/i1/1000000000118`.
#[must_use]
pub fn short(call: &str) -> String {
    let last = call.rsplit('/').next().unwrap_or(call);
    match last.parse::<u64>() {
        Ok(number) => format!("#{}", number % palib_core::ids::TRANS_GRANT),
        Err(_) => format!("#{last}"),
    }
}
