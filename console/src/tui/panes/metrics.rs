//! Takeovers with their parts, and what each process measures of itself.

use crate::tui::app::App;
use crate::tui::metrics::{PARTS, cell_us, parts_us, whole_us};
use crate::tui::table::{Cell, Row, Table, number, plain, rest, strip, text, toned};
use crate::world::{Life, ProcessView, TakeoverView, Tone, clock, duration_us};

/// Cells of a strip that are made at most; what is longer is cut off on the screen anyway.
const STRIP_MAX: u64 = 200;

pub(super) fn takeovers(app: &App) -> Table {
    let world = app.world();
    let cell_us = cell_us(app);
    let rows = world.takeovers.iter().rev().map(|takeover| takeover_row(app, takeover, cell_us)).collect();
    let mut measured: Vec<u64> = world.takeovers.iter().filter_map(|it| it.timing.blackout_us).collect();
    measured.sort_unstable();
    let mut remark = String::new();
    if let Some(longest) = measured.last() {
        // The smallest one that so large a share does not exceed.
        let rank = |share: f64| ((measured.len() as f64 * share).ceil() as usize).max(1) - 1;
        let at = |share: f64| duration_us(measured[rank(share)]);
        let (p50, p99, max) = (at(0.5), at(0.99), duration_us(*longest));
        remark = format!("blackouts p50 {p50}  p99 {p99}  max {max}   a cell is {}", duration_us(cell_us));
    } else if !world.takeovers.is_empty() {
        remark = format!("a cell is {}", duration_us(cell_us));
    }
    let mut columns =
        vec![text("TIME", 10).spare(3), text("ALIAS", 16), text("BY", 6), text("CAUSE", 16).spare(2)];
    let titles = ["DETECT", "FENCE", "OPEN", "RECOVER", "MARK", "ANSWER"];
    columns.extend(shown_parts(app).into_iter().map(|part| number(titles[part], 8)));
    columns.extend([number("BLACKOUT", 9), rest("FROM THE DEFECT ON")]);
    Table {
        title: "takeovers".into(),
        remark,
        columns,
        rows,
        empty: "Nothing was taken over yet: d injects a defect.".into(),
        ..Table::default()
    }
}

/// The parts that have columns of their own: the strip needs its room, and tells them all.
fn shown_parts(app: &App) -> Vec<usize> {
    match app.size.0 {
        160.. => (0..PARTS.len()).collect(),
        // The longest ones: detect, open, answer.
        110.. => vec![0, 2, 5],
        _ => Vec::new(),
    }
}

fn takeover_row(app: &App, takeover: &TakeoverView, cell_us: u64) -> Row {
    let world = app.world();
    let defect = world.cause_of(&takeover.alias, takeover.incarnation);
    let us = |us: Option<u64>| match us {
        Some(us) => plain(duration_us(us)).by(us),
        None => toned(Tone::Past, "-").by(0),
    };
    let blackout = match takeover.timing.blackout_us {
        Some(us) => plain(duration_us(us)).by(us),
        None if takeover.in_service => toned(Tone::Past, "-").by(0),
        None => toned(Tone::Warn, "lasts").by(u64::MAX),
    };
    let mut cells = vec![
        toned(Tone::Past, clock(takeover.at_unix_ms, world.zero_unix_ms)),
        plain(&takeover.alias),
        defect.map_or_else(|| plain("-"), |id| toned(Tone::Injected, id)),
        plain(&takeover.cause),
    ];
    let parts = parts_us(takeover);
    cells.extend(shown_parts(app).into_iter().map(|part| us(parts[part])));
    cells.extend([blackout, strip_cell(app, takeover, cell_us)]);
    let mut json = serde_json::json!({
        "alias": takeover.alias, "incarnation": takeover.incarnation, "defect": defect, "cause": takeover.cause,
        "from": takeover.from, "to": takeover.to, "at_unix_ms": takeover.at_unix_ms,
        "blackout_us": takeover.timing.blackout_us,
    });
    for ((_, name, _), us) in PARTS.into_iter().zip(parts_us(takeover)) {
        json[format!("{name}_us")] = us.into();
    }
    Row { key: format!("{}/{}", takeover.alias, takeover.incarnation), first: false, cells, json }
}

/// The parts one after the other, a cell for each stretch of the same length, with the letter of the part that lies in
/// its middle. A part that lies in no middle is not seen: the columns and `y` have it.
fn strip_cell(app: &App, takeover: &TakeoverView, cell_us: u64) -> Cell {
    let theme = &app.theme;
    let known = takeover.timing.detect_us.is_some();
    let mark =
        if known { (Tone::Injected, theme.pick("↯", "%")) } else { (Tone::Past, theme.pick("·", ".")) };
    let mut parts = vec![(mark.0, mark.1.to_owned())];
    let whole = whole_us(takeover);
    let cells = whole.div_ceil(cell_us).min(STRIP_MAX);
    for cell in 0..cells {
        let middle = (cell * cell_us + cell_us / 2).min(whole.saturating_sub(1));
        let mut end = 0;
        let found = PARTS.into_iter().zip(parts_us(takeover)).find(|(_, us)| {
            end += us.unwrap_or(0);
            middle < end
        });
        let Some(((letter, _, tone), _)) = found else { break };
        match parts.last_mut() {
            Some((last, text)) if *last == tone && text.ends_with(letter) => text.push(letter),
            _ => parts.push((tone, letter.to_string())),
        }
    }
    if takeover.answered {
        parts.push((Tone::Good, theme.pick("●", "*").to_owned()));
    } else if takeover.in_service {
        parts.push((Tone::Past, " nobody has asked since".to_owned()));
    }
    strip(parts)
}

pub(super) fn gauges(app: &App) -> Table {
    let world = app.world();
    let rows = world.processes.iter().map(|(name, process)| gauge_row(app, name, process)).collect();
    Table {
        title: "processes".into(),
        columns: vec![
            text("PROCESS", 20),
            number("PID", 8).spare(6),
            number("CPU", 5),
            number("RSS", 9),
            number("LINKS", 5).spare(5),
            number("QUEUE", 6),
            number("COMMITS", 9).spare(4),
            number("COMMIT P50", 10).spare(3),
            number("P99", 8),
            number("BEATS WITHIN", 12),
            number("DROPPED", 7).spare(2),
            rest(""),
        ],
        rows,
        empty: "No process was started yet.".into(),
        ..Table::default()
    }
}

fn gauge_row(app: &App, name: &str, process: &ProcessView) -> Row {
    let stats = &process.stats;
    let lives = process.life != Life::Dead;
    let measured = lives && stats.at_ns > 0;
    let (tone, glyph) = match process.life {
        Life::Up => (Tone::Good, app.theme.glyph(Tone::Good)),
        Life::Dead => (Tone::Bad, app.theme.glyph(Tone::Bad)),
        Life::Paused => (Tone::Injected, app.theme.glyph(Tone::Injected)),
        Life::Starting | Life::Hung => (Tone::Warn, app.theme.glyph(Tone::Warn)),
    };
    let shown = |cell: Cell| if measured { cell } else { toned(Tone::Past, "-").by(0) };
    let queue: u64 = stats.aliases.iter().map(|it| u64::from(it.executing + it.held + it.pending)).sum();
    let commits: u64 = stats.aliases.iter().map(|it| it.commits).sum();
    let p50 = stats.aliases.iter().map(|it| it.commit_us_p50).max().unwrap_or(0);
    let p99 = stats.aliases.iter().map(|it| it.commit_us_p99).max().unwrap_or(0);
    let us = |us: u64| if us > 0 { plain(duration_us(us)).by(us) } else { toned(Tone::Past, "-").by(0) };
    let gauges = &process.gauges;
    // Of the past only one measurement a second is kept, so the beats between are not known.
    let silence = gauges.silence_ms.filter(|_| app.past.is_none());
    let beats = match process.life {
        Life::Hung | Life::Paused => toned(tone, "silent"),
        _ => silence.map_or_else(|| toned(Tone::Past, "-").by(0), |ms| plain(format!("{ms} ms")).by(ms)),
    };
    let cpu =
        gauges.cpu_percent.map_or_else(|| toned(Tone::Past, "-").by(0), |it| plain(format!("{it}%")).by(it));
    Row {
        key: name.to_owned(),
        first: false,
        cells: vec![
            toned(tone, format!("{glyph} {name}")),
            plain(process.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
            shown(cpu),
            // Whole megabytes: what trembles below says nothing, and would repaint the screen of an idle cluster.
            shown(plain(format!("{} MB", stats.rss_bytes >> 20)).by(stats.rss_bytes)),
            shown(plain(stats.links.to_string())),
            shown(plain(queue.to_string())),
            shown(plain(commits.to_string())),
            shown(us(p50)),
            shown(us(p99)),
            shown(beats),
            shown(plain(stats.events_dropped.to_string())),
            plain(""),
        ],
        json: serde_json::json!({
            "process": name, "pid": process.pid, "cpu_percent": gauges.cpu_percent, "rss_bytes": stats.rss_bytes,
            "links": stats.links, "queue": queue, "commits": commits, "commit_us_p50": p50, "commit_us_p99": p99,
            "beats_within_ms": silence, "events_dropped": stats.events_dropped,
        }),
    }
}
