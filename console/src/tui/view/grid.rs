//! Lines that meet: each place knows in which directions lines leave it, and takes the fitting character.

use std::collections::BTreeMap;

use ratatui::style::Style;

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// A drawing of lines.
#[derive(Debug, Default)]
pub(super) struct Grid {
    /// By `(y, x)`: directions, whether heavy, style.
    places: BTreeMap<(u16, u16), (u8, bool, Style)>,
}

impl Grid {
    /// A line from left to right, both ends included.
    pub(super) fn across(&mut self, y: u16, from: u16, to: u16, heavy: bool, style: Style) {
        for x in from..=to {
            let mut directions = 0;
            if x > from {
                directions |= LEFT;
            }
            if x < to {
                directions |= RIGHT;
            }
            self.add(x, y, directions, heavy, style);
        }
    }

    /// A line up or down, both ends included.
    pub(super) fn along(&mut self, x: u16, from: u16, to: u16, heavy: bool, style: Style) {
        let (top, bottom) = (from.min(to), from.max(to));
        for y in top..=bottom {
            let mut directions = 0;
            if y > top {
                directions |= UP;
            }
            if y < bottom {
                directions |= DOWN;
            }
            self.add(x, y, directions, heavy, style);
        }
    }

    fn add(&mut self, x: u16, y: u16, directions: u8, heavy: bool, style: Style) {
        let place = self.places.entry((y, x)).or_insert((0, heavy, style));
        place.0 |= directions;
        if heavy && !place.1 {
            (place.1, place.2) = (true, style);
        }
    }

    /// The characters, as `(x, y, character, style)`.
    pub(super) fn characters(&self, ascii: bool) -> impl Iterator<Item = (u16, u16, char, Style)> {
        self.places.iter().map(move |((y, x), (directions, heavy, style))| {
            (*x, *y, character(*directions, *heavy, ascii), *style)
        })
    }
}

fn character(directions: u8, heavy: bool, ascii: bool) -> char {
    const LIGHT: [char; 16] =
        [' ', '│', '│', '│', '─', '┘', '┐', '┤', '─', '└', '┌', '├', '─', '┴', '┬', '┼'];
    const HEAVY: [char; 16] =
        [' ', '┃', '┃', '┃', '━', '┛', '┓', '┫', '━', '┗', '┏', '┣', '━', '┻', '┳', '╋'];
    let vertical = directions & (UP | DOWN) != 0;
    let horizontal = directions & (LEFT | RIGHT) != 0;
    match (ascii, heavy) {
        (true, _) if vertical && horizontal => '+',
        (true, _) if vertical => '|',
        (true, true) => '=',
        (true, false) => '-',
        (false, true) => HEAVY[usize::from(directions & 15)],
        (false, false) => LIGHT[usize::from(directions & 15)],
    }
}
