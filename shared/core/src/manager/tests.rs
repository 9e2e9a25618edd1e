use super::*;

const COUNTER: AliasId = AliasId(1);
const CALLER: AliasId = AliasId(2);
const SECOND: u64 = 1_000 * MS;

/// A manager, its clock, and what it asked for.
struct Bench {
    manager: Manager,
    now: Nanos,
    out: Vec<Effect>,
}

fn alias(id: AliasId) -> AliasConfig {
    AliasConfig { alias: id, scope: TransScope::Alias, preferred: None, record: AliasRecord::default() }
}

fn seat(number: u32, aliases: &[AliasId]) -> SeatConfig {
    SeatConfig { seat: Seat(number), aliases: aliases.to_vec(), down: false, adopted: None }
}

impl Bench {
    fn new(aliases: &[AliasConfig], seats: &[SeatConfig]) -> Self {
        Self::restored(aliases, seats, Counters::default())
    }

    fn restored(aliases: &[AliasConfig], seats: &[SeatConfig], counters: Counters) -> Self {
        let now = Nanos(1_000 * SECOND);
        let manager = Manager::new(Settings::default(), counters, aliases, seats, now);
        let mut bench = Self { manager, now, out: Vec::new() };
        bench.give(Input::Start);
        bench
    }

    /// Two processes, 1 and 2, both members of the counter; the first one is in service.
    fn pair() -> Self {
        let mut bench = Self::new(&[alias(COUNTER)], &[seat(1, &[COUNTER]), seat(2, &[COUNTER])]);
        bench.join(1);
        bench.promoted(1, COUNTER, 1);
        bench.join(2);
        bench.take();
        bench
    }

    fn give(&mut self, input: Input) {
        self.manager.handle(self.now, input, &mut self.out);
    }

    fn join(&mut self, process: u32) {
        self.give(Input::Joined { process: ProcessId(process), in_service: Vec::new() });
    }

    fn promoted(&mut self, process: u32, alias: AliasId, incarnation: u64) {
        self.give(Input::Promoted {
            process: ProcessId(process),
            alias,
            incarnation: Incarnation(incarnation),
        });
    }

    fn exit(&mut self, process: u32) {
        self.give(Input::Exited { process: ProcessId(process), cause: Cause::Killed, ordered: false });
    }

    /// Lets time pass in ticks of 50 ms; these processes are heard all the while.
    fn pass(&mut self, time: u64, heard: &[u32]) {
        let end = self.now.0 + time;
        while self.now.0 < end {
            self.now = Nanos(self.now.0 + 50 * MS);
            for process in heard {
                self.give(Input::Heartbeat { process: ProcessId(*process) });
            }
            self.give(Input::Tick);
        }
    }

    /// All effects so far in their order, those inside a persist after it.
    fn take(&mut self) -> Vec<Effect> {
        fn flatten(effects: Vec<Effect>, into: &mut Vec<Effect>) {
            for effect in effects {
                match effect {
                    Effect::Persist { changes, then } => {
                        into.push(Effect::Persist { changes, then: Vec::new() });
                        flatten(then, into);
                    }
                    other => into.push(other),
                }
            }
        }
        let mut flat = Vec::new();
        flatten(core::mem::take(&mut self.out), &mut flat);
        flat
    }

    fn in_service(&self, alias: AliasId) -> Option<ProcessId> {
        self.manager.table().rows(alias)?.in_service().map(|member| member.process)
    }
}

fn promotes(effects: &[Effect]) -> Vec<(u32, AliasId, u64)> {
    let one = |effect: &Effect| match effect {
        Effect::Promote { process, alias, incarnation, .. } => Some((process.0, *alias, incarnation.0)),
        _ => None,
    };
    effects.iter().filter_map(one).collect()
}

fn kills(effects: &[Effect]) -> Vec<u32> {
    let one = |effect: &Effect| match effect {
        Effect::Kill { process } => Some(process.0),
        _ => None,
    };
    effects.iter().filter_map(one).collect()
}

fn place_of(effects: &[Effect], what: impl Fn(&Effect) -> bool) -> usize {
    effects.iter().position(what).expect("the effect is there")
}

#[test]
fn the_mark_of_service_moves_last() {
    let mut bench = Bench::pair();
    bench.exit(1);
    let effects = bench.take();
    assert_eq!(promotes(&effects), [(2, COUNTER, 2)]);
    assert_eq!(bench.in_service(COUNTER), None, "nobody is in service until the backup has recovered");
    let durable = place_of(&effects, |effect| matches!(effect, Effect::Persist { .. }));
    assert!(durable < place_of(&effects, |effect| matches!(effect, Effect::Promote { .. })));
    bench.promoted(2, COUNTER, 2);
    assert_eq!(bench.in_service(COUNTER), Some(ProcessId(2)));
}

#[test]
fn a_hung_active_is_fenced_and_known_dead_before_its_backup_is_promoted() {
    let mut bench = Bench::pair();
    bench.pass(SECOND, &[2]);
    let effects = bench.take();
    assert_eq!(kills(&effects), [1]);
    assert!(promotes(&effects).is_empty(), "the old active may still live");
    let durable = place_of(&effects, |effect| matches!(effect, Effect::Persist { .. }));
    let fence = place_of(&effects, |effect| matches!(effect, Effect::WriteFence { .. }));
    let kill = place_of(&effects, |effect| matches!(effect, Effect::Kill { .. }));
    assert!(durable < fence && fence < kill);
    bench.exit(1);
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 2)], "one takeover raises the incarnation once");
}

#[test]
fn suspicion_takes_less_than_a_second_and_more_than_the_stated_time() {
    let mut bench = Bench::pair();
    bench.pass(600 * MS, &[2]);
    assert!(kills(&bench.take()).is_empty(), "a hang shorter than the suspicion time causes no takeover");
    bench.pass(100 * MS, &[2]);
    assert_eq!(kills(&bench.take()), [1]);
}

#[test]
fn a_short_hang_causes_nothing() {
    let mut bench = Bench::pair();
    bench.pass(500 * MS, &[2]);
    bench.pass(500 * MS, &[1, 2]);
    let effects = bench.take();
    assert!(kills(&effects).is_empty() && promotes(&effects).is_empty());
    assert_eq!(bench.in_service(COUNTER), Some(ProcessId(1)));
}

#[test]
fn a_standstill_of_the_whole_machine_suspects_nobody() {
    let mut bench = Bench::pair();
    bench.now = Nanos(bench.now.0 + 10 * SECOND);
    bench.give(Input::Tick);
    bench.pass(500 * MS, &[]);
    assert!(kills(&bench.take()).is_empty());
    bench.pass(300 * MS, &[]);
    assert!(!kills(&bench.take()).is_empty(), "silence after the standstill counts again");
}

#[test]
fn a_hung_backup_is_no_candidate_and_may_come_back() {
    let mut bench = Bench::pair();
    bench.pass(SECOND, &[1]);
    let effects = bench.take();
    assert!(kills(&effects).is_empty());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Note(Note::Hung { seat: Seat(2), .. }))));
    bench.exit(1);
    let effects = bench.take();
    assert!(promotes(&effects).is_empty());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Note(Note::Outage { .. }))));
    bench.give(Input::Heartbeat { process: ProcessId(2) });
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 2)]);
}

#[test]
fn all_aliases_of_a_dead_process_are_taken_over_in_one_commit() {
    let aliases = [alias(COUNTER), alias(CALLER)];
    let mut bench =
        Bench::new(&aliases, &[seat(1, &[COUNTER, CALLER]), seat(2, &[COUNTER]), seat(3, &[CALLER])]);
    bench.join(1);
    bench.promoted(1, COUNTER, 1);
    bench.promoted(1, CALLER, 1);
    bench.join(2);
    bench.join(3);
    bench.take();
    bench.exit(1);
    let effects = bench.take();
    assert_eq!(promotes(&effects), [(2, COUNTER, 2), (3, CALLER, 2)]);
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Persist { .. })).count(), 1);
}

#[test]
fn the_preferred_member_is_the_first_in_service() {
    let preferred = AliasConfig { preferred: Some(Seat(2)), ..alias(COUNTER) };
    let seats = [seat(1, &[COUNTER]), seat(2, &[COUNTER])];
    let mut bench = Bench::new(core::slice::from_ref(&preferred), &seats);
    bench.join(1);
    assert!(promotes(&bench.take()).is_empty());
    bench.join(2);
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 1)]);

    let mut bench = Bench::new(&[preferred], &seats);
    bench.join(1);
    bench.pass(4 * SECOND, &[1]);
    assert_eq!(promotes(&bench.take()), [(1, COUNTER, 1)], "but not at any price");
}

#[test]
fn a_new_run_has_new_ports_and_waits_as_backup() {
    let mut bench = Bench::pair();
    bench.exit(1);
    bench.promoted(2, COUNTER, 2);
    bench.pass(100 * MS, &[2]);
    let spawned = bench
        .take()
        .iter()
        .any(|effect| matches!(effect, Effect::Spawn { seat: Seat(1), process: ProcessId(3) }));
    assert!(spawned);
    bench.join(3);
    let rows = bench.manager.table().rows(COUNTER).unwrap();
    let new = rows.members().iter().find(|member| member.seat == Seat(1)).unwrap();
    assert_eq!((new.port, new.state), (PortId(3), MemberState::Backup));
}

#[test]
fn a_crash_loop_is_slowed_down_and_forgotten() {
    let mut bench = Bench::new(&[alias(COUNTER)], &[seat(1, &[COUNTER])]);
    let mut delays = Vec::new();
    for process in 1..=8 {
        bench.exit(process);
        let at = bench.manager.respawn_at(Seat(1));
        delays.push(at.map_or(0, |at| (at.0 - bench.now.0) / MS));
        bench.pass(6 * SECOND, &[]);
        if process < 8 {
            // The next death comes soon after its start.
            bench.manager.run_mut(Seat(1)).unwrap().started = bench.now;
        }
    }
    assert_eq!(delays, [0, 100, 200, 400, 800, 1600, 3200, 5000]);
    bench.pass(2 * SECOND, &[]);
    bench.exit(9);
    assert!(bench.manager.run(Seat(1)).is_some(), "a run that lasted is followed at once");
}

#[test]
fn a_failed_promotion_goes_to_the_next_member_and_then_makes_a_pause() {
    let mut bench = Bench::pair();
    bench.exit(1);
    bench.pass(100 * MS, &[2]);
    bench.join(3);
    bench.take();
    let failed = |process| Input::PromotionFailed {
        process: ProcessId(process),
        alias: COUNTER,
        incarnation: Incarnation(process.into()),
    };
    bench.give(failed(2));
    assert_eq!(promotes(&bench.take()), [(3, COUNTER, 3)]);
    bench.give(failed(3));
    let effects = bench.take();
    assert!(promotes(&effects).is_empty());
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Note(Note::Outage { retry_after: Some(_), .. })))
    );
    bench.pass(1_900 * MS, &[2, 3]);
    assert!(promotes(&bench.take()).is_empty());
    bench.pass(200 * MS, &[2, 3]);
    assert_eq!(promotes(&bench.take()).len(), 1);
}

#[test]
fn a_restarted_ftm_finds_its_holder_and_keeps_its_incarnation() {
    let record = AliasRecord {
        incarnation: Incarnation(4),
        holder: Some(ProcessId(7)),
        fenced: false,
        trans_base: crate::ids::TransId(4),
    };
    let adopted = |number: u32, process: u32| SeatConfig {
        adopted: Some((ProcessId(process), alloc::vec![(COUNTER, PortId(process))])),
        ..seat(number, &[COUNTER])
    };
    let counters = Counters { process: ProcessId(9), port: PortId(9), site_grant: 0 };
    let mut bench = Bench::restored(
        &[AliasConfig { record, ..alias(COUNTER) }],
        &[adopted(1, 7), adopted(2, 8)],
        counters,
    );
    assert!(!bench.manager.is_settled(COUNTER), "what the others know is better than what this FTM knows");
    bench.join(8);
    assert!(promotes(&bench.take()).is_empty());
    bench.give(Input::Joined { process: ProcessId(7), in_service: alloc::vec![(COUNTER, Incarnation(4))] });
    assert_eq!(bench.in_service(COUNTER), Some(ProcessId(7)));
    assert!(bench.manager.is_settled(COUNTER));
    assert!(promotes(&bench.take()).is_empty());
}

#[test]
fn a_restarted_ftm_takes_over_for_who_died_meanwhile() {
    let record = AliasRecord {
        incarnation: Incarnation(4),
        holder: Some(ProcessId(7)),
        fenced: false,
        trans_base: crate::ids::TransId(4),
    };
    let living = SeatConfig {
        adopted: Some((ProcessId(8), alloc::vec![(COUNTER, PortId(8))])),
        ..seat(2, &[COUNTER])
    };
    let counters = Counters { process: ProcessId(9), port: PortId(9), site_grant: 0 };
    let config = [AliasConfig { record, ..alias(COUNTER) }];
    let mut bench = Bench::restored(&config, &[seat(1, &[COUNTER]), living], counters);
    bench.join(8);
    assert_eq!(promotes(&bench.take()), [(8, COUNTER, 5)]);
}

#[test]
fn a_holder_that_does_not_join_again_is_fenced_first() {
    let record = AliasRecord {
        incarnation: Incarnation(4),
        holder: Some(ProcessId(7)),
        fenced: false,
        trans_base: crate::ids::TransId(4),
    };
    let adopted = |number: u32, process: u32| SeatConfig {
        adopted: Some((ProcessId(process), alloc::vec![(COUNTER, PortId(process))])),
        ..seat(number, &[COUNTER])
    };
    let counters = Counters { process: ProcessId(9), port: PortId(9), site_grant: 0 };
    let config = [AliasConfig { record, ..alias(COUNTER) }];
    let mut bench = Bench::restored(&config, &[adopted(1, 7), adopted(2, 8)], counters);
    bench.join(8);
    bench.pass(6 * SECOND, &[8]);
    let effects = bench.take();
    assert_eq!(kills(&effects)[0], 7);
    assert!(promotes(&effects).is_empty());
    bench.exit(7);
    assert_eq!(promotes(&bench.take()), [(8, COUNTER, 5)]);
}

/// An FTM died between the durable incarnation and the SIGKILL of a process that hangs. The next one did not know that
/// the process may still have the stable area open, and promoted its backup beside it.
#[test]
fn a_restarted_ftm_kills_whom_the_last_one_fenced_before_it_promotes() {
    let mut bench = Bench::pair();
    bench.pass(SECOND, &[2]);
    let record = bench.take().into_iter().find_map(|effect| match effect {
        Effect::Persist { changes, .. } => changes.into_iter().find_map(|change| match change {
            Change::Alias { record, .. } => Some(record),
            _ => None,
        }),
        _ => None,
    });
    let record = record.expect("the fencing is durable");
    assert_eq!((record.incarnation, record.holder), (Incarnation(2), Some(ProcessId(1))));
    let adopted = |number: u32| SeatConfig {
        adopted: Some((ProcessId(number), alloc::vec![(COUNTER, PortId(number))])),
        ..seat(number, &[COUNTER])
    };
    let counters = Counters { process: ProcessId(2), port: PortId(2), site_grant: 0 };
    let config = [AliasConfig { record, ..alias(COUNTER) }];
    let mut bench = Bench::restored(&config, &[adopted(1), adopted(2)], counters);
    bench.join(2);
    // It wakes up before the kill, and its word does not count any more.
    bench.give(Input::Joined { process: ProcessId(1), in_service: alloc::vec![(COUNTER, Incarnation(1))] });
    let effects = bench.take();
    assert_eq!((kills(&effects), promotes(&effects)), (alloc::vec![1], alloc::vec![]));
    bench.exit(1);
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 3)]);
}

#[test]
fn who_claims_a_mark_that_is_not_its_own_is_fenced() {
    let mut bench = Bench::pair();
    bench.give(Input::Joined { process: ProcessId(2), in_service: alloc::vec![(COUNTER, Incarnation(1))] });
    assert_eq!(kills(&bench.take()), [2]);
    assert_eq!(bench.in_service(COUNTER), Some(ProcessId(1)));
}

#[test]
fn transids_of_a_site_are_granted_once() {
    let scope = TransScope::Site;
    let aliases = [AliasConfig { scope, ..alias(COUNTER) }, AliasConfig { scope, ..alias(CALLER) }];
    let mut bench = Bench::new(&aliases, &[seat(1, &[COUNTER]), seat(2, &[CALLER]), seat(3, &[COUNTER])]);
    (1..=3).for_each(|process| bench.join(process));
    bench.promoted(1, COUNTER, 1);
    bench.exit(1);
    let bases = bench.take().into_iter().filter_map(|effect| match effect {
        Effect::Promote { trans_base, .. } => Some(trans_base.0 / crate::ids::TRANS_GRANT),
        _ => None,
    });
    assert_eq!(bases.collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_process_ended_on_order_stays_down_until_it_is_wanted_again() {
    let mut bench = Bench::pair();
    bench.give(Input::End { seat: Seat(1), restart: false });
    assert!(bench.take().iter().any(|effect| matches!(effect, Effect::End { process: ProcessId(1) })));
    bench.exit(1);
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 2)]);
    bench.pass(10 * SECOND, &[2]);
    assert!(bench.manager.run(Seat(1)).is_none());
    bench.give(Input::End { seat: Seat(1), restart: true });
    assert!(bench.manager.run(Seat(1)).is_some());
}

#[test]
fn who_does_not_end_when_told_is_killed() {
    let mut bench = Bench::pair();
    bench.give(Input::Stop);
    bench.take();
    bench.pass(1_900 * MS, &[1, 2]);
    assert!(kills(&bench.take()).is_empty());
    bench.pass(200 * MS, &[1]);
    assert_eq!(kills(&bench.take()), [1, 2]);
    bench.exit(1);
    bench.exit(2);
    let effects = bench.take();
    assert!(promotes(&effects).is_empty(), "nobody takes over in a cluster that goes down");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Note(Note::AllEnded))));
}

#[test]
fn who_is_paused_is_not_suspected_until_it_has_gone_on_and_is_silent_again() {
    let mut bench = Bench::pair();
    bench.give(Input::Paused { process: ProcessId(1) });
    bench.pass(60 * SECOND, &[2]);
    assert!(bench.take().is_empty(), "nobody takes over from a process that an operator made wait");
    assert_eq!(bench.in_service(COUNTER), Some(ProcessId(1)));
    bench.give(Input::WentOn { process: ProcessId(1) });
    bench.pass(500 * MS, &[2]);
    assert!(bench.take().is_empty(), "it has as much time to be heard as anybody");
    bench.pass(200 * MS, &[2]);
    assert_eq!(kills(&bench.take()), [1]);
}

#[test]
fn who_is_paused_may_take_as_long_with_its_promotion() {
    let mut bench = Bench::pair();
    bench.exit(1);
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 2)]);
    bench.pass(20 * SECOND, &[2]);
    bench.give(Input::Paused { process: ProcessId(2) });
    bench.pass(60 * SECOND, &[]);
    bench.give(Input::WentOn { process: ProcessId(2) });
    bench.pass(9 * SECOND, &[2]);
    assert!(!kills(&bench.take()).contains(&2));
    bench.pass(2 * SECOND, &[2]);
    assert!(kills(&bench.take()).contains(&2), "its own time is up");
}

#[test]
fn who_is_paused_still_ends_when_told_to() {
    let mut bench = Bench::pair();
    bench.give(Input::Paused { process: ProcessId(1) });
    bench.give(Input::End { seat: Seat(1), restart: false });
    bench.pass(3 * SECOND, &[2]);
    assert!(kills(&bench.take()).contains(&1));
    bench.exit(1);
    assert_eq!(promotes(&bench.take()), [(2, COUNTER, 2)]);
}
