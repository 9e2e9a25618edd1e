//! Reading a record and writing it again: for those who try to break the reader.

use super::block::{DIRECTORY_BYTES, PACKED_BYTES_MAX};
use super::{
    Block, BlockChange, Damage, HEAD_BYTES, Place, Table, call_key, content, decode_blocked,
    decode_journaled, decode_mark, decode_pending, decode_row, encode_blocked, encode_journaled, encode_mark,
    encode_pending, frame, journal_key, parse_slot_key, parse_source_key, put_row, rewrite_block, slot_key,
    source_key,
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
            let mut record = Vec::new();
            put_row(&mut record, &key, &written.row, written.unix_ms);
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
        Table::Blocks => return reread_block(key, inside),
        Table::Meta | Table::App => (key.to_vec(), frame(table, key, content(table, key, &record)?)),
    };
    Ok((key, record[HEAD_BYTES..].to_vec()))
}

/// The same for a block of rows: the checksum is that of its directory.
fn reread_block(key: &[u8], inside: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Damage> {
    let (directory, rows) = inside.split_at_checked(DIRECTORY_BYTES).ok_or("too short for a block")?;
    let record = [frame(Table::Blocks, key, directory), rows.to_vec()].concat();
    let first = parse_slot_key(key)?;
    let key = slot_key(first);
    // Written again row by row, with those that lie alone as they are: long.
    let long = [0; PACKED_BYTES_MAX + 1];
    let block = Block::parse(&key, &record)?;
    let rows = block.places().map(|(key, place)| match place {
        Place::Packed(row) => (key, Some(row)),
        _ => (key, Some(&long[..])),
    });
    match rewrite_block(first, None, &rows.collect::<Vec<_>>())?.block {
        BlockChange::Put(record) => Ok((key.to_vec(), record[HEAD_BYTES..].to_vec())),
        BlockChange::Stays | BlockChange::Goes => Err("a block without a row".to_owned()),
    }
}
