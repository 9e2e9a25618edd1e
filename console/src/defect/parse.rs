//! Reading the language of defects.

use std::time::Duration;

use palib::defect::Point;

use super::{Defect, DiskFault, Injury, LinkFault, Percent, Target, When};
use crate::units::{closest, parse_duration};

/// The verbs, each with how it is used.
const VERBS: [(&str, &str); 11] = [
    ("kill", "kill PROC, or kill ALIAS@POINT#2"),
    ("hang", "hang PROC 3s, or hang PROC until it is resumed"),
    ("exit", "exit PROC"),
    ("pause", "pause ALIAS@POINT#2; whoever waits there goes on with palib step"),
    ("cut", "cut A B, or cut A B for 3s"),
    ("oneway", "oneway A B, or oneway A B for 3s"),
    ("drop", "drop A B 10%, or drop A B 10% for 3s"),
    ("delay", "delay A B 20ms±5ms, or delay A B 20ms±5ms for 3s"),
    ("duplicate", "duplicate A B 5%, or duplicate A B 5% for 3s"),
    ("reorder", "reorder A B, or reorder A B for 3s"),
    ("disk", "disk ALIAS fsync-error, torn, full, full for 3s, slow 300ms, or slow 300ms for 3s"),
];

/// The words of a defect, taken one by one.
struct Words<'t> {
    rest: std::iter::Peekable<std::str::SplitWhitespace<'t>>,
    usage: &'static str,
}

impl<'t> Words<'t> {
    fn next(&mut self, wanted: &str) -> Result<&'t str, String> {
        let usage = self.usage;
        self.rest.next().ok_or_else(|| format!("{wanted} is missing; write it as: {usage}"))
    }

    fn target(&mut self, wanted: &str) -> Result<Target, String> {
        let word = self.next(wanted)?;
        let good = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if good {
            Ok(Target(word.to_owned()))
        } else {
            Err(format!(
                "`{word}` can't be {wanted}: names have letters, digits and `-`; write it as: {}",
                self.usage
            ))
        }
    }

    fn duration(&mut self) -> Result<Duration, String> {
        parse_duration(self.next("a duration")?)
    }

    /// `for 3s`, if that is what follows.
    fn span(&mut self) -> Result<Option<Duration>, String> {
        match self.rest.next_if_eq(&"for") {
            Some(_) => self.duration().map(Some),
            None => Ok(None),
        }
    }

    fn percent(&mut self) -> Result<Percent, String> {
        let word = self.next("a percentage")?;
        let number = word.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
        match number {
            Some(number) if (0.0..=100.0).contains(&number) => Ok(Percent((number * 100.0).round() as u32)),
            _ => Err(format!("`{word}` is no percentage between 0% and 100%; write it as: {}", self.usage)),
        }
    }
}

pub(super) fn defect(text: &str) -> Result<Defect, String> {
    let mut words = Words {
        rest: text.split_whitespace().peekable(),
        usage: "[after 2s] [every 500ms..1500ms] kill PROC",
    };
    let mut when = When::default();
    if words.rest.next_if_eq(&"after").is_some() {
        when.after = Some(words.duration()?);
    }
    if words.rest.next_if_eq(&"every").is_some() {
        when.every = Some(pause(words.next("a pause")?)?);
    }
    let verb = words.next("what is to happen")?;
    let Some((_, usage)) = VERBS.iter().find(|(known, _)| *known == verb) else {
        let verbs = VERBS.map(|(verb, _)| verb);
        return Err(match closest(verb, verbs) {
            Some(meant) => format!("`{verb}` is no defect; did you mean `{meant}`?"),
            None => format!("`{verb}` is no defect; there are {}", verbs.join(", ")),
        });
    };
    words.usage = usage;
    let injury = injury(verb, &mut words)?;
    match words.rest.next() {
        None => Ok(Defect { when, injury }),
        Some(word) => Err(format!("`{word}` is one word too many; write it as: {usage}")),
    }
}

/// `500ms` or `500ms..1500ms`. A pause of nothing would be a busy loop of defects.
fn pause(word: &str) -> Result<(Duration, Duration), String> {
    let (least, most) = word.split_once("..").unwrap_or((word, word));
    let (least, most) = (parse_duration(least)?, parse_duration(most)?);
    if least.is_zero() || most < least {
        return Err(format!(
            "`{word}` is no pause; write the shorter and the longer one, such as 500ms..1500ms"
        ));
    }
    Ok((least, most))
}

fn injury(verb: &str, words: &mut Words<'_>) -> Result<Injury, String> {
    Ok(match verb {
        "kill" => match words.rest.next_if(|word| word.contains('@')) {
            Some(word) => at(word, false)?,
            None => Injury::Kill(words.target("a process")?),
        },
        "pause" => at(words.next("a defect point")?, true)?,
        "hang" => {
            let target = words.target("a process")?;
            let span = words.rest.peek().is_some().then(|| words.duration()).transpose()?;
            Injury::Hang { target, span }
        }
        "exit" => Injury::Exit(words.target("a process")?),
        "disk" => {
            let (alias, fault) = (words.target("an alias")?, disk(words)?);
            let span = if fault.strikes_once() { None } else { words.span()? };
            Injury::Disk { alias, fault, span }
        }
        _ => {
            let (from, to) =
                (words.target("one end of the link")?, words.target("the other end of the link")?);
            let fault = match verb {
                "cut" => LinkFault::Cut,
                "oneway" => LinkFault::OneWay,
                "drop" => LinkFault::Drop(words.percent()?),
                "delay" => delay(words.next("a delay")?)?,
                "duplicate" => LinkFault::Duplicate(words.percent()?),
                _ => LinkFault::Reorder,
            };
            Injury::Link { fault, from, to, span: words.span()? }
        }
    })
}

/// `ALIAS@POINT`, or `ALIAS@POINT#2` for the second time.
fn at(word: &str, pause: bool) -> Result<Injury, String> {
    let verb = if pause { "pause" } else { "kill" };
    let wrong = || {
        format!(
            "`{word}` names no defect point; write it as {verb} ALIAS@after-block, or …#2 for the 2nd time \
             (`palib points` lists them)"
        )
    };
    let (target, point) = word.split_once('@').ok_or_else(wrong)?;
    let (point, nth) = match point.split_once('#') {
        Some((point, nth)) => (point, nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(wrong)?),
        None => (point, 1),
    };
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_name(target) || !is_name(point) {
        return Err(wrong());
    }
    Ok(Injury::At { target: Target(target.to_owned()), point: point_of(point)?, nth, pause })
}

fn point_of(name: &str) -> Result<Point, String> {
    Point::find(name).ok_or_else(|| {
        let known = Point::ALL.iter().map(|point| point.name());
        match closest(name, known) {
            Some(meant) => format!("`{name}` is no defect point; did you mean `{meant}`?"),
            None => format!("`{name}` is no defect point; `palib points` lists them"),
        }
    })
}

/// `20ms` or `20ms±5ms`; `+-` for those whose keyboard has no ±.
fn delay(word: &str) -> Result<LinkFault, String> {
    let (by, jitter) = match word.split_once('±').or_else(|| word.split_once("+-")) {
        Some((by, jitter)) => (parse_duration(by)?, parse_duration(jitter)?),
        None => (parse_duration(word)?, Duration::ZERO),
    };
    if jitter > by {
        return Err(format!("`{word}`: the delay can't vary by more than itself"));
    }
    Ok(LinkFault::Delay { by, jitter })
}

fn disk(words: &mut Words<'_>) -> Result<DiskFault, String> {
    let known = ["fsync-error", "full", "torn", "slow"];
    match words.next("what is wrong with the disk")? {
        "fsync-error" => Ok(DiskFault::FsyncError),
        "full" => Ok(DiskFault::Full),
        "torn" => Ok(DiskFault::Torn),
        "slow" => Ok(DiskFault::Slow(words.duration()?)),
        other => Err(match closest(other, known) {
            Some(meant) => format!("`{other}` is no fault of a disk; did you mean `{meant}`?"),
            None => format!("`{other}` is no fault of a disk; there are {}", known.join(", ")),
        }),
    }
}
