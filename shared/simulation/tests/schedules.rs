//! Schedules by the thousand, and what makes each of them worth something.
//!
//! `PALIB_SCHEDULES=N` runs N of them instead of a few thousand; `palib simulate` runs them on all processors.

use std::time::Instant;

use palib_simulation::{Counts, Schedule, run, run_traced, shrink};

/// How many schedules are run in every test of the whole.
const SCHEDULES: u64 = 6_000;

#[test]
fn thousands_of_schedules_break_no_invariant_and_leave_nothing_untried() {
    let asked = std::env::var("PALIB_SCHEDULES").ok().and_then(|asked| asked.parse().ok());
    let schedules = asked.unwrap_or(SCHEDULES);
    let (start, mut counts) = (Instant::now(), Counts::default());
    for seed in 1..=schedules {
        let schedule = Schedule::from_seed(seed);
        let outcome = run(&schedule, None);
        if let Some(violation) = outcome.violation {
            let small = shrink(&schedule, None);
            let told = run_traced(&small, None).trace.join("\n");
            panic!("seed {seed}: {violation}\n\n{small}\n{told}");
        }
        counts.add(&outcome.counts);
    }
    println!("{schedules} schedules in {:.1} s", start.elapsed().as_secs_f64());
    for (_, text, count) in counts.all() {
        println!("{count:>12} {text}");
    }
    // A simulation that never comes to something can't find anything there.
    let never: Vec<&str> =
        counts.all().into_iter().filter(|(.., count)| *count == 0).map(|(_, text, _)| text).collect();
    assert!(never.is_empty(), "no schedule has come to: {}", never.join(", "));
}

#[test]
fn a_schedule_happens_in_the_same_way_each_time() {
    for seed in 1..=40 {
        let schedule = Schedule::from_seed(seed);
        assert_eq!(schedule, Schedule::from_seed(seed));
        let (first, second) = (run_traced(&schedule, None), run_traced(&schedule, None));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!((first.counts, first.took), (second.counts, second.took), "seed {seed}");
        // Whether somebody listens changes nothing.
        assert_eq!(run(&schedule, None).counts, first.counts, "seed {seed}");
    }
}

#[test]
fn a_schedule_is_read_as_it_was_written() {
    for seed in 1..=2000 {
        let schedule = Schedule::from_seed(seed);
        let text = schedule.to_string();
        let read: Schedule = text.parse().unwrap_or_else(|why| panic!("seed {seed}: {why}\n{text}"));
        assert_eq!(read, schedule, "seed {seed}:\n{text}");
    }
}

#[test]
fn a_text_that_is_no_schedule_is_refused_with_its_line() {
    let told = |text: &str| text.parse::<Schedule>().expect_err(text).to_string();
    let whole = "caller outbox\nservice ends atomic\n";
    assert_eq!(told("caller outbox\nservise ends atomic"), "line 2: `servise` is not understood");
    assert_eq!(told(&format!("{whole}call 1 at 5 caller1 service2")), "line 3: there is no service2");
    assert_eq!(told(&format!("{whole}defect at 5 kill nobody")), "line 3: there is no alias `nobody`");
    assert_eq!(told(&format!("{whole}defect at 5.1234 kill ftm")), "line 3: `5.1234` is not understood");
    assert_eq!(told(&format!("{whole}defect at 5 hang ftm")), "line 3: the line ends too early");
    assert_eq!(told("service ends atomic"), "line 1: nobody calls anybody");
}
