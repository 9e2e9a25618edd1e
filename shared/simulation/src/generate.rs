//! Schedules from seeds: clusters of all shapes, a few dozen calls, and several defects each.

use palib_core::relay::Policy;

use crate::random::Chance;
use crate::schedule::{
    Call, CallerPlan, Defect, DiskFault, Ends, LinkFault, Noise, Plan, Schedule, ServicePlan, SubstitutePlan,
    What, When, Who,
};

/// A millisecond, in microseconds.
const MS: u64 = 1000;
/// Within so long all calls are made, in microseconds.
const CALLS_WITHIN: u64 = 1200 * MS;

impl Schedule {
    /// The schedule of a seed. It is the same on every machine.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let theme = Theme::draw(&mut chance);
        let mut plan = plan(&mut chance);
        let mut defects = Vec::new();
        theme.bend(&mut chance, &mut plan, &mut defects);
        let calls = calls(&mut chance, &plan);
        for _ in 0..chance.one_of(&[0, 1, 2, 2, 3, 3, 4, 5, 6]) {
            injure(&mut chance, &plan, &mut defects);
        }
        Self { seed, plan, calls, defects }
    }
}

/// What is rare by chance alone, and drawn on purpose now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    None,
    /// A relay that designates substitutes dies, and so does its successor.
    Substitutes,
    /// What was sent long ago arrives where nobody remembers it.
    Stragglers,
    /// Relays that find no free slot.
    Narrow,
}

impl Theme {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(100) {
            0..6 => Self::Substitutes,
            6..14 => Self::Stragglers,
            14..20 => Self::Narrow,
            _ => Self::None,
        }
    }

    fn bend(self, chance: &mut Chance, plan: &mut Plan, defects: &mut Vec<Defect>) {
        match self {
            Self::None => return,
            Self::Substitutes => {
                let relay = relay(chance, &[1, 2], false);
                let by = SubstitutePlan { target: 2, cancel_old: true, until: 2 };
                let (policy, substitute, enough) = (Policy::Substitute, Some(by), None);
                let ends = vec![Ends::Atomic];
                let relay = ServicePlan { policy, substitute, enough, ends, undo_fails_once: false, ..relay };
                let leaf = || service(Vec::new(), vec![Ends::Atomic]);
                (plan.services, plan.window, plan.patient) = (vec![relay, leaf(), leaf()], 512, true);
                plan.noise = Noise { late: 200, ..plan.noise };
            }
            Self::Stragglers => {
                plan.services = (0..chance.between(1, 2)).map(|_| leaf(chance, false)).collect();
                (plan.roaming, plan.sessions_max) = (true, 1);
                plan.noise = Noise { lost: 20, doubled: 300, late: 150 };
                if !plan.patient {
                    plan.window = chance.between(1, 2) as u32;
                }
            }
            Self::Narrow => {
                let calls = (0..chance.between(2, 3)).map(|_| chance.between(1, 2) as usize).collect();
                let relay = service(calls, vec![Ends::Returns, Ends::Atomic]);
                let leaf = || service(Vec::new(), vec![Ends::Atomic]);
                (plan.services, plan.patient) = (vec![relay, leaf(), leaf()], false);
                plan.window = chance.between(2, 3) as u32;
                plan.callers.iter_mut().for_each(|caller| caller.outbox = false);
            }
        }
        twice(chance, plan.alias_of(0), defects);
    }
}

/// Whoever is in service dies in the middle of something, and its successor soon after it has taken over.
fn twice(chance: &mut Chance, alias: usize, defects: &mut Vec<Defect>) {
    let first = chance.between(1, 30) as u32;
    let second = first + chance.between(1, 4) as u32;
    for nth in [first, second] {
        let when = if chance.permille(500) { When::Submitted(alias, nth) } else { When::Durable(alias, nth) };
        defects.push(Defect { when, what: What::Kill(Who::Active(alias)) });
    }
}

fn plan(chance: &mut Chance) -> Plan {
    // A process that is thought dead may go on only where it has nothing to do outside its stable area.
    let outside = chance.permille(450);
    let mut services = services(chance, outside);
    let uncertain = |service: &ServicePlan| service.substitute.is_some_and(|by| !by.cancel_old);
    let patient = chance.permille(500) || services.iter().any(uncertain);
    if services.iter().any(uncertain) {
        // Of a call that was not cancelled nobody knows whether it had its effect, so nothing may fail here.
        for service in &mut services {
            (service.enough, service.ends) = (None, vec![Ends::Atomic]);
            if !uncertain(service) {
                (service.policy, service.substitute) = (Policy::RollForward, None);
            }
        }
    }
    // What a handler does without may stay undone by half: its undo is not asked for again.
    if services.iter().any(|service| service.enough.is_some()) {
        services.iter_mut().for_each(|service| service.undo_fails_once = false);
    }
    let (roaming, leaves) = (chance.permille(500), services.iter().all(|service| service.calls.is_empty()));
    let callers = (0..chance.one_of(&[1, 1, 2, 2, 3]))
        .map(|_| CallerPlan { outbox: chance.permille(750), by_port: chance.permille(350) });
    Plan {
        callers: callers.collect(),
        services,
        members: chance.one_of(&[2, 2, 2, 3]),
        shared: chance.permille(120),
        // Two transactions that each hold a slot and ask for another one without end wait for each other; so do one and
        // what is retained for calls above the mark.
        window: if patient { 512 } else { chance.between(1, 8) as u32 },
        sessions_max: chance.one_of(&[1, 2, 8, 8]),
        slow_reads: chance.permille(300),
        // A relay that takes a call back forgets it, and with it that its slot was used again. So what was sent to a process
        // that is dead must never reach another one there, and between processes with ports of their own it can't.
        roaming: roaming && leaves,
        patient,
        site_ids: chance.permille(300),
        noise: noise(chance),
    }
}

fn noise(chance: &mut Chance) -> Noise {
    match chance.below(10) {
        0..3 => Noise::default(),
        3..8 => Noise { lost: chance.below(30), doubled: chance.below(60), late: chance.below(30) },
        _ => Noise { lost: chance.below(200), doubled: chance.below(300), late: chance.below(100) },
    }
}

fn services(chance: &mut Chance, outside: bool) -> Vec<ServicePlan> {
    match chance.below(10) {
        0..3 => vec![leaf(chance, outside)],
        3 => vec![leaf(chance, outside), leaf(chance, outside)],
        4..8 => {
            let relay = relay(chance, &[1, 2], outside);
            vec![relay, leaf(chance, outside), leaf(chance, outside)]
        }
        _ => {
            let (outer, inner) = (relay(chance, &[1, 2, 3], outside), relay(chance, &[2, 3], outside));
            vec![outer, inner, leaf(chance, outside), leaf(chance, outside)]
        }
    }
}

/// A service that calls nobody.
fn leaf(chance: &mut Chance, outside: bool) -> ServicePlan {
    ServicePlan { undo_fails_once: chance.permille(250), ..service(Vec::new(), leaf_ends(chance, outside)) }
}

fn service(calls: Vec<usize>, ends: Vec<Ends>) -> ServicePlan {
    ServicePlan {
        calls,
        at_once: false,
        enough: None,
        ends,
        policy: Policy::RollForward,
        substitute: None,
        undo_fails_once: false,
    }
}

fn some(chance: &mut Chance, all: &[Ends]) -> Vec<Ends> {
    (0..chance.between(1, 3)).map(|_| chance.one_of(all)).collect()
}

fn leaf_ends(chance: &mut Chance, outside: bool) -> Vec<Ends> {
    if outside {
        let all = [
            Ends::Atomic,
            Ends::Outside,
            Ends::Outside,
            Ends::OutsideHandler,
            Ends::OutsidePanics,
            Ends::InDoubt,
            Ends::Panics,
            Ends::FailsAfter(0),
        ];
        return some(chance, &all);
    }
    some(chance, &[Ends::Atomic, Ends::Atomic, Ends::Atomic, Ends::AtomicFails, Ends::FailsAfter(0)])
}

fn relay_ends(chance: &mut Chance, outside: bool) -> Vec<Ends> {
    let all = [
        Ends::Atomic,
        Ends::Atomic,
        Ends::Returns,
        Ends::AtomicFails,
        Ends::FailsAfter(1),
        Ends::FailsAfter(2),
        Ends::Panics,
        Ends::Outside,
    ];
    some(chance, if outside { &all } else { &all[..7] })
}

/// A relay that calls some of these services.
fn relay(chance: &mut Chance, targets: &[usize], outside: bool) -> ServicePlan {
    let calls = (0..chance.between(1, targets.len() as u64 + 1)).map(|_| chance.one_of(targets)).collect();
    let policy = chance.one_of(&[
        Policy::RollForward,
        Policy::RollForward,
        Policy::Substitute,
        Policy::RollBack,
        Policy::RollBack,
    ]);
    let at_once = chance.permille(400);
    let enough = (at_once && policy == Policy::RollForward && chance.permille(400)).then_some(1);
    let undo_fails_once = chance.permille(250);
    let substitute = (policy == Policy::Substitute).then(|| SubstitutePlan {
        target: chance.one_of(targets),
        cancel_old: undo_fails_once || chance.permille(700),
        until: chance.one_of(&[0, 2]),
    });
    let ends = if enough.is_some() { vec![Ends::Returns] } else { relay_ends(chance, outside) };
    ServicePlan { at_once, enough, policy, substitute, undo_fails_once, ..service(calls, ends) }
}

fn calls(chance: &mut Chance, plan: &Plan) -> Vec<Call> {
    let relays = plan.services.iter().filter(|service| !service.calls.is_empty()).count();
    let count = match relays {
        0 => chance.between(6, 32),
        1 => chance.between(4, 16),
        _ => chance.between(3, 10),
    };
    // Calls come in bursts: most defects hit somebody who is busy.
    let bursts: Vec<u64> = (0..chance.between(1, 4)).map(|_| chance.between(30 * MS, CALLS_WITHIN)).collect();
    (1..=count as u32)
        .map(|number| Call {
            number,
            at: chance.one_of(&bursts) + chance.below(60 * MS),
            caller: chance.below(plan.callers.len() as u64) as usize,
            service: match chance.permille(800) {
                true => 0,
                false => chance.below(plan.services.len() as u64) as usize,
            },
            deadline: chance.permille(200).then(|| chance.between(5 * MS, 400 * MS)),
        })
        .collect()
}

/// Adds a defect, or two that belong together.
fn injure(chance: &mut Chance, plan: &Plan, defects: &mut Vec<Defect>) {
    let at = chance.between(30 * MS, CALLS_WITHIN + 400 * MS);
    let now = When::At(at);
    let alias = chance.below(plan.aliases() as u64) as usize;
    let what = match chance.below(100) {
        0..20 => What::Kill(member(chance, plan)),
        20..26 => return twice(chance, alias, defects),
        26..44 => {
            let nth = chance.between(1, 40) as u32;
            let when = match chance.below(3) {
                0 => When::Submitted(alias, nth),
                1 => When::Durable(alias, nth),
                _ => When::Sent(alias, nth),
            };
            return defects.push(Defect { when, what: What::Kill(Who::Active(alias)) });
        }
        44..54 => What::Hang(member(chance, plan), chance.between(50 * MS, 2500 * MS)),
        54..68 if !plan.has_effects_outside() => return spare(chance, alias, at, defects),
        54..68 => What::Disk(alias, DiskFault::Slow(chance.between(10 * MS, 400 * MS)), lasts(chance)),
        68..71 => What::Kill(Who::Ftm),
        71..73 => {
            // Most of its decisions are the starts of all processes.
            let when = When::Decided(chance.between(1, 40) as u32);
            return defects.push(Defect { when, what: What::Kill(Who::Ftm) });
        }
        73..75 => What::Hang(Who::Ftm, chance.between(50 * MS, 1500 * MS)),
        75..78 => What::PowerLoss,
        78..81 => What::Exit(member(chance, plan)),
        81..93 => {
            let (from, to) = (any(chance, plan), any(chance, plan));
            What::Link(from, to, link_fault(chance), lasts(chance))
        }
        _ => {
            let fault = match chance.below(3) {
                0 => DiskFault::Slow(chance.between(10 * MS, 400 * MS)),
                1 => DiskFault::SyncError,
                _ => DiskFault::Full,
            };
            What::Disk(alias, fault, lasts(chance))
        }
    };
    defects.push(Defect { when: now, what });
}

/// Somebody is thought dead, and is not: the FTM does not hear of it, and the kill comes late.
fn spare(chance: &mut Chance, alias: usize, at: u64, defects: &mut Vec<Defect>) {
    let when = When::At(at);
    defects.push(Defect { when, what: What::Spare(alias, chance.between(300 * MS, 3000 * MS)) });
    let who = Who::Active(alias);
    let what = match chance.below(2) {
        0 => What::Hang(who, chance.between(650 * MS, 2500 * MS)),
        _ => What::Link(who, Who::Ftm, LinkFault::Cut, chance.between(650 * MS, 2500 * MS)),
    };
    defects.push(Defect { when, what });
}

fn lasts(chance: &mut Chance) -> u64 {
    chance.between(50 * MS, 1500 * MS)
}

fn link_fault(chance: &mut Chance) -> LinkFault {
    match chance.below(8) {
        0..2 => LinkFault::Cut,
        2..4 => LinkFault::OneWay,
        4 => LinkFault::Drop(chance.between(50, 700)),
        5 => LinkFault::Delay(chance.between(MS, 300 * MS)),
        6 => LinkFault::Double(chance.between(50, 700)),
        _ => LinkFault::Reorder(chance.between(MS, 300 * MS)),
    }
}

/// Mostly whoever is in service, now and then somebody.
fn member(chance: &mut Chance, plan: &Plan) -> Who {
    match chance.permille(750) {
        true => Who::Active(chance.below(plan.aliases() as u64) as usize),
        false => Who::Seat(chance.below(plan.seats().len() as u64) as usize),
    }
}

/// Somebody, or the FTM.
fn any(chance: &mut Chance, plan: &Plan) -> Who {
    if chance.permille(250) { Who::Ftm } else { member(chance, plan) }
}
