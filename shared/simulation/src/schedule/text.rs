//! A schedule as text, one item in a line.

use std::fmt;

use palib_core::relay::Policy;

use super::{
    Call, Defect, DiskFault, Ends, LinkFault, Noise, Plan, Schedule, ServicePlan, SubstitutePlan, What, When,
    Who,
};

pub(super) const POLICIES: [(&str, Policy); 3] =
    [("forward", Policy::RollForward), ("substitute", Policy::Substitute), ("back", Policy::RollBack)];

pub(super) const ENDS: [(&str, Ends); 8] = [
    ("atomic", Ends::Atomic),
    ("returns", Ends::Returns),
    ("atomic-fails", Ends::AtomicFails),
    ("panics", Ends::Panics),
    ("outside", Ends::Outside),
    ("outside-handler", Ends::OutsideHandler),
    ("outside-panics", Ends::OutsidePanics),
    ("in-doubt", Ends::InDoubt),
];

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = &self.plan;
        writeln!(out, "seed {}", self.seed)?;
        write!(out, "world members {} window {} sessions {}", plan.members, plan.window, plan.sessions_max)?;
        let flags = [
            (plan.shared, "shared"),
            (plan.slow_reads, "slow-reads"),
            (plan.roaming, "roaming"),
            (plan.patient, "patient"),
            (plan.site_ids, "site-ids"),
        ];
        words(out, &flags)?;
        let Noise { lost, doubled, late } = plan.noise;
        writeln!(out, "noise lost {lost} doubled {doubled} late {late}")?;
        for caller in &plan.callers {
            write!(out, "caller")?;
            words(out, &[(caller.outbox, "outbox"), (caller.by_port, "by-port")])?;
        }
        plan.services.iter().try_for_each(|service| write_service(out, service))?;
        for call in &self.calls {
            let Call { number, caller, service, .. } = *call;
            write!(out, "call {number} at {} caller{} service{}", ms(call.at), caller + 1, service + 1)?;
            if let Some(deadline) = call.deadline {
                write!(out, " deadline {}", ms(deadline))?;
            }
            writeln!(out)?;
        }
        self.defects.iter().try_for_each(|defect| writeln!(out, "defect {}", defect_text(plan, *defect)))
    }
}

fn words(out: &mut fmt::Formatter<'_>, flags: &[(bool, &str)]) -> fmt::Result {
    flags.iter().filter(|(set, _)| *set).try_for_each(|(_, word)| write!(out, " {word}"))?;
    writeln!(out)
}

fn write_service(out: &mut fmt::Formatter<'_>, service: &ServicePlan) -> fmt::Result {
    write!(out, "service")?;
    if !service.calls.is_empty() {
        let calls: Vec<_> = service.calls.iter().map(|target| format!("service{}", target + 1)).collect();
        write!(out, " calls {}", calls.join(","))?;
    }
    if let Some(enough) = service.enough {
        write!(out, " enough {enough}")?;
    }
    let ends: Vec<_> = service.ends.iter().map(|ends| ends_text(*ends)).collect();
    write!(out, " ends {}", ends.join(","))?;
    let policy = POLICIES.iter().find(|(_, policy)| *policy == service.policy);
    write!(out, " policy {}", policy.map_or("", |(word, _)| word))?;
    if let Some(SubstitutePlan { target, cancel_old, until }) = service.substitute {
        let word = if cancel_old { "instead" } else { "beside" };
        write!(out, " {word} service{} until {until}", target + 1)?;
    }
    words(out, &[(service.at_once, "at-once"), (service.undo_fails_once, "undo-fails-once")])
}

fn ends_text(ends: Ends) -> String {
    match ends {
        Ends::FailsAfter(replies) => format!("fails-after-{replies}"),
        _ => ENDS.iter().find(|(_, other)| *other == ends).map_or("", |(word, _)| word).to_owned(),
    }
}

/// A time in milliseconds.
pub(crate) fn ms(us: u64) -> String {
    let (ms, us) = (us / 1000, us % 1000);
    if us == 0 { ms.to_string() } else { format!("{ms}.{us:03}") }
}

/// A defect in words.
pub(crate) fn defect_text(plan: &Plan, Defect { when, what }: Defect) -> String {
    let who = |who: Who| match who {
        Who::Ftm => "ftm".to_owned(),
        Who::Active(alias) => plan.alias_name(alias),
        Who::Seat(seat) => plan.seats().get(seat).map_or_else(String::new, |(name, _)| name.clone()),
    };
    let alias = |alias: usize| plan.alias_name(alias);
    let when = match when {
        When::At(us) => format!("at {}", ms(us)),
        When::Submitted(of, nth) => format!("submitted {}#{nth}", alias(of)),
        When::Durable(of, nth) => format!("durable {}#{nth}", alias(of)),
        When::Sent(of, nth) => format!("sent {}#{nth}", alias(of)),
        When::Decided(nth) => format!("decided ftm#{nth}"),
    };
    let what = match what {
        What::Kill(whom) => format!("kill {}", who(whom)),
        What::Hang(whom, us) => format!("hang {} {}", who(whom), ms(us)),
        What::Exit(whom) => format!("exit {}", who(whom)),
        What::PowerLoss => "power-loss".to_owned(),
        What::Spare(of, us) => format!("spare {} {}", alias(of), ms(us)),
        What::Link(from, to, fault, us) => {
            let (word, number) = match fault {
                LinkFault::Cut => ("cut", 0),
                LinkFault::OneWay => ("oneway", 0),
                LinkFault::Drop(permille) => ("drop", permille),
                LinkFault::Delay(us) => ("delay", us),
                LinkFault::Double(permille) => ("duplicate", permille),
                LinkFault::Reorder(us) => ("reorder", us),
            };
            format!("{word} {} {} {number} {}", who(from), who(to), ms(us))
        }
        What::Disk(of, fault, us) => {
            let (word, number) = match fault {
                DiskFault::Slow(us) => ("slow", us),
                DiskFault::SyncError => ("fsync-error", 0),
                DiskFault::Full => ("full", 0),
            };
            format!("disk {} {word} {number} {}", alias(of), ms(us))
        }
    };
    format!("{when} {what}")
}
