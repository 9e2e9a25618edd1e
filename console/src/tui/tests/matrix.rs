//! The heat map of a sweep.

use super::*;
use crate::sweep::{Cell, Column, Head, Matrix, Mode, Row, State};
use crate::tui::popup::Popup;

/// A sweep of the counter that is not finished, with something wrong in it.
fn matrix() -> Matrix {
    let row = |part: &str, row: &str| Row { part: part.into(), row: row.into() };
    let rows = vec![
        row("server", "after-receive"),
        row("server", "before-execute"),
        row("server", "after-block"),
        row("server", "after-commit"),
        row("caller", "after-outbox"),
        row("takeover", "before-promoted"),
        row("ftm", "before-mark"),
        row("process", "kill"),
        row("link", "drop 10%"),
        row("disk", "full"),
    ];
    let columns: Vec<Column> = ["counter", "caller", "ftm"]
        .iter()
        .flat_map(|name| Mode::ALL.map(|mode| Column { column: (*name).into(), mode }))
        .collect();
    let head =
        Head { cluster: "counter".into(), rows: rows.clone(), columns: columns.clone(), ..Head::default() };
    let mut matrix = Matrix::default();
    head.clone_into(&mut matrix.head);
    for (at, row) in rows.iter().enumerate().take(9) {
        for (place, column) in columns.iter().enumerate() {
            let state = match (at, place) {
                (2, 0) => State::NotPassed,
                (7, 1) => State::NotClean,
                (8, 3) => State::NoVerdict,
                (0..=3, 2..) | (4, 0 | 1) | (_, 4..) => State::Impossible,
                _ => State::Clean,
            };
            let ran = state != State::Impossible;
            matrix.put(Cell {
                row: row.clone(),
                column: column.clone(),
                state,
                why: if state == State::NotClean { "1 lost".into() } else { state.words().into() },
                takeovers: if ran { 1 + at as u64 % 3 } else { 0 },
                acked: 1204,
                blackout_us_max: ran.then_some(41_000),
                took_ms: if ran { 1630 } else { 0 },
                command: ran.then(|| format!("palib run counter --defect 'kill counter@{}'", row.row)),
                kept: (state == State::NotClean).then(|| "/tmp/sweep/kept/17".into()),
            });
        }
    }
    matrix
}

fn rig(keys: &str) -> Rig {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.press(keys);
    rig.send(Msg::Swept { cluster: "counter".into(), matrix: Ok(matrix()) });
    rig
}

fn chosen(rig: &Rig) -> (usize, usize) {
    match rig.app.popups.last() {
        Some(Popup::Sweep(sweep)) => (sweep.row, sweep.column),
        _ => panic!("no matrix is open"),
    }
}

#[test]
fn the_sweep_of_the_chosen_demo_or_of_the_cluster_is_read_and_read_again() {
    let mut rig = rig("6 m");
    assert_eq!(rig.out.last(), Some(&Cmd::ReadSweep("counter".into())));
    assert!(rig.text().contains("54 of 60 decided"), "{}", rig.text());
    assert!(crate::tui::update::wants_ticks(&rig.app));
    let before = rig.out.len();
    rig.ticks(8);
    let again = rig.out[before..].iter().filter(|command| matches!(command, Cmd::ReadSweep(_))).count();
    assert_eq!(again, 2);
    rig.press("esc 8 j m");
    assert_eq!(rig.out.last(), Some(&Cmd::ReadSweep("files".into())));
    assert!(rig.text().contains("Being read"));
    rig.send(Msg::Swept { cluster: "files".into(), matrix: Err("files was not swept yet".into()) });
    assert!(rig.text().contains("`palib sweep files` makes one"), "{}", rig.text());
}

#[test]
fn n_goes_to_what_is_wrong_and_y_copies_the_command_that_repeats_it() {
    let mut rig = rig("6 m");
    rig.press("n");
    assert_eq!(chosen(&rig), (7, 1));
    let text = rig.text();
    assert!(text.contains("not clean: 1 lost") && text.contains("kept in /tmp/sweep/kept/17"), "{text}");
    rig.press("y");
    assert_eq!(rig.out.last(), Some(&Cmd::Copy("palib run counter --defect 'kill counter@kill'".into())));
    rig.press("n");
    assert_eq!(chosen(&rig), (8, 3));
    rig.press("n");
    assert_eq!(chosen(&rig), (7, 1), "round and round");
    rig.press("l l l l l l l l j j j j j");
    assert_eq!(chosen(&rig), (9, 5), "and no further than the corner");
    assert!(rig.text().contains("not decided yet"));
}

#[test]
fn the_matrix_looks_as_it_was_approved() {
    type Picture = (&'static str, (u16, u16), Theme, &'static str);
    let cases: &[Picture] = &[
        ("sweep_80x24", (80, 24), UNICODE, "n"),
        ("sweep_120x36", (120, 36), UNICODE, ""),
        ("sweep_200x50", (200, 50), UNICODE, "n n"),
        ("sweep_ascii", (80, 24), pictures::ASCII, "n"),
        ("sweep_no_colour", (80, 24), pictures::NO_COLOUR, "n"),
        ("sweep_small_60x12", (60, 12), UNICODE, "n"),
    ];
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, size, theme, keys) in cases {
            let mut rig = rig("6 m");
            rig.app.theme = *theme;
            let mut rig = rig.sized(*size);
            rig.press(keys);
            insta::assert_snapshot!(*name, dump(&rig.picture()));
        }
    });
}

#[test]
fn no_size_panics_and_ascii_stays_ascii() {
    let mut rig = rig("6 m n");
    rig.app.theme = pictures::ASCII;
    let text = rig.text();
    assert!(text.is_ascii(), "{text}");
    for columns in (1..=30).chain([39, 40, 41, 60, 79, 80, 81, 119, 120, 200]) {
        for lines in (1..=14).chain([17, 18, 19, 20, 23, 24, 25, 36, 50]) {
            rig.app.size = (columns, lines);
            rig.picture();
        }
    }
}
