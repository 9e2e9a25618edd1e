//! Reading a schedule from its text.

use std::fmt;
use std::str::{FromStr, SplitWhitespace};

use palib_core::relay::Policy;

use super::text::{ENDS, POLICIES};
use super::{
    Call, CallerPlan, Defect, DiskFault, Ends, LinkFault, Noise, Plan, Schedule, ServicePlan, SubstitutePlan,
    What, When, Who,
};

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    line: usize,
    why: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for ParseError {}

impl FromStr for Schedule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut schedule = Self { seed: 0, plan: Plan::empty(), calls: Vec::new(), defects: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let told = |why| ParseError { line: number + 1, why };
            schedule.read(Words(line.split_whitespace())).map_err(told)?;
        }
        schedule.check().map_err(|why| ParseError { line: text.lines().count(), why })?;
        Ok(schedule)
    }
}

impl Schedule {
    fn read(&mut self, mut words: Words<'_>) -> Result<(), String> {
        match words.word()? {
            "seed" => self.seed = words.number()?,
            "world" => self.plan.read(words)?,
            "noise" => self.plan.noise = read_noise(words)?,
            "caller" => self.plan.callers.push(read_caller(words)?),
            "service" => self.plan.services.push(read_service(words)?),
            "call" => self.calls.push(read_call(words)?),
            "defect" => self.defects.push(read_defect(&self.plan, words)?),
            word => return Err(unknown(word)),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let services = self.plan.services.len();
        let targets = self.plan.services.iter().flat_map(|service| {
            let substitute = service.substitute.map(|substitute| substitute.target);
            service.calls.iter().copied().chain(substitute)
        });
        let all = targets.chain(self.calls.iter().map(|call| call.service));
        match all.max() {
            _ if self.plan.callers.is_empty() || services == 0 => Err("nobody calls anybody".to_owned()),
            Some(highest) if highest >= services => Err(format!("there is no service{}", highest + 1)),
            _ if self.calls.iter().any(|call| call.caller >= self.plan.callers.len()) => {
                Err("a call of a caller that is not there".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Plan {
    fn empty() -> Self {
        Self {
            callers: Vec::new(),
            services: Vec::new(),
            members: 2,
            shared: false,
            window: 8,
            sessions_max: 8,
            slow_reads: false,
            roaming: false,
            patient: false,
            site_ids: false,
            noise: Noise::default(),
        }
    }

    fn read(&mut self, mut words: Words<'_>) -> Result<(), String> {
        while let Some(word) = words.0.next() {
            match word {
                "members" => self.members = words.number::<usize>()?.max(1),
                "window" => self.window = words.number::<u32>()?.max(1),
                "sessions" => self.sessions_max = words.number::<usize>()?.max(1),
                "shared" => self.shared = true,
                "slow-reads" => self.slow_reads = true,
                "roaming" => self.roaming = true,
                "patient" => self.patient = true,
                "site-ids" => self.site_ids = true,
                _ => return Err(unknown(word)),
            }
        }
        Ok(())
    }

    fn alias(&self, word: &str) -> Result<usize, String> {
        let found = (0..self.aliases()).find(|alias| self.alias_name(*alias) == word);
        found.ok_or_else(|| format!("there is no alias `{word}`"))
    }

    fn who(&self, word: &str) -> Result<Who, String> {
        if word == "ftm" {
            return Ok(Who::Ftm);
        }
        match self.seats().iter().position(|(name, _)| name == word) {
            Some(seat) => Ok(Who::Seat(seat)),
            None => self.alias(word).map(Who::Active),
        }
    }
}

fn read_noise(mut words: Words<'_>) -> Result<Noise, String> {
    let mut noise = Noise::default();
    while let Some(word) = words.0.next() {
        *match word {
            "lost" => &mut noise.lost,
            "doubled" => &mut noise.doubled,
            "late" => &mut noise.late,
            _ => return Err(unknown(word)),
        } = words.number()?;
    }
    Ok(noise)
}

fn read_caller(words: Words<'_>) -> Result<CallerPlan, String> {
    let mut caller = CallerPlan { outbox: false, by_port: false };
    for word in words.0 {
        *match word {
            "outbox" => &mut caller.outbox,
            "by-port" => &mut caller.by_port,
            _ => return Err(unknown(word)),
        } = true;
    }
    Ok(caller)
}

fn read_service(mut words: Words<'_>) -> Result<ServicePlan, String> {
    let mut service = ServicePlan {
        calls: Vec::new(),
        at_once: false,
        enough: None,
        ends: Vec::new(),
        policy: Policy::RollForward,
        substitute: None,
        undo_fails_once: false,
    };
    while let Some(word) = words.0.next() {
        match word {
            "calls" => {
                let calls: Result<_, _> =
                    words.word()?.split(',').map(|name| index(name, "service")).collect();
                service.calls = calls?;
            }
            "at-once" => service.at_once = true,
            "enough" => service.enough = Some(words.number()?),
            "ends" => {
                let ends: Result<_, _> = words.word()?.split(',').map(read_ends).collect();
                service.ends = ends?;
            }
            "policy" => {
                let word = words.word()?;
                let policy = POLICIES.iter().find(|(known, _)| *known == word);
                service.policy = policy.ok_or_else(|| unknown(word))?.1;
            }
            "instead" | "beside" => {
                let (target, cancel_old) = (index(words.word()?, "service")?, word == "instead");
                words.expect("until")?;
                service.substitute = Some(SubstitutePlan { target, cancel_old, until: words.number()? });
            }
            "undo-fails-once" => service.undo_fails_once = true,
            _ => return Err(unknown(word)),
        }
    }
    if service.ends.is_empty() { Err("a service needs `ends`".to_owned()) } else { Ok(service) }
}

fn read_ends(word: &str) -> Result<Ends, String> {
    if let Some(replies) = word.strip_prefix("fails-after-") {
        return replies.parse().map(Ends::FailsAfter).map_err(|_| unknown(word));
    }
    let ends = ENDS.iter().find(|(known, _)| *known == word);
    ends.map(|(_, ends)| *ends).ok_or_else(|| unknown(word))
}

fn read_call(mut words: Words<'_>) -> Result<Call, String> {
    let number = words.number()?;
    words.expect("at")?;
    let at = words.time()?;
    let (caller, service) = (index(words.word()?, "caller")?, index(words.word()?, "service")?);
    let mut deadline = None;
    if words.0.clone().next().is_some() {
        words.expect("deadline")?;
        deadline = Some(words.time()?);
    }
    Ok(Call { number, at, caller, service, deadline })
}

fn read_defect(plan: &Plan, mut words: Words<'_>) -> Result<Defect, String> {
    let when = read_when(plan, &mut words)?;
    let what = match words.word()? {
        "kill" => What::Kill(plan.who(words.word()?)?),
        "hang" => What::Hang(plan.who(words.word()?)?, words.time()?),
        "exit" => What::Exit(plan.who(words.word()?)?),
        "power-loss" => What::PowerLoss,
        "spare" => What::Spare(plan.alias(words.word()?)?, words.time()?),
        "disk" => read_disk(plan, words)?,
        word => read_link(plan, word, words)?,
    };
    Ok(Defect { when, what })
}

fn read_when(plan: &Plan, words: &mut Words<'_>) -> Result<When, String> {
    let kind = words.word()?;
    if kind == "at" {
        return words.time().map(When::At);
    }
    let word = words.word()?;
    let (who, nth) = word.split_once('#').ok_or_else(|| unknown(word))?;
    let nth = nth.parse().map_err(|_| unknown(word))?;
    match (kind, who) {
        ("decided", "ftm") => Ok(When::Decided(nth)),
        ("submitted", _) => plan.alias(who).map(|alias| When::Submitted(alias, nth)),
        ("durable", _) => plan.alias(who).map(|alias| When::Durable(alias, nth)),
        ("sent", _) => plan.alias(who).map(|alias| When::Sent(alias, nth)),
        _ => Err(unknown(kind)),
    }
}

fn read_disk(plan: &Plan, mut words: Words<'_>) -> Result<What, String> {
    let alias = plan.alias(words.word()?)?;
    let (word, number) = (words.word()?, words.number()?);
    let fault = match word {
        "slow" => DiskFault::Slow(number),
        "fsync-error" => DiskFault::SyncError,
        "full" => DiskFault::Full,
        _ => return Err(unknown(word)),
    };
    Ok(What::Disk(alias, fault, words.time()?))
}

fn read_link(plan: &Plan, word: &str, mut words: Words<'_>) -> Result<What, String> {
    let (from, to) = (plan.who(words.word()?)?, plan.who(words.word()?)?);
    let number = words.number()?;
    let fault = match word {
        "cut" => LinkFault::Cut,
        "oneway" => LinkFault::OneWay,
        "drop" => LinkFault::Drop(number),
        "delay" => LinkFault::Delay(number),
        "duplicate" => LinkFault::Double(number),
        "reorder" => LinkFault::Reorder(number),
        _ => return Err(unknown(word)),
    };
    Ok(What::Link(from, to, fault, words.time()?))
}

fn index(word: &str, kind: &str) -> Result<usize, String> {
    let number: Option<usize> = word.strip_prefix(kind).and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).map(|number| number - 1).ok_or_else(|| unknown(word))
}

fn unknown(word: &str) -> String {
    format!("`{word}` is not understood")
}

/// The words of a line.
struct Words<'a>(SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn word(&mut self) -> Result<&'a str, String> {
        self.0.next().ok_or_else(|| "the line ends too early".to_owned())
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        let word = self.word()?;
        if word == wanted { Ok(()) } else { Err(format!("`{wanted}` is expected before `{word}`")) }
    }

    fn number<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.word()?;
        word.parse().map_err(|_| unknown(word))
    }

    /// Milliseconds, in microseconds.
    fn time(&mut self) -> Result<u64, String> {
        let word = self.word()?;
        let (ms, us) = word.split_once('.').unwrap_or((word, "0"));
        let ms: u64 = ms.parse().map_err(|_| unknown(word))?;
        let us: u64 = format!("{us:0<3}").parse().map_err(|_| unknown(word))?;
        if us < 1000 { Ok(ms * 1000 + us) } else { Err(unknown(word)) }
    }
}
