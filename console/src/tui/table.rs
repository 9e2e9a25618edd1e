//! Tables as data: what a pane shows, how it is sorted and filtered, and which row is chosen.

use std::cmp::Ordering;

use crate::world::Tone;

use super::filter::Filter;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its title, in capitals.
    pub title: &'static str,
    /// The widest it may become; 0 for the one that takes what is left.
    pub max: u16,
    /// Numbers are set flush right.
    pub right: bool,
    /// What goes first when the terminal is narrow; columns with 0 stay.
    pub spare: u8,
}

/// A column of text, at most so wide.
pub(crate) const fn text(title: &'static str, max: u16) -> Column {
    Column { title, max, right: false, spare: 0 }
}

/// A column of numbers, at most so wide.
pub(crate) const fn number(title: &'static str, max: u16) -> Column {
    Column { title, max, right: true, spare: 0 }
}

/// The column that takes the width that is left.
pub(crate) const fn rest(title: &'static str) -> Column {
    Column { title, max: 0, right: false, spare: 0 }
}

impl Column {
    /// Leaves the table when it is narrow; the highest number goes first.
    pub(crate) const fn spare(self, spare: u8) -> Column {
        Column { spare, ..self }
    }
}

/// What stands in a row under a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The text.
    pub text: String,
    /// What it means.
    pub tone: Tone,
    /// The parts of the text that mean something each, if it has such; together they are the text.
    pub parts: Vec<(Tone, String)>,
    /// What it is sorted by, where its text would be sorted wrongly (a duration with its units).
    pub order: Option<u64>,
}

/// A cell without a meaning of its own.
pub(crate) fn plain(text: impl Into<String>) -> Cell {
    toned(Tone::Plain, text)
}

/// A cell that means something.
pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Cell {
    Cell { text: text.into(), tone, parts: Vec::new(), order: None }
}

/// A cell whose parts mean something each.
pub(crate) fn strip(parts: Vec<(Tone, String)>) -> Cell {
    let text = parts.iter().map(|(_, text)| text.as_str()).collect();
    Cell { text, tone: Tone::Plain, parts, order: None }
}

impl Cell {
    /// Is sorted by this number instead of by its text.
    pub(crate) fn by(self, order: u64) -> Cell {
        Cell { order: Some(order), ..self }
    }

    fn compare(&self, other: &Cell) -> Ordering {
        match (self.order, other.order) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => natural(&self.text, &other.text),
        }
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// What identifies it while rows come and go: the selection stays with it.
    pub key: String,
    /// Whether it comes first however the table is sorted (a call in doubt).
    pub first: bool,
    /// Its cells, one for each column.
    pub cells: Vec<Cell>,
    /// The whole of it, to copy and to export.
    pub json: serde_json::Value,
}

/// What a pane shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// What it is, in the line above it.
    pub title: String,
    /// More about it, after the title.
    pub remark: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows that passed the filter, sorted.
    pub rows: Vec<Row>,
    /// How many rows there are without the filter.
    pub all: usize,
    /// What stands there when there is no row: why, and what to do.
    pub empty: String,
}

/// How the operator looks at a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Look {
    /// The key of the chosen row, and where it was when it was chosen, should it vanish.
    pub chosen: Option<(String, usize)>,
    /// The first row in view, as of the last frame.
    pub offset: usize,
    /// The column the cell cursor is in.
    pub column: usize,
    /// The column it is sorted by, and whether downwards; none keeps the order the rows come in.
    pub sort: Option<(usize, bool)>,
    /// The filter as typed.
    pub filter: String,
}

impl Table {
    /// Applies a look: the filter, then the order.
    pub(crate) fn arrange(&mut self, look: &Look) {
        self.all = self.rows.len();
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        if let Ok(Some(filter)) = Filter::parse(&look.filter, &titles) {
            self.rows.retain(|row| {
                filter.passes(titles.iter().copied().zip(row.cells.iter().map(|cell| cell.text.as_str())))
            });
        }
        if let Some((column, down)) = look.sort.filter(|(column, _)| *column < self.columns.len()) {
            self.rows.sort_by(|a, b| {
                let order = a.cells[column].compare(&b.cells[column]);
                b.first.cmp(&a.first).then(if down { order.reverse() } else { order })
            });
        }
    }

    /// The row that is chosen under a look: the one with the chosen key, else the one in its place.
    #[must_use]
    pub(crate) fn chosen(&self, look: &Look) -> Option<usize> {
        let last = self.rows.len().checked_sub(1)?;
        let Some((key, place)) = &look.chosen else { return Some(0) };
        self.rows.iter().position(|row| row.key == *key).or(Some((*place).min(last)))
    }

    /// The chosen row.
    #[must_use]
    pub(crate) fn chosen_row(&self, look: &Look) -> Option<&Row> {
        self.rows.get(self.chosen(look)?)
    }
}

impl Look {
    /// Chooses the row in this place of the table.
    pub(crate) fn choose(&mut self, table: &Table, place: usize) {
        let place = place.min(table.rows.len().saturating_sub(1));
        self.chosen = table.rows.get(place).map(|row| (row.key.clone(), place));
    }

    /// The next order: each column upwards, then downwards, then as the rows come.
    pub(crate) fn next_sort(&mut self, columns: usize) {
        self.sort = match self.sort {
            None => Some((0, false)),
            Some((column, false)) => Some((column, true)),
            Some((column, true)) if column + 1 < columns => Some((column + 1, false)),
            Some(_) => None,
        };
    }

    /// Sorts by this column, or turns the order if it is sorted by it already.
    pub(crate) fn sort_by(&mut self, column: usize) {
        let down = matches!(self.sort, Some((sorted, false)) if sorted == column);
        self.sort = Some((column, down));
    }
}

/// Compares as people do: runs of digits count as numbers, letters without regard to case.
#[must_use]
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (Some(a_first), Some(b_first)) = (a_rest.chars().next(), b_rest.chars().next()) else {
            return a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b));
        };
        let order = if a_first.is_ascii_digit() && b_first.is_ascii_digit() {
            let (a_digits, a_tail) = digits(a_rest);
            let (b_digits, b_tail) = digits(b_rest);
            (a_rest, b_rest) = (a_tail, b_tail);
            a_digits.len().cmp(&b_digits.len()).then(a_digits.cmp(b_digits))
        } else {
            a_rest = &a_rest[a_first.len_utf8()..];
            b_rest = &b_rest[b_first.len_utf8()..];
            a_first.to_lowercase().cmp(b_first.to_lowercase())
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The leading run of digits without leading zeros, and what follows it.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &str)]) -> Table {
        let row = |(key, text): &(&str, &str)| Row {
            key: (*key).into(),
            first: key.starts_with('!'),
            cells: vec![plain(*key), plain(*text)],
            json: serde_json::Value::Null,
        };
        Table {
            columns: vec![text("KEY", 10), rest("TEXT")],
            rows: rows.iter().map(row).collect(),
            ..Table::default()
        }
    }

    #[test]
    fn numbers_in_text_sort_as_numbers() {
        let mut words = ["caller/i2/9", "caller/i10/1", "caller/i2/10", "Caller/i1/5", "", "9", "10", "010"];
        words.sort_by(|a, b| natural(a, b));
        let expected = ["", "9", "010", "10", "Caller/i1/5", "caller/i2/9", "caller/i2/10", "caller/i10/1"];
        assert_eq!(words, expected);
    }

    #[test]
    fn the_selection_stays_with_its_row_and_then_with_its_place() {
        let mut look = Look::default();
        let rows = table(&[("a", "1"), ("b", "2"), ("c", "3")]);
        look.choose(&rows, 1);
        assert_eq!(table(&[("x", "0"), ("a", "1"), ("b", "2")]).chosen(&look), Some(2));
        assert_eq!(table(&[("a", "1"), ("c", "3")]).chosen(&look), Some(1));
        assert_eq!(table(&[("a", "1")]).chosen(&look), Some(0));
        assert_eq!(table(&[]).chosen(&look), None);
    }

    #[test]
    fn rows_that_must_come_first_do_in_every_order() {
        let mut look = Look { sort: Some((1, true)), ..Look::default() };
        let mut rows = table(&[("a", "1"), ("!b", "2"), ("c", "3")]);
        rows.arrange(&look);
        let keys: Vec<_> = rows.rows.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["!b", "c", "a"]);
        look.filter = "text:[12]".into();
        rows.arrange(&look);
        assert_eq!((rows.rows.len(), rows.all), (2, 3));
    }

    #[test]
    fn sorting_goes_round_all_columns_and_back_to_the_given_order() {
        let mut look = Look::default();
        let mut seen = Vec::new();
        for _ in 0..5 {
            look.next_sort(2);
            seen.push(look.sort);
        }
        assert_eq!(seen, [Some((0, false)), Some((0, true)), Some((1, false)), Some((1, true)), None]);
    }
}
