//! Reading a record and writing it again: for those who try to break the reader.

use super::{
    Damage, HEAD_BYTES, Table, call_key, content, decode_blocked, decode_journaled, decode_mark,
    decode_pending, decode_row, encode_blocked, encode_journaled, encode_mark, encode_pending, encode_row,
    frame, journal_key, parse_slot_key, parse_source_key, slot_key, source_key,
};

/// Reads a record of a table, whose checksum is made right, and gives key and content as they are written again.
///
/// # Errors
/// What is wrong with it.
pub fn reread_record(table: &str, key: &[u8], inside: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Damage> {
    let table = Table::of_name(table).ok_or_else(|| format!("no table {table}"))?;
    let record = frame(table, key, inside);
    let (key, record) = match table {
        Table::Redundancy => {
            let written = decode_row(key, &record)?;
            let key = slot_key(parse_slot_key(key)?);
            let record = encode_row(&key, &written.row, written.unix_ms);
            (key.to_vec(), record)
        }
        Table::Blocked => {
            let trans = decode_blocked(key, &record)?;
            let key = slot_key(parse_slot_key(key)?);
            (key.to_vec(), encode_blocked(&key, trans))
        }
        Table::Marks => {
            let mark = decode_mark(key, &record)?;
            let key = source_key(parse_source_key(key)?);
            (key.to_vec(), encode_mark(&key, mark))
        }
        Table::Outbox => {
            let call = decode_pending(key, &record)?;
            let key = call_key(call.id);
            (key.to_vec(), encode_pending(&key, &call))
        }
        Table::Relay => {
            let row = decode_journaled(key, &record)?;
            let key = journal_key(row.served, &row.position);
            let record = encode_journaled(&key, &row);
            (key, record)
        }
        Table::Meta | Table::App => (key.to_vec(), frame(table, key, content(table, key, &record)?)),
    };
    Ok((key, record[HEAD_BYTES..].to_vec()))
}
