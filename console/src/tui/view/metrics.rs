//! The screen of measurements: blackouts as strips, calls a second, how long calls took, and each process.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Piece, section, table, width};
use super::screens::stack;
use crate::tui::app::{App, Pane, Shown};
use crate::tui::metrics::PARTS;
use crate::units::count;
use crate::world::{Latencies, Second, Tone, duration_us};

/// Room for the numbers to the left of a line of bars.
const LEFT: u16 = 10;
/// Room to the left of a histogram: whose, and how many.
const NAME: usize = 13;

/// Paints the screen.
pub(super) fn metrics(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let world = app.world();
    let processes = world.processes.len() as u16 + 2;
    let roomy = area.height >= 28;
    // A heading, the bars, the line of defects; a heading and two histograms.
    let (load, times) = if roomy { (6, 4) } else { (3, 3) };
    let gauges = processes.min(area.height.saturating_sub(load + times + 5)).max(4);
    let takeovers = area.height.saturating_sub(load + times + gauges);
    let [top, middle, lower, bottom] = stack(area, [takeovers, load, times, 0]);
    // The letters are told once, where there is a line for it.
    let told = u16::from(takeovers > 8 && !world.takeovers.is_empty());
    let [strips, legend] = stack(top, [takeovers - told, 0]);
    table(app, buffer, strips, Pane::Takeovers, shown);
    letters(app, buffer, legend);
    calls(app, buffer, middle);
    latency(app, buffer, lower);
    table(app, buffer, bottom, Pane::Gauges, shown);
}

/// What the letters of the strips mean.
fn letters(app: &App, buffer: &mut Buffer, area: Rect) {
    let mut pieces: Vec<Piece> = vec![("   ".to_owned(), Style::default())];
    for (letter, name, tone) in PARTS {
        pieces.push((format!("{letter} "), app.theme.style(tone)));
        pieces.push((format!("{name}  "), app.theme.dim()));
    }
    let (defect, answer) = (app.theme.pick("↯", "%"), app.theme.pick("●", "*"));
    pieces.push((format!("{defect} "), app.theme.style(Tone::Injected)));
    pieces.push(("the defect  ".to_owned(), app.theme.dim()));
    pieces.push((format!("{answer} "), app.theme.style(Tone::Good)));
    pieces.push(("first answer".to_owned(), app.theme.dim()));
    paint::line(app, buffer, area, 0, &pieces);
}

/// Calls answered in each second, with the defects below them.
fn calls(app: &App, buffer: &mut Buffer, area: Rect) {
    if area.height < 2 {
        return;
    }
    let room = usize::from(area.width.saturating_sub(LEFT + 2));
    let seconds: Vec<Second> = app.world().answered().collect();
    let cells = columns(&seconds, room);
    let most = cells.iter().filter_map(|cell| *cell).map(|it| it.calls).max().unwrap_or(0);
    let last = seconds.last().map_or(String::new(), |it| format!("last {}", count(it.calls)));
    let inner = section(app, buffer, area, "calls answered a second", &last, false);
    if most == 0 {
        return paint::at(app, buffer, inner, 3, 0, "No call was answered yet.", app.theme.dim());
    }
    let high = inner.height.saturating_sub(1).max(1);
    paint::at(app, buffer, inner, 1, 0, &format!("{:>8}", count(most)), app.theme.dim());
    let levels = u64::from(high) * 8;
    for (x, cell) in cells.iter().enumerate() {
        let x = LEFT + x as u16;
        let Some(second) = cell else {
            paint::at(app, buffer, inner, x, high - 1, app.theme.pick("┊", ":"), app.theme.dim());
            continue;
        };
        let level = (second.calls * levels).div_ceil(most);
        for line in 0..high {
            let below = u64::from(high - 1 - line) * 8;
            let glyph = bar(app, level.saturating_sub(below).min(8));
            paint::at(app, buffer, inner, x, line, glyph, app.theme.style(Tone::Standby));
        }
    }
    marks(app, buffer, inner, &cells, high);
}

/// The newest seconds that fit, oldest first; none is a gap in which no call was answered.
fn columns(seconds: &[Second], room: usize) -> Vec<Option<Second>> {
    let mut cells = Vec::new();
    let mut next: Option<u64> = None;
    for second in seconds.iter().rev() {
        if next.is_some_and(|next| second.second + 1 < next) {
            cells.push(None);
        }
        cells.push(Some(*second));
        next = Some(second.second);
        if cells.len() >= room {
            break;
        }
    }
    cells.truncate(room);
    cells.reverse();
    cells
}

/// The defects below the seconds in which they were injected.
fn marks(app: &App, buffer: &mut Buffer, inner: Rect, cells: &[Option<Second>], line: u16) {
    for defect in &app.world().defects {
        let Some(second) = defect.deeds.since_ns().map(|ns| ns / 1_000_000_000) else { continue };
        // A defect that stops all calls falls into a gap: it stands where that begins.
        let at = cells.iter().rposition(|cell| cell.is_some_and(|it| it.second <= second));
        let Some(at) = at.filter(|_| cells.first().copied().flatten().is_none_or(|it| it.second <= second))
        else {
            continue;
        };
        let mark = app.theme.pick("↯", "%");
        paint::at(app, buffer, inner, LEFT + at as u16, line, mark, app.theme.style(Tone::Injected));
    }
}

/// A bar of so many eighths.
fn bar(app: &App, eighths: u64) -> &'static str {
    const UNICODE: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    const ASCII: [&str; 9] = [" ", ".", ".", ":", ":", "|", "|", "#", "#"];
    app.theme.pick(UNICODE[eighths as usize], ASCII[eighths as usize])
}

/// How long calls took, apart for the times in which a defect had an effect.
fn latency(app: &App, buffer: &mut Buffer, area: Rect) {
    if area.height < 2 {
        return;
    }
    let (calm, stirred) = app.world().latencies();
    let all: Vec<u64> = calm.buckets().chain(stirred.buckets()).map(|(bound, _)| bound).collect();
    let range = all.iter().min().zip(all.iter().max());
    let remark = range.map_or(String::new(), |(least, most)| {
        format!("as callers see them, from {} to {}", duration_us(*least), duration_us(*most))
    });
    let inner = section(app, buffer, area, "how long calls took", &remark, false);
    let Some((least, most)) = range else {
        return paint::at(app, buffer, inner, 3, 0, "No caller has told of any yet.", app.theme.dim());
    };
    let rows = [("in peace", calm, Tone::Good), ("with a defect", stirred, Tone::Injected)];
    for (line, (name, times, tone)) in rows.into_iter().enumerate() {
        let numbers = numbers(times, inner.width);
        let pieces = [
            (format!("   {name:<NAME$}  "), app.theme.style(tone)),
            (format!("{numbers}  "), Style::default()),
        ];
        let used: u16 = pieces.iter().map(|(text, _)| width(text)).sum();
        paint::line(app, buffer, inner, line as u16, &pieces);
        let room = usize::from(inner.width.saturating_sub(used + 2)).min(100);
        histogram(app, buffer, inner, (used, line as u16, room), times, (*least, *most), tone);
    }
}

fn numbers(times: &Latencies, room: u16) -> String {
    let below = |share| times.below_us(share).map_or_else(|| "-".to_owned(), duration_us);
    // The bars say more than a word that the heading has.
    let word = if room >= 100 { " calls" } else { "" };
    let (calls, p50, p99, max) = (count(times.calls()), below(0.5), below(0.99), below(1.0));
    format!("{calls:>8}{word}  p50 {p50:>6}  p99 {p99:>6}  max {max:>6}")
}

/// A bar for each stretch of the times, each stretch as much longer than the one before it as all of them.
fn histogram(
    app: &App,
    buffer: &mut Buffer,
    inner: Rect,
    (x, y, room): (u16, u16, usize),
    times: &Latencies,
    (least, most): (u64, u64),
    tone: Tone,
) {
    if room < 8 {
        return;
    }
    let span = (most as f64 / least as f64).ln().max(f64::EPSILON);
    let cells = room.min(times_buckets(least, most));
    let mut counts = vec![0u64; cells];
    for (bound, calls) in times.buckets() {
        let along = (bound as f64 / least as f64).ln() / span;
        counts[((along * (cells - 1) as f64).round() as usize).min(cells - 1)] += calls;
    }
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    for (cell, calls) in counts.into_iter().enumerate() {
        // Few calls among many are what one looks for: any at all shows.
        let eighths = (calls * 8).div_ceil(highest);
        paint::at(app, buffer, inner, x + cell as u16, y, bar(app, eighths), app.theme.style(tone));
    }
}

/// How many buckets lie between two bounds: there are four to a doubling.
fn times_buckets(least: u64, most: u64) -> usize {
    ((most as f64 / least as f64).log2() * 4.0).round() as usize + 1
}
