//! What a sweep tries: each defect at each place, and what else must happen so that it can strike there.

use std::collections::BTreeSet;

use palib::defect::{Part, Point};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::reach::{callers, turns_at_takeover, why_not};
use super::{Column, Mode, Row, injuries};
use crate::cluster::{AliasSpec, ClusterFile};
use crate::defect::Defect;

/// Defects that only make others possible strike after so many milliseconds, when calls are under way.
const PROVOKED_AFTER_MS: u64 = 400;
/// The column of the FTM.
pub(super) const FTM: &str = "ftm";
/// The column of pairs.
const PAIRS: &str = "pairs";

/// A cell to be decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probe {
    pub(super) row: Row,
    pub(super) column: Column,
    pub(super) plan: Plan,
}

/// How a cell is decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// Without a run: the point can't be passed there.
    Impossible(&'static str),
    /// By a run with these defects.
    Run {
        /// All of them.
        defects: Vec<Defect>,
        /// Those that must happen, in the language of defects; if none is named any will do.
        wanted: Vec<String>,
    },
}

/// All cells of a cluster, in the order of the matrix.
pub(super) fn all(file: &ClusterFile, seed: u64) -> Vec<Probe> {
    let mut probes = Vec::new();
    for point in Point::ALL.iter().copied() {
        for mode in Mode::ALL {
            if point.part() == Part::Ftm {
                probes.push(at_ftm(file, point, mode));
            } else {
                probes.extend(file.aliases.iter().map(|alias| at_point(file, alias, point, mode)));
            }
        }
    }
    for injury in injuries::all(file) {
        for mode in Mode::ALL {
            let row = Row { part: injury.part.to_owned(), row: injury.row.clone() };
            let column = Column { column: injury.column.clone(), mode };
            // At any instant, but at the same one if it is done again.
            let after = random_of(seed, &row, &column).random_range(200..900);
            let plan = run(Vec::new(), &[format!("after {after}ms {}", injury.spec)]);
            probes.push(Probe { row, column, plan });
        }
    }
    probes
}

/// What these cells lack of a whole matrix: what strikes a server can't strike the FTM, and the other way round.
pub(super) fn rest_of(probes: &[Probe]) -> Vec<Probe> {
    let there: BTreeSet<(&Row, &Column)> = probes.iter().map(|probe| (&probe.row, &probe.column)).collect();
    let rows: BTreeSet<&Row> = there.iter().map(|(row, _)| *row).collect();
    let columns: BTreeSet<&Column> = there.iter().map(|(_, column)| *column).collect();
    let all = rows.iter().flat_map(|row| columns.iter().map(move |column| (*row, *column)));
    all.filter(|cell| !there.contains(cell))
        .map(|(row, column)| Probe {
            row: row.clone(),
            column: column.clone(),
            plan: Plan::Impossible("this is not done there"),
        })
        .collect()
}

/// So many pairs of defect points, drawn by the seed from all that can be passed.
pub(super) fn pairs(file: &ClusterFile, seed: u64, count: usize) -> Vec<Probe> {
    let mut random = StdRng::seed_from_u64(seed);
    let singles: Vec<Probe> = all(file, seed).into_iter().filter(Probe::is_at_point).collect();
    let mut probes: Vec<Probe> = Vec::new();
    // There may be fewer different pairs than are asked for.
    for _ in 0..count.saturating_mul(20) {
        let mode = if random.random() { Mode::Alone } else { Mode::Load };
        let of_mode: Vec<&Probe> = singles.iter().filter(|probe| probe.column.mode == mode).collect();
        let both: Vec<&&Probe> = of_mode.choose_multiple(&mut random, 2).collect();
        let [first, second] = both[..] else { break };
        let probe = pair(first, second);
        if probes.len() == count {
            break;
        }
        if probes.iter().all(|other| other.row != probe.row) {
            probes.push(probe);
        }
    }
    probes
}

fn pair(first: &Probe, second: &Probe) -> Probe {
    let name = |probe: &Probe| format!("{}@{}", probe.column.column, probe.row.row);
    let row = Row { part: "pair".to_owned(), row: format!("{} + {}", name(first), name(second)) };
    let column = Column { column: PAIRS.to_owned(), mode: first.column.mode };
    let (mut defects, mut wanted) = (Vec::new(), Vec::new());
    for plan in [&first.plan, &second.plan] {
        if let Plan::Run { defects: of_one, wanted: names } = plan {
            // What both need happens once.
            defects.extend(
                of_one.iter().filter(|defect| !defects.contains(*defect)).cloned().collect::<Vec<_>>(),
            );
            wanted.extend(names.iter().cloned());
        }
    }
    Probe { row, column, plan: Plan::Run { defects, wanted } }
}

impl Probe {
    fn is_at_point(&self) -> bool {
        matches!(&self.plan, Plan::Run { wanted, .. } if !wanted.is_empty())
    }

    /// The aliases it strikes: two for a pair.
    pub(super) fn strikes(&self, alias: &str) -> bool {
        let Plan::Run { wanted, .. } = &self.plan else { return self.column.column == alias };
        let at =
            |spec: &String| spec.strip_prefix("kill ").is_some_and(|at| at.split('@').next() == Some(alias));
        self.column.column == alias || wanted.iter().any(at)
    }
}

/// A run that is to reach these points, armed from its beginning, in which these other defects happen besides.
fn run(wanted: Vec<String>, besides: &[String]) -> Plan {
    let read = |text: &String| text.parse().unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
    Plan::Run { defects: wanted.iter().chain(besides).map(read).collect(), wanted }
}

/// Chance that depends on the seed and on the cell alone.
fn random_of(seed: u64, row: &Row, column: &Column) -> StdRng {
    let name = format!("{} {} {column}", row.part, row.row);
    StdRng::seed_from_u64(seed ^ u64::from(crc32fast::hash(name.as_bytes())))
}

fn at_point(file: &ClusterFile, alias: &AliasSpec, point: Point, mode: Mode) -> Probe {
    let row = Row { part: point.part().word().to_owned(), row: point.name().to_owned() };
    let column = Column { column: alias.name.clone(), mode };
    let plan = match why_not(file, alias, point) {
        Some(why) => Plan::Impossible(why),
        None => {
            let besides = provocations(file, alias, point);
            // What happens in each call is waited for a little, so that something came before it.
            let nth = match mode {
                _ if !besides.is_empty() => 1,
                // A caller's own change is that it stops at the end, and a mark is sent by itself when calls have ended.
                _ if (Point::BeforeSendMark..=Point::AfterChange).contains(&point) => 1,
                Mode::Alone => 2,
                Mode::Load => 5,
            };
            let spec = spec(&alias.name, point, nth);
            run(vec![spec], &besides)
        }
    };
    Probe { row, column, plan }
}

fn spec(target: &str, point: Point, nth: u32) -> String {
    if nth > 1 { format!("kill {target}@{point}#{nth}") } else { format!("kill {target}@{point}") }
}

/// What must happen so that an alias comes to a point that calls alone don't lead to.
fn provocations(file: &ClusterFile, alias: &AliasSpec, point: Point) -> Vec<String> {
    let name = &alias.name;
    let die_with_calls_on = |relays: Vec<&AliasSpec>| -> Vec<String> {
        let turning = relays.into_iter().filter(|relay| turns_at_takeover(relay));
        // The one leaves a call on without an answer, the other one with it.
        turning
            .flat_map(|relay| {
                [Point::AfterCallOn, Point::AfterAnswer].map(|point| spec(&relay.name, point, 2))
            })
            .collect()
    };
    match point {
        Point::BeforeHandler | Point::AfterHandler => {
            // A caller that dies over its answers asks for them again; not all of those are answered by a handler.
            let callers = callers(file, name).into_iter();
            let deaths = callers.flat_map(|caller| {
                [2, 3, 4].map(|nth| {
                    let spec = spec(&caller.name, Point::AfterArrival, nth);
                    format!("after {}ms {spec}", u64::from(nth - 2) * 700)
                })
            });
            deaths.collect()
        }
        Point::BeforeAsk | Point::AfterAsk => vec![spec(name, Point::AfterBlock, 2)],
        _ => match point.part() {
            Part::Takeover => vec![format!("after {PROVOKED_AFTER_MS}ms kill {name}")],
            Part::Relay if point >= Point::BeforeCourse => die_with_calls_on(vec![alias]),
            Part::Server if point >= Point::AfterReceiveCancel || stands_in(file, name) => {
                die_with_calls_on(callers(file, name))
            }
            Part::Caller if matches!(point, Point::BeforeSendCancel | Point::AfterSendCancel) => {
                die_with_calls_on(vec![alias])
            }
            _ => Vec::new(),
        },
    }
}

/// Whether an alias is called only in place of another one, after a takeover.
fn stands_in(file: &ClusterFile, alias: &str) -> bool {
    let names = |relay: &AliasSpec, option: &str| relay.options.get(option).is_some_and(|it| it == alias);
    let mut callers = callers(file, alias).into_iter();
    callers.all(|relay| names(relay, "substitute") && !names(relay, "to"))
}

/// A point of the FTM. Alone it dies over the takeover of one alias, under load over those of all.
fn at_ftm(file: &ClusterFile, point: Point, mode: Mode) -> Probe {
    let row = Row { part: Part::Ftm.word().to_owned(), row: point.name().to_owned() };
    let column = Column { column: FTM.to_owned(), mode };
    let spec = spec(FTM, point, 1);
    let verb = match point {
        // Only who hangs is fenced while it lives.
        Point::BeforeFencingKill | Point::AfterFencingKill => "hang",
        _ => "kill",
    };
    let mut struck: Vec<&str> = file.aliases.iter().map(|alias| alias.name.as_str()).collect();
    if point.is_at_start() {
        struck = vec![FTM];
    } else if mode == Mode::Alone {
        let serves =
            |name: &&str| file.alias(name).is_some_and(|alias| alias.kind.as_deref() != Some("caller"));
        struck = struck.iter().copied().find(serves).or(struck.first().copied()).into_iter().collect();
    }
    let besides: Vec<String> =
        struck.into_iter().map(|name| format!("after {PROVOKED_AFTER_MS}ms {verb} {name}")).collect();
    Probe { row, column, plan: run(vec![spec], &besides) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::DEMOS;

    #[test]
    fn every_demo_has_a_plan_in_which_each_point_and_alias_has_a_cell() {
        for demo in DEMOS {
            let file = ClusterFile::parse(demo.name, demo.text).expect("a cluster file");
            let probes = all(&file, 1);
            let count = |part: Part| Point::ALL.iter().filter(|point| point.part() == part).count();
            let ftm = count(Part::Ftm);
            let cells = 2 * (ftm + (Point::ALL.len() - ftm) * file.aliases.len());
            let at_points =
                probes.iter().filter(|probe| Part::ALL.iter().any(|it| it.word() == probe.row.part));
            assert_eq!(at_points.count(), cells, "{}", demo.name);
            let columns = 2 * (file.aliases.len() + 1);
            assert_eq!((probes.len() + rest_of(&probes).len()) % columns, 0, "{}: it is whole", demo.name);
            for (at, probe) in probes.iter().enumerate() {
                let twice =
                    probes[..at].iter().any(|it| (&it.row, &it.column) == (&probe.row, &probe.column));
                assert!(!twice, "{}: {:?} {}", demo.name, probe.row, probe.column);
                if let Plan::Run { defects, .. } = &probe.plan {
                    assert!(!defects.is_empty());
                    let wrong = defects.iter().find_map(|it| it.check_possible().err());
                    assert_eq!(wrong, None, "{}: {:?}", demo.name, probe.row);
                }
            }
        }
    }

    #[test]
    fn pairs_are_drawn_by_the_seed() {
        let file = ClusterFile::parse("counter", DEMOS[0].text).expect("a cluster file");
        let names = |seed, count| -> Vec<String> {
            pairs(&file, seed, count).into_iter().map(|probe| probe.row.row).collect()
        };
        assert_eq!(names(7, 30).len(), 30);
        assert_eq!(names(7, 30), names(7, 30));
        assert_ne!(names(7, 30), names(8, 30));
        assert_eq!(names(7, 10), names(7, 30)[..10]);
    }
}
