//! `palib bench`, so short that its numbers mean nothing: that it measures at all, and leaves nothing behind.

mod support;

use support::{Site, eventually};

#[test]
fn the_bench_measures_both_sides_and_leaves_nothing() {
    let site = Site::new();
    let rows = "call/1,call-volatile/64,blackout";
    let report = site.palib(&["bench", "--seconds", "1", "--rows", rows, "--json"]).ok().json();
    let rows = report["rows"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["call/1", "call-volatile/64", "blackout"]);
    for row in rows {
        for field in ["value", "limit", "ratio"] {
            assert!(row[field].as_f64().expect("a number") > 0.0, "{field} of {row}");
        }
    }
    assert_eq!(std::fs::read_dir(site.path()).expect("readable").count(), 0, "a folder is left");
    site.assert_nobody_is_left();
}

#[test]
fn a_bench_that_is_killed_or_told_to_end_takes_its_processes_with_it() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, code) in [(Signal::KILL, None), (Signal::TERM, Some(3))] {
        let site = Site::new();
        let mut bench = site.command(&["bench", "--seconds", "60", "--rows", "call/64"]);
        let mut bench = bench.spawn().expect("palib can be run");
        eventually("it measures", || {
            let parts = site.processes().iter().filter(|line| line.contains("bench-part")).count();
            (parts > 1).then_some(()).ok_or_else(|| format!("{parts} parts"))
        });
        kill_process(Pid::from_child(&bench), signal).expect("a signal to our own child");
        assert_eq!(bench.wait().expect("the bench ends").code(), code);
        site.assert_nobody_is_left();
    }
}

#[test]
fn a_row_that_is_none_is_refused_with_those_there_are() {
    let ran = Site::new().palib(&["bench", "--rows", "call/7"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("call/64"), "{ran:?}");
}
