//! The filter of a table.

use palib_console::tui::Filter;

use super::split_line;

const COLUMNS: [&str; 3] = ["ALIAS", "STATE", "SINCE"];

/// The first line is the filter; words of the rest are the cells of a row.
pub(super) fn filter(data: &[u8]) -> bool {
    let (typed, cells) = split_line(data);
    let (typed, cells) = (String::from_utf8_lossy(typed), String::from_utf8_lossy(cells));
    let passes = |typed: &str| {
        let row = || COLUMNS.into_iter().zip(cells.split(' '));
        Filter::parse(typed, &COLUMNS).map(|filter| filter.map(|filter| filter.passes(row())))
    };
    match passes(&typed) {
        Ok(Some(passed)) => {
            if !typed.starts_with('!') {
                assert_eq!(passes(&format!("!{typed}")), Ok(Some(!passed)), "its inverse is none");
            }
            true
        }
        Ok(None) => false,
        Err(reason) => {
            assert!(!reason.is_empty(), "refused without a word");
            false
        }
    }
}
