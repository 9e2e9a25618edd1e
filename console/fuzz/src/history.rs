//! Histories, as callers leave them when they are killed, or as somebody else wrote them.

use palib_console::history;

/// Each line that was read is the same after it was written and read once more.
pub(super) fn history(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let read = match history::parse("fuzzed", text) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a word");
            return false;
        }
    };
    assert!(read.lines.len() + read.torn <= text.lines().count());
    let mut again = String::new();
    for (index, (place, line)) in read.lines.iter().enumerate() {
        assert!(place.line >= 1 && place.line <= text.lines().count(), "{place:?}");
        assert!(read.place(index).starts_with("fuzzed:"));
        again.push_str(&serde_json::to_string(line).expect("what was read can be written"));
        again.push('\n');
    }
    let again = history::parse("again", &again).expect("what was written can be read");
    assert_eq!(again.torn, 0);
    assert_eq!(again.lines.len(), read.lines.len());
    for ((_, first), (_, second)) in read.lines.iter().zip(&again.lines) {
        assert_eq!(first, second);
    }
    !read.lines.is_empty()
}
