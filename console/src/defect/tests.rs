use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> String {
    text.parse::<Defect>().expect_err(text)
}

#[test]
fn every_form_of_the_grammar_prints_as_it_was_written() {
    for text in [
        "kill counter-1",
        "kill counter",
        "kill ftm",
        "kill counter@after-block",
        "kill counter@after-block#2",
        "pause relay@after-journal",
        "every 1s pause relay@before-reply#3",
        "hang counter-1 3s",
        "hang counter-1",
        "exit caller-2",
        "cut caller-1 counter-1",
        "oneway caller-1 counter-1",
        "drop caller counter 10%",
        "drop caller counter 12.5%",
        "delay caller counter 20ms±5ms",
        "delay caller counter 20ms",
        "duplicate caller counter 5%",
        "reorder caller counter",
        "disk counter fsync-error",
        "disk counter full",
        "disk counter torn",
        "disk counter slow 300ms",
        "cut caller-1 counter-1 for 3s",
        "drop caller ftm 0.25% for 300ms",
        "delay caller counter 20ms±5ms for 2s",
        "disk counter full for 2s",
        "disk counter slow 300ms for 2s",
        "every 200ms cut counter ftm for 100ms",
        "after 2s kill counter",
        "every 500ms..1500ms hang counter 700ms",
        "after 1m every 2s exit PA1",
    ] {
        assert_eq!(text.parse::<Defect>().map(|defect| defect.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn a_mistake_is_answered_with_what_would_be_right() {
    for (text, says) in [
        ("", "what is to happen is missing"),
        ("kil counter", "did you mean `kill`?"),
        ("kill", "a process is missing; write it as: kill PROC"),
        ("kill a b", "`b` is one word too many"),
        ("kill a@", "names no defect point"),
        ("kill a@after-block#0", "names no defect point"),
        ("kill a@after-blok", "did you mean `after-block`?"),
        ("kill a@lunch", "`palib points` lists them"),
        ("pause a", "write it as pause ALIAS@after-block"),
        ("pause", "a defect point is missing"),
        ("hang a soon", "is no duration"),
        ("drop a b 110%", "between 0% and 100%"),
        ("delay a b 5ms±9ms", "can't vary by more than itself"),
        ("disk a fsync", "no fault of a disk"),
        ("disk a torn for 2s", "`for` is one word too many"),
        ("cut a b for", "a duration is missing"),
        ("cut a b 3s", "`3s` is one word too many; write it as: cut A B, or cut A B for 3s"),
        ("every 2s..1s kill a", "is no pause"),
        ("every 0s kill a", "is no pause"),
        ("after kill a", "is no duration"),
        ("kill ../a", "names have letters, digits and `-`"),
    ] {
        let answer = refused(text);
        assert!(answer.contains(says), "{text}: {answer}");
    }
}

#[test]
fn what_can_be_done_in_no_cluster_is_read_and_refused() {
    let possible = |text: &str| text.parse::<Defect>().expect(text).check_possible();
    for text in [
        "after 2s kill counter",
        "cut a ftm",
        "disk a full",
        "kill a@after-block",
        "pause a@after-block",
        "kill ftm@after-mark#2",
    ] {
        assert_eq!(possible(text), Ok(()), "{text}");
    }
    for (text, says) in [
        ("cut a a", "two ends"),
        ("hang ftm", "can be killed"),
        ("pause ftm@after-mark", "the FTM can't wait at after-mark"),
        ("kill ftm@after-block", "passed by processes, not by the FTM"),
        ("kill a@after-mark", "write kill ftm@after-mark"),
    ] {
        let answer = possible(text).expect_err(text);
        assert!(answer.contains(says), "{text}: {answer}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9-]{0,8}"
}

fn point() -> impl Strategy<Value = Point> {
    proptest::sample::select(Point::ALL)
}

fn span() -> impl Strategy<Value = Duration> {
    (1_u64..10_000_000_000).prop_map(Duration::from_micros)
}

fn when() -> impl Strategy<Value = When> {
    (proptest::option::of(span()), proptest::option::of((span(), span())))
        .prop_map(|(after, every)| When { after, every: every.map(|(a, b)| (a.min(b), a.max(b))) })
}

fn injury() -> impl Strategy<Value = Injury> {
    let target = || name().prop_map(Target);
    let percent = || (0_u32..=10_000).prop_map(Percent);
    let link = prop_oneof![
        Just(LinkFault::Cut),
        Just(LinkFault::OneWay),
        Just(LinkFault::Reorder),
        percent().prop_map(LinkFault::Drop),
        percent().prop_map(LinkFault::Duplicate),
        (span(), span()).prop_map(|(a, b)| LinkFault::Delay { by: a.max(b), jitter: a.min(b) }),
    ];
    let disk = prop_oneof![
        Just(DiskFault::FsyncError),
        Just(DiskFault::Full),
        Just(DiskFault::Torn),
        span().prop_map(DiskFault::Slow),
    ];
    prop_oneof![
        target().prop_map(Injury::Kill),
        (target(), point(), 1_u32..99, any::<bool>()).prop_map(|(target, point, nth, pause)| Injury::At {
            target,
            point,
            nth,
            pause
        }),
        (target(), proptest::option::of(span())).prop_map(|(target, span)| Injury::Hang { target, span }),
        target().prop_map(Injury::Exit),
        (link, target(), target(), proptest::option::of(span()))
            .prop_map(|(fault, from, to, span)| Injury::Link { fault, from, to, span }),
        (target(), disk, proptest::option::of(span())).prop_map(|(alias, fault, span)| Injury::Disk {
            alias,
            fault,
            span: span.filter(|_| !fault.strikes_once()),
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back_the_same(when in when(), injury in injury()) {
        let defect = Defect { when, injury };
        prop_assert_eq!(defect.to_string().parse::<Defect>(), Ok(defect));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,60}") {
        let _ = text.parse::<Defect>();
    }
}
