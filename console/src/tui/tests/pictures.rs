//! Pictures of every screen, with their styles, at the sizes that matter.

use super::*;

struct Case {
    name: &'static str,
    size: (u16, u16),
    theme: Theme,
    keys: &'static str,
}

pub(super) const NO_COLOUR: Theme = Theme { colours: Colours::None, ascii: false };
pub(super) const ASCII: Theme = Theme { colours: Colours::None, ascii: true };
const TRUE_COLOUR: Theme = Theme { colours: Colours::True, ascii: false };

const fn case(name: &'static str, size: (u16, u16), keys: &'static str) -> Case {
    Case { name, size, theme: UNICODE, keys }
}

const CASES: &[Case] = &[
    case("cluster_80x24", (80, 24), "1"),
    case("cluster_120x36", (120, 36), "1"),
    case("cluster_200x50", (200, 50), "1"),
    case("redundancy_80x24", (80, 24), "2"),
    case("redundancy_120x36", (120, 36), "2 j"),
    case("redundancy_200x50", (200, 50), "2"),
    case("sequence_80x24", (80, 24), "4"),
    case("sequence_120x36", (120, 36), "4"),
    case("sequence_200x50", (200, 50), "4 z k k"),
    case("stable_80x24", (80, 24), "5 tab j j"),
    case("stable_120x36", (120, 36), "5 j j j j j j j j j"),
    case("stable_200x50", (200, 50), "5 tab"),
    case("log_80x24", (80, 24), "7"),
    case("log_120x36", (120, 36), "7 s s"),
    case("demos_80x24", (80, 24), "8"),
    case("demos_120x36", (120, 36), "8"),
    case("menu_80x24", (80, 24), "1 x"),
    case("confirm_80x24", (80, 24), "1 j j j x k"),
    case("last_member_80x24", (80, 24), "1 j j j x k"),
    case("palette_80x24", (80, 24), ": k i"),
    case("help_120x36", (120, 36), "? t a k e"),
    case("filter_80x24", (80, 24), "1 / ! d e a d"),
    case("quit_80x24", (80, 24), "1 q"),
    case("call_detail_120x36", (120, 36), "2 enter"),
    case("past_120x36", (120, 36), "1 < ,"),
    case("small_60x12", (60, 12), "1"),
    Case { name: "cluster_no_colour", size: (80, 24), theme: NO_COLOUR, keys: "1" },
    Case { name: "cluster_ascii", size: (80, 24), theme: ASCII, keys: "1" },
    Case { name: "redundancy_ascii", size: (80, 24), theme: ASCII, keys: "2" },
    Case { name: "cluster_true_colour", size: (80, 24), theme: TRUE_COLOUR, keys: "1" },
];

#[test]
fn every_screen_looks_as_it_was_approved() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for case in CASES {
            let mut rig = Rig::after_kill();
            rig.app.theme = case.theme;
            let mut rig = rig.sized(case.size);
            rig.press(case.keys).ticks(1);
            insta::assert_snapshot!(case.name, dump(&rig.picture()));
        }
        for (name, size, theme) in [
            ("chart_80x24", (80, 24), UNICODE),
            ("chart_120x36", (120, 36), UNICODE),
            ("chart_ascii", (80, 24), ASCII),
            ("chart_no_colour", (80, 24), NO_COLOUR),
        ] {
            let mut rig = Rig::with_chart();
            rig.app.theme = theme;
            let mut rig = rig.sized(size);
            rig.press("7 enter j j j j");
            insta::assert_snapshot!(name, dump(&rig.picture()));
        }
        let mut rig = Rig::without_cluster().sized((80, 24));
        insta::assert_snapshot!("first_impression_80x24", dump(&rig.picture()));
        let mut rig = Rig::without_cluster().sized((120, 36));
        insta::assert_snapshot!("first_impression_120x36", dump(&rig.picture()));
    });
}

#[test]
fn no_size_and_no_screen_panics() {
    let open = ["", "x", "x k", ":", "?", "/ a", "q", "enter", "S", "5 tab enter", "2 r", "8 tab enter"];
    for screen in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        for popup in open {
            let mut rig = Rig::after_kill();
            rig.press(screen).press(popup).ticks(1);
            for columns in (1..=30).chain([39, 40, 41, 60, 79, 80, 81, 119, 120, 200]) {
                for lines in (1..=14).chain([23, 24, 25, 36, 50]) {
                    rig.app.size = (columns, lines);
                    rig.picture();
                }
            }
        }
    }
}

#[test]
fn a_terminal_that_is_too_small_is_told_so_in_one_line() {
    let mut rig = Rig::after_kill().sized((39, 9));
    assert_eq!(rig.text().trim(), "palib needs 40x10, this is 39x9");
}

#[test]
fn ascii_pictures_hold_nothing_but_ascii() {
    for keys in
        ["1", "2", "4", "4 e", "5 tab", "6", "7", "8", "1 x", "1 x k", ":", "?", "1 < ,", "2 enter", "q"]
    {
        let mut rig = Rig::after_kill();
        rig.app.theme = ASCII;
        let mut rig = rig.sized((120, 36));
        let text = rig.press(keys).ticks(1).text();
        let strange: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
        assert!(strange.is_empty(), "{keys}: {strange:?}\n{text}");
    }
}

#[test]
fn heartbeats_that_change_nothing_visible_change_no_cell() {
    let mut stage = Stage::counter();
    for _ in 0..6 {
        stage.wait(500).measure("caller-1", "caller", &[("issued:counter", 80), ("acked:counter", 80)]);
        stage.measure("counter-1", "counter", &[("effects", 80)]);
    }
    for keys in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        let mut rig = Rig::on(stage.clone()).sized((120, 36));
        rig.press(keys).ticks(1);
        let before = (rig.picture(), crate::tui::run::title(&rig.app));
        let mut more = stage.clone();
        let old = more.events.len();
        for _ in 0..40 {
            more.wait(100).measure("caller-1", "caller", &[("issued:counter", 80), ("acked:counter", 80)]);
            more.measure("counter-1", "counter", &[("effects", 80)]);
        }
        rig.send(Msg::Events(more.events.split_off(old)));
        rig.ticks(3);
        let after = (rig.picture(), crate::tui::run::title(&rig.app));
        assert!(before == after, "screen {keys} changed by itself");
    }
}

#[test]
fn a_reply_with_control_characters_and_wide_letters_keeps_the_table_in_shape() {
    let mut stage = Stage::counter();
    let text = "\u{1b}[31mred\u{7} 漢字 e\u{301}\u{200d} end".repeat(20);
    later(&mut stage, What::Log { level: "warn".into(), text });
    let mut rig = Rig::on(stage).sized((80, 24));
    let text = rig.press("7").text();
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
}

#[test]
fn a_counter_is_told_once_where_its_targets_add_nothing() {
    let mut stage = Stage::counter();
    let counters = [("acked", 7), ("acked:counter", 7), ("each:stock", 3)];
    stage.measure("caller-1", "caller", &counters);
    let text = Rig::on(stage).sized((120, 36)).press("1").text();
    assert!(text.contains("sent again 0   acked 7   each:stock 3"), "{text}");
}
