//! The language of defects: the same in cluster files, commands, tours and the ledger.
//!
//! ```text
//! kill PROC            hang PROC 3s         exit PROC            kill ftm
//! kill ALIAS@POINT#2   pause ALIAS@POINT#2  cut A B              oneway A B           drop A B 10%
//! delay A B 20ms±5ms   duplicate A B 5%     reorder A B          disk ALIAS fsync-error|full|torn|slow 300ms
//! ```
//!
//! `after 2s` and `every 500ms..1500ms` may stand before any of them, also both. A process is named by itself
//! (`counter-1`), by its alias (`counter`: whoever is in service then), or `ftm`. This version reads all of it and
//! can do `kill`, `hang`, `exit` and `pause`; [`Defect::check_possible`] says so for the others.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
    },
    /// A fault of the storage below an alias's stable area.
    Disk {
        /// The alias.
        alias: Target,
        /// Which.
        fault: DiskFault,
    },
}

/// A fault of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// Nothing passes, either way.
    Cut,
    /// Nothing passes from the first to the second.
    OneWay,
    /// So many packets of a hundred are lost.
    Drop(Percent),
    /// Packets are late.
    Delay {
        /// By so much.
        by: Duration,
        /// More or less.
        jitter: Duration,
    },
    /// So many packets of a hundred come twice.
    Duplicate(Percent),
    /// Packets overtake each other.
    Reorder,
}

/// Hundredths, with two decimals kept: 12.5% is `Percent(1250)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u32);

/// A fault of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// fsync fails.
    FsyncError,
    /// The disk is full.
    Full,
    /// The last write is torn.
    Torn,
    /// Everything takes so much longer.
    Slow(Duration),
}

impl Defect {
    /// A defect that happens at once.
    #[must_use]
    pub fn now(injury: Injury) -> Self {
        Self { when: When::default(), injury }
    }

    /// Whether this version can do it.
    ///
    /// # Errors
    /// If not, what it can do instead.
    pub fn check_possible(&self) -> Result<(), String> {
        let what = match &self.injury {
            Injury::At { target, point, pause, .. } => return check_point(target, *point, *pause),
            Injury::Kill(_) | Injury::Hang { .. } | Injury::Exit(_) => return Ok(()),
            Injury::Link { fault, .. } => fault.word().to_owned(),
            Injury::Disk { .. } => "disk".to_owned(),
        };
        Err(format!("not in this version: {what}; it has kill, hang, exit, pause"))
    }

    /// Whom it hits, where it hits one process.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match &self.injury {
            Injury::Kill(target) | Injury::Exit(target) => Some(target),
            Injury::Hang { target, .. } | Injury::At { target, .. } => Some(target),
            Injury::Link { .. } | Injury::Disk { .. } => None,
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
    /// The alias whose defect point is meant, if one is.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::At { target, point, .. } if point.part() != Part::Ftm => Some(&target.0),
            _ => None,
        }
    }
}

impl LinkFault {
    fn word(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::OneWay => "oneway",
            Self::Drop(_) => "drop",
            Self::Delay { .. } => "delay",
            Self::Duplicate(_) => "duplicate",
            Self::Reorder => "reorder",
        }
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

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(out, "{whole}%"),
            _ if rest.is_multiple_of(10) => write!(out, "{whole}.{}%", rest / 10),
            _ => write!(out, "{whole}.{rest:02}%"),
        }
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
            Self::Link { fault, from, to } => {
                write!(out, "{} {from} {to}", fault.word())?;
                match fault {
                    LinkFault::Cut | LinkFault::OneWay | LinkFault::Reorder => Ok(()),
                    LinkFault::Drop(share) | LinkFault::Duplicate(share) => write!(out, " {share}"),
                    LinkFault::Delay { by, jitter } if jitter.is_zero() => {
                        write!(out, " {}", units::duration(*by))
                    }
                    LinkFault::Delay { by, jitter } => {
                        write!(out, " {}±{}", units::duration(*by), units::duration(*jitter))
                    }
                }
            }
            Self::Disk { alias, fault } => match fault {
                DiskFault::FsyncError => write!(out, "disk {alias} fsync-error"),
                DiskFault::Full => write!(out, "disk {alias} full"),
                DiskFault::Torn => write!(out, "disk {alias} torn"),
                DiskFault::Slow(by) => write!(out, "disk {alias} slow {}", units::duration(*by)),
            },
        }
    }
}
