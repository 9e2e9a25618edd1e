//! The language of defects: the same in cluster files, commands, tours and the ledger.
//!
//! ```text
//! kill PROC            hang PROC 3s         exit PROC            kill ftm
//! kill ALIAS@POINT#2   pause ALIAS@POINT#2  cut A B              oneway A B           drop A B 10%
//! delay A B 20ms±5ms   duplicate A B 5%     reorder A B          disk ALIAS fsync-error|full|torn|slow 300ms
//! ```
//!
//! `after 2s` and `every 500ms..1500ms` may stand before any of them, also both. `for 3s` may stand behind a fault of a
//! link and behind `disk ALIAS full` and `disk ALIAS slow 300ms`: without it they last until they are healed. A process
//! is named by itself (`counter-1`), by its alias (`counter`: whoever is in service at that moment), or `ftm`. The disk
//! of an alias is that of its stable area, so the fault waits for, or goes on with, whoever is in service next.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use palib::defect::{DiskFault, LinkFault, Percent};
use palib::defect::{Part, Point};

use crate::units;

/// A defect: what, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// When it happens.
    pub when: When,
    /// What happens.
    pub injury: Injury,
}

/// When a defect happens; both none: at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Not before so long has passed.
    pub after: Option<Duration>,
    /// Again and again, each time after a pause between these two.
    pub every: Option<(Duration, Duration)>,
}

/// A process by its own name, an alias (whoever is in service then), or `ftm`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(pub String);

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injury {
    /// SIGKILL.
    Kill(Target),
    /// A defect point: whoever is in service of the alias dies as it passes it, or stops and waits there.
    At {
        /// The alias.
        target: Target,
        /// The point.
        point: Point,
        /// At which time of passing it, from 1.
        nth: u32,
        /// Whether it stops and waits, instead of dying.
        pause: bool,
    },
    /// SIGSTOP, and SIGCONT after the span if there is one.
    Hang {
        /// Whom.
        target: Target,
        /// For how long; none: until somebody resumes it.
        span: Option<Duration>,
    },
    /// The process ends in good order.
    Exit(Target),
    /// A fault of the link between two processes.
    Link {
        /// Which.
        fault: LinkFault,
        /// One end; where the fault has a direction, the sender.
        from: Target,
        /// The other end.
        to: Target,
        /// For how long; none: until it is healed.
        span: Option<Duration>,
    },
    /// A fault of the storage below an alias's stable area.
    Disk {
        /// The alias.
        alias: Target,
        /// Which.
        fault: DiskFault,
        /// For how long; none: until it is healed, or has struck if it does so once.
        span: Option<Duration>,
    },
}

impl Defect {
    /// A defect that happens at once.
    #[must_use]
    pub fn now(injury: Injury) -> Self {
        Self { when: When::default(), injury }
    }

    /// Whether it can be done at all, in whatever cluster.
    ///
    /// # Errors
    /// If not, what can be done instead.
    pub fn check_possible(&self) -> Result<(), String> {
        match &self.injury {
            Injury::At { target, point, pause, .. } => check_point(target, *point, *pause),
            Injury::Link { from, to, .. } if from == to => Err(format!(
                "a link has two ends, and `{}` names one; name two processes or aliases",
                self.injury
            )),
            Injury::Hang { target, .. } | Injury::Exit(target) if target.0 == "ftm" => Err(format!(
                "`{}` is not possible: the FTM can be killed, and cut off from others",
                self.injury
            )),
            _ => Ok(()),
        }
    }

    /// The processes and aliases it names.
    #[must_use]
    pub fn targets(&self) -> Vec<&Target> {
        match &self.injury {
            Injury::Kill(target) | Injury::Exit(target) => vec![target],
            Injury::Hang { target, .. } | Injury::At { target, .. } => vec![target],
            Injury::Link { from, to, .. } => vec![from, to],
            Injury::Disk { alias, .. } => vec![alias],
        }
    }
}

/// Whether a point is one that its target passes.
fn check_point(target: &Target, point: Point, pause: bool) -> Result<(), String> {
    match (target.0 == "ftm", point.part() == Part::Ftm) {
        (true, true) if pause => Err(format!(
            "the FTM can't wait at {point}: who waits goes on when the FTM lets it; write kill ftm@{point}"
        )),
        (true, false) => Err(format!(
            "{point} is passed by processes, not by the FTM; write kill ALIAS@{point}, or see `palib points`"
        )),
        (false, true) => Err(format!("{point} is passed by the FTM only; write kill ftm@{point}")),
        _ => Ok(()),
    }
}

impl Injury {
    /// The alias whose defect point or disk is meant, if one is: there a process would be wrong.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::At { target, point, .. } if point.part() != Part::Ftm => Some(&target.0),
            Self::Disk { alias, .. } => Some(&alias.0),
            _ => None,
        }
    }
}

/// The verb of a fault of a link.
fn word(fault: LinkFault) -> &'static str {
    match fault {
        LinkFault::Cut => "cut",
        LinkFault::OneWay => "oneway",
        LinkFault::Drop(_) => "drop",
        LinkFault::Delay { .. } => "delay",
        LinkFault::Duplicate(_) => "duplicate",
        LinkFault::Reorder => "reorder",
    }
}

impl FromStr for Defect {
    type Err = String;

    /// Reads a defect. The error says which word is wrong and what would be right.
    fn from_str(text: &str) -> Result<Self, String> {
        parse::defect(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(after) = self.when.after {
            write!(out, "after {} ", units::duration(after))?;
        }
        match self.when.every {
            Some((least, most)) if least == most => write!(out, "every {} ", units::duration(least))?,
            Some((least, most)) => {
                write!(out, "every {}..{} ", units::duration(least), units::duration(most))?
            }
            None => {}
        }
        self.injury.fmt(out)
    }
}

impl fmt::Display for Injury {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(target) => write!(out, "kill {target}"),
            Self::At { target, point, nth, pause } => {
                let verb = if *pause { "pause" } else { "kill" };
                write!(out, "{verb} {target}@{point}")?;
                if *nth > 1 { write!(out, "#{nth}") } else { Ok(()) }
            }
            Self::Hang { target, span: None } => write!(out, "hang {target}"),
            Self::Hang { target, span: Some(span) } => {
                write!(out, "hang {target} {}", units::duration(*span))
            }
            Self::Exit(target) => write!(out, "exit {target}"),
            Self::Link { fault, from, to, span } => {
                write!(out, "{} {from} {to}", word(*fault))?;
                match fault {
                    LinkFault::Cut | LinkFault::OneWay | LinkFault::Reorder => {}
                    LinkFault::Drop(share) | LinkFault::Duplicate(share) => write!(out, " {share}")?,
                    LinkFault::Delay { by, jitter } => {
                        write!(out, " {}", units::duration(*by))?;
                        if !jitter.is_zero() {
                            write!(out, "±{}", units::duration(*jitter))?;
                        }
                    }
                }
                for_span(*span, out)
            }
            Self::Disk { alias, fault, span } => {
                match fault {
                    DiskFault::FsyncError => write!(out, "disk {alias} fsync-error")?,
                    DiskFault::Full => write!(out, "disk {alias} full")?,
                    DiskFault::Torn => write!(out, "disk {alias} torn")?,
                    DiskFault::Slow(by) => write!(out, "disk {alias} slow {}", units::duration(*by))?,
                }
                for_span(*span, out)
            }
        }
    }
}

fn for_span(span: Option<Duration>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match span {
        Some(span) => write!(out, " for {}", units::duration(span)),
        None => Ok(()),
    }
}
