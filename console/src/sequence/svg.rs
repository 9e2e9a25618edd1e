//! Charts as pictures.

use maud::{Markup, PreEscaped, html};

use super::{Arrow, Carries, Chart, Gap, Lane, Shape, Shows, Sign, Stand, Step};
use crate::world::{Tone, duration_us};

/// What the picture looks like, light and dark. A page that holds several needs it once.
pub const STYLE: &str = include_str!("chart.css");

const LEFT: usize = 96;
const LANE: usize = 168;
const TOP: usize = 58;
const ROW: usize = 26;
/// Marks of the last lane have their words to the right of it.
const RIGHT: usize = 190;

/// A chart as an SVG file.
#[must_use]
pub fn svg(chart: &Chart) -> String {
    html! { (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")) (drawing(chart, Some(STYLE))) }
        .into_string()
}

/// A chart as an SVG picture within a page that has [`STYLE`].
#[must_use]
pub fn inline(chart: &Chart) -> Markup {
    drawing(chart, None)
}

fn drawing(chart: &Chart, style: Option<&str>) -> Markup {
    let width = LEFT + chart.lanes.len().saturating_sub(1) * LANE + RIGHT;
    let height = TOP + chart.lines.len() * ROW + 12;
    html! {
        svg class="chart" xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox=(format!("0 0 {width} {height}")) role="img" {
            @if let Some(style) = style {
                style { (PreEscaped(style)) }
                rect class="paper" width="100%" height="100%" {}
            }
            @for (number, lane) in chart.lanes.iter().enumerate() {
                (head(number, lane))
                (lifeline(chart, number))
            }
            @for (number, line) in chart.lines.iter().enumerate() {
                @match &line.shows {
                    Shows::Step(step) => (drawn(chart, number, step)),
                    Shows::Gap(gap) => (folded(width, number, gap)),
                }
            }
        }
    }
}

fn x(lane: usize) -> usize {
    LEFT + lane * LANE
}

/// The middle of a line.
fn y(line: usize) -> usize {
    TOP + line * ROW + ROW / 2
}

fn head(number: usize, lane: &Lane) -> Markup {
    html! {
        text class="alias" x=(x(number)) y="18" { (lane.alias) }
        text class="lane" x=(x(number)) y="38" { (lane.process) }
    }
}

/// The line of a process, in stretches of one kind.
fn lifeline(chart: &Chart, lane: usize) -> Markup {
    let mut stretches: Vec<(Stand, usize, usize)> = Vec::new();
    for (number, line) in chart.lines.iter().enumerate() {
        let stand = line.stands[lane];
        match stretches.last_mut() {
            Some((of, _, until)) if *of == stand => *until = number + 1,
            _ => stretches.push((stand, number, number + 1)),
        }
    }
    html! {
        @for (stand, from, until) in stretches {
            // A change of state happens in the middle of its line.
            @let top = if from == 0 { TOP - 8 } else { y(from) };
            @let bottom = if until == chart.lines.len() { TOP + until * ROW } else { y(until) };
            line class=(stand_class(stand)) x1=(x(lane)) x2=(x(lane)) y1=(top) y2=(bottom) {}
        }
    }
}

fn drawn(chart: &Chart, number: usize, step: &Step) -> Markup {
    html! {
        g class=(tone_class(step.tone)) {
            title { (chart.clock(step.at_ns)) " " (step.text) }
            text class="time" x="8" y=(y(number) + 4) { (chart.clock(step.at_ns)) }
            @match &step.shape {
                Shape::Arrow(arrow) => (message(number, arrow, &step.label)),
                Shape::Mark { lane, sign } => (mark(number, *lane, *sign, &step.label)),
                Shape::Across => text class="label across" x=(x(0)) y=(y(number) + 4) { (step.label) },
            }
        }
    }
}

/// An arrow with its head; one that nobody saw arrive ends in a cross.
fn message(number: usize, arrow: &Arrow, label: &str) -> Markup {
    let (from, to, y) = (x(arrow.from), x(arrow.to), y(number) + 4);
    let forward = to >= from;
    let dashed = matches!(arrow.carries, Carries::Answer);
    let tip = if forward { to - 2 } else { to + 2 };
    let back = if forward { tip - 9 } else { tip + 9 };
    html! {
        @if from == to {
            path class="message" d=(format!("M{from} {} h30 v8 h-28", y - 6)) {}
        } @else {
            line class=(if dashed { "message answer" } else { "message" }) x1=(from) x2=(tip) y1=(y) y2=(y) {}
        }
        @if !arrow.lost {
            polygon points=(format!("{tip},{y} {back},{} {back},{}", y - 4, y + 4)) {}
        } @else {
            path class="message lost" d=(format!("M{back} {} l8 8 m0 -8 l-8 8", y - 4)) {}
        }
        text class="label" text-anchor="middle" x=(usize::midpoint(from, to)) y=(y - 5) { (label) }
    }
}

fn mark(number: usize, lane: usize, sign: Sign, label: &str) -> Markup {
    let (x, y) = (x(lane), y(number));
    html! {
        @match sign {
            Sign::Stable => rect class="sign" x=(x - 6) y=(y - 6) width="12" height="12" {},
            Sign::Death => path class="cross" d=(format!("M{} {} l14 14 m0 -14 l-14 14", x - 7, y - 7)) {},
            Sign::Injected => path class="flash" d=(format!("M{} {} l-7 9 h6 l-5 8", x + 4, y - 9)) {},
            Sign::Note => circle class="sign note" cx=(x) cy=(y) r="3.5" {},
            _ => circle class="sign" cx=(x) cy=(y) r="6" {},
        }
        text class="label" x=(x + 13) y=(y + 4) { (label) }
    }
}

fn folded(width: usize, number: usize, gap: &Gap) -> Markup {
    let y = y(number);
    let (class, words) = match &gap.blackout {
        Some(alias) => ("gap dark", format!("{}, nobody serves {alias}", duration_us(gap.us))),
        None => ("gap", duration_us(gap.us)),
    };
    html! {
        g class=(class) {
            rect x="0" width=(width) y=(y - 9) height="18" {}
            text x="8" y=(y + 4) { "⋮ " (words) }
        }
    }
}

fn stand_class(stand: Stand) -> &'static str {
    match stand {
        Stand::Serves => "life serves",
        Stand::Waits => "life waits",
        Stand::Hangs => "life hangs",
        Stand::Gone => "life gone",
    }
}

/// The class of a meaning.
#[must_use]
pub fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Standby => "standby",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
        Tone::Injected => "injected",
        Tone::Past => "past",
        Tone::Plain => "plain",
    }
}
