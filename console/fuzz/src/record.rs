//! Records of stable areas whose checksum is right, whatever is in them.

use palib::stable::redb::reread_record;

const TABLES: [&str; 8] = ["meta", "redundancy", "blocked", "marks", "outbox", "relay", "app", "blocks"];

/// The first byte is the table, the second the length of the key; the key follows, and then the content.
pub(super) fn record(data: &[u8]) -> bool {
    let [table, key_bytes, rest @ ..] = data else { return false };
    let (key, content) = rest.split_at(usize::from(*key_bytes).min(rest.len()));
    let table = TABLES[usize::from(*table) % TABLES.len()];
    match reread_record(table, key, content) {
        // There is one way only to write a record.
        Ok((key_again, again)) => {
            assert_eq!((&key_again[..], &again[..]), (key, content), "{table}");
            true
        }
        Err(reason) => {
            assert!(!reason.is_empty(), "refused without a word");
            false
        }
    }
}
