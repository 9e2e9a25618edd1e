//! What a tour expects to be true: a small language over what the operator sees.
//!
//! ```text
//! in service counter = counter-2
//! lost = 0            doubled = 0          in doubt = 0         pending counter <= 3
//! takeovers counter >= 1                   incarnation counter = 2
//! acked grows         effects counter grows
//! transactions relay = 0                   rolled back relay >= 1              undone counter >= 1
//! ```
//!
//! Without an alias a measure is the sum over all of them. `grows` means: is larger than when the step began. What goes
//! up and down, like `transactions`, counts only as the members in service measured it after the step's action: what
//! was measured before tells nothing of it.

use std::fmt;
use std::str::FromStr;

use crate::units::closest;

/// Something that must be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// This member of the alias has the mark of service.
    InService {
        /// The alias.
        alias: String,
        /// The process.
        process: String,
    },
    /// A number is so large.
    Is {
        /// Which number.
        measure: Measure,
        /// Of which alias; none: the sum over all.
        alias: Option<String>,
        /// How it compares.
        comparison: Comparison,
        /// With what.
        value: u64,
    },
    /// A number is larger than when the step began.
    Grows {
        /// Which number.
        measure: Measure,
        /// Of which alias; none: the sum over all.
        alias: Option<String>,
    },
}

/// Numbers that may be expected something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Calls acknowledged without an effect.
    Lost,
    /// Effects without a call.
    Doubled,
    /// Calls that have come back with their outcome.
    Acked,
    /// Calls that the service itself failed.
    Failed,
    /// Effects counted at the servers.
    Effects,
    /// Requests that were recognised as redundantly sent.
    Redundant,
    /// Calls made and not finished.
    Pending,
    /// Calls in doubt.
    InDoubt,
    /// Takeovers, the first start apart.
    Takeovers,
    /// The incarnation.
    Incarnation,
    /// Members that live.
    Members,
    /// Transactions of relays that are open.
    Transactions,
    /// Of these, those that go on only when an operator decides.
    Stuck,
    /// Calls that completed transactions keep, because the caller may still cancel them.
    Retained,
    /// Takeovers that went on with a transaction.
    RolledForward,
    /// Transactions of which everything was undone.
    RolledBack,
    /// Calls that took the place of one that was not answered.
    Substituted,
    /// Effects at the servers that were undone.
    Undone,
}

/// How a number compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `<`
    Less,
}

/// What the operator sees, asked by expectations.
pub trait Facts {
    /// The process that has the mark of service.
    fn in_service(&self, alias: &str) -> Option<String>;
    /// A number, of one alias or summed over all. What goes up and down must have been measured after this instant of
    /// the machine's monotonic clock, by each member in service as such; if it was not, there is none.
    fn measure(&self, measure: Measure, alias: Option<&str>, since_ns: u64) -> Option<u64>;
}

impl Measure {
    const ALL: [(Self, &'static str); 18] = [
        (Self::Lost, "lost"),
        (Self::Doubled, "doubled"),
        (Self::Acked, "acked"),
        (Self::Failed, "failed"),
        (Self::Effects, "effects"),
        (Self::Redundant, "redundant"),
        (Self::Pending, "pending"),
        (Self::InDoubt, "in doubt"),
        (Self::Takeovers, "takeovers"),
        (Self::Incarnation, "incarnation"),
        (Self::Members, "members"),
        (Self::Transactions, "transactions"),
        (Self::Stuck, "stuck"),
        (Self::Retained, "retained"),
        (Self::RolledForward, "rolled forward"),
        (Self::RolledBack, "rolled back"),
        (Self::Substituted, "substituted"),
        (Self::Undone, "undone"),
    ];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(measure, _)| *measure == self).map_or("", |(_, word)| *word)
    }
}

impl Comparison {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Equal, "="),
        (Self::AtLeast, ">="),
        (Self::AtMost, "<="),
        (Self::More, ">"),
        (Self::Less, "<"),
    ];

    /// Whether it holds between these two.
    #[must_use]
    pub fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::Less => left < right,
        }
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(comparison, _)| *comparison == self).map_or("", |(_, word)| *word)
    }
}

impl Expectation {
    /// The number it is about; read it when a step begins, before its action.
    #[must_use]
    pub fn before(&self, now: &dyn Facts) -> Option<u64> {
        self.reading(now, 0)
    }

    fn reading(&self, now: &dyn Facts, since_ns: u64) -> Option<u64> {
        match self {
            Self::InService { .. } => None,
            Self::Is { measure, alias, .. } | Self::Grows { measure, alias } => {
                now.measure(*measure, alias.as_deref(), since_ns)
            }
        }
    }

    /// Whether it holds now, after an action that was done at this instant of the machine's monotonic clock. What was
    /// not measured before it can't be seen to grow.
    #[must_use]
    pub fn holds(&self, now: &dyn Facts, before: Option<u64>, acted_ns: u64) -> bool {
        let reading = || self.reading(now, acted_ns);
        match self {
            Self::InService { alias, process } => now.in_service(alias).as_ref() == Some(process),
            Self::Is { comparison, value, .. } => reading().is_some_and(|is| comparison.holds(is, *value)),
            Self::Grows { .. } => reading().zip(before).is_some_and(|(is, was)| is > was),
        }
    }

    /// What is there instead, in words; measured after this instant, as in [`Facts::measure`].
    #[must_use]
    pub fn found(&self, now: &dyn Facts, since_ns: u64) -> String {
        match self {
            Self::InService { alias, .. } => now.in_service(alias).unwrap_or_else(|| "nobody".to_owned()),
            _ => self
                .reading(now, since_ns)
                .map_or_else(|| "not measured yet".to_owned(), |reading| reading.to_string()),
        }
    }

    /// True if one moment in which it does not hold is enough to fail: lost and doubled may never be seen, the
    /// others are waited for.
    #[must_use]
    pub fn must_hold_always(&self) -> bool {
        matches!(
            self,
            Self::Is {
                measure: Measure::Lost | Measure::Doubled,
                comparison: Comparison::Equal,
                value: 0,
                ..
            }
        )
    }

    /// The alias it names.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::InService { alias, .. } => Some(alias),
            Self::Is { alias, .. } | Self::Grows { alias, .. } => alias.as_deref(),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |alias: &Option<String>| alias.as_ref().map_or(String::new(), |alias| format!(" {alias}"));
        match self {
            Self::InService { alias, process } => write!(out, "in service {alias} = {process}"),
            Self::Is { measure, alias, comparison, value } => {
                write!(out, "{}{} {} {value}", measure.word(), of(alias), comparison.word())
            }
            Self::Grows { measure, alias } => write!(out, "{}{} grows", measure.word(), of(alias)),
        }
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if let ["in", "service", alias, "=", process] = words[..] {
            return Ok(Self::InService { alias: alias.to_owned(), process: process.to_owned() });
        }
        let known = Measure::ALL.map(|(_, word)| word);
        let found = Measure::ALL.iter().find_map(|(measure, word)| {
            let parts: Vec<&str> = word.split(' ').collect();
            words.strip_prefix(&parts[..]).map(|rest| (*measure, rest.to_vec()))
        });
        let Some((measure, rest)) = found else {
            let first = words.first().copied().unwrap_or_default();
            return Err(match closest(first, known) {
                Some(meant) => format!("`{text}` expects nothing known; did you mean `{meant}`?"),
                None => {
                    format!("`{text}` expects nothing known; there are: in service, {}", known.join(", "))
                }
            });
        };
        let (alias, rest) = match &rest[..] {
            [alias, rest @ ..]
                if *alias != "grows" && Comparison::ALL.iter().all(|(_, word)| word != alias) =>
            {
                (Some((*alias).to_owned()), rest)
            }
            rest => (None, rest),
        };
        match rest {
            ["grows"] => Ok(Self::Grows { measure, alias }),
            [comparison, value] => {
                let comparison = Comparison::ALL.iter().find(|(_, word)| word == comparison);
                match (comparison, value.parse()) {
                    (Some((comparison, _)), Ok(value)) => {
                        Ok(Self::Is { measure, alias, comparison: *comparison, value })
                    }
                    _ => Err(format!("`{text}` compares with nothing; write it as: {} = 0", measure.word())),
                }
            }
            _ => Err(format!("`{text}` is not whole; write it as: {} >= 1, or: {0} grows", measure.word())),
        }
    }
}
