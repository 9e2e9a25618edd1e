//! Showing what lies in an area to a person.

mod words;

use std::fmt::Write as _;
use std::ops::Bound;

use bytes::Bytes;

use self::words::{id_text, key_words, state_words, value_words};
use super::file::row_count;
use super::record::{self, Table, Written};
use super::snapshot::{FoundRecord, Snapshot};
use crate::control::{AreaTable, BrowseRow, Page, TableRow};
use crate::limits::PAGE_ROWS_MAX;
use crate::stable::{AreaError, Names};

/// So many rows are looked at for one page; if few of them match the filter, the page is short and has a next one.
const ROWS_LOOKED_AT_MAX: usize = 50_000;
/// So much of a value is shown in hexadecimal digits.
const HEX_BYTES_MAX: usize = 4096;

pub(super) fn tables(snapshot: &Snapshot) -> Result<Vec<AreaTable>, AreaError> {
    let count = |table: Table| {
        let rows = if table == Table::Redundancy { row_count(snapshot)? } else { snapshot.count(table)? };
        Ok(AreaTable { name: table.name().to_owned(), rows })
    };
    Table::ALL.into_iter().map(count).collect()
}

pub(super) fn rows(
    snapshot: &Snapshot,
    names: &dyn Names,
    filter: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<TableRow>, AreaError> {
    page(snapshot, Table::Redundancy, after, limit, |key, found| {
        let written = found
            .and_then(|record| record::decode_row(key, record))
            .map_err(|damage| snapshot.damaged(Table::Redundancy, key, damage))?;
        let id = id_text(names, written.row.id);
        Ok(id.contains(filter).then(|| table_row(id, &written)))
    })
}

pub(super) fn browse(
    snapshot: &Snapshot,
    names: &dyn Names,
    table: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<BrowseRow>, AreaError> {
    let table = Table::of_name(table).ok_or_else(|| {
        let known: Vec<&str> = Table::ALL.into_iter().map(Table::name).collect();
        AreaError::BadQuestion(format!("a stable area has no table `{table}`; it has {}", known.join(", ")))
    })?;
    page(snapshot, table, after, limit, |key, found| Ok(Some(browse_row(table, names, key, found))))
}

/// Walks a table from behind the cursor `after` and collects what `pick` makes of its records.
fn page<T>(
    snapshot: &Snapshot,
    table: Table,
    after: Option<&str>,
    limit: usize,
    mut pick: impl FnMut(&[u8], FoundRecord<'_>) -> Result<Option<T>, AreaError>,
) -> Result<Page<T>, AreaError> {
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    let after = after.map(unhex).transpose()?;
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut page = Page { rows: Vec::new(), next: None };
    let mut looked_at = 0;
    let mut last = String::new();
    snapshot.walk_whole(table, from, |key, found| {
        if page.rows.len() == limit || looked_at == ROWS_LOOKED_AT_MAX {
            // There is at least this one more.
            page.next = Some(std::mem::take(&mut last));
            return Ok(false);
        }
        page.rows.extend(pick(key, found)?);
        looked_at += 1;
        if page.rows.len() == limit || looked_at == ROWS_LOOKED_AT_MAX {
            last = hex(key);
        }
        Ok(true)
    })?;
    Ok(page)
}

fn table_row(id: String, written: &Written) -> TableRow {
    let words = state_words(&written.row.state);
    let (text, hex) = words.body.map_or((None, None), text_or_hex);
    TableRow {
        id,
        state: words.state.to_owned(),
        process_type: words.process_type,
        hits: 0,
        written_unix_ms: written.unix_ms,
        text,
        hex,
        failed: words.failed,
        digest: format!("{:032x}", written.row.digest),
    }
}

fn browse_row(table: Table, names: &dyn Names, key: &[u8], found: FoundRecord<'_>) -> BrowseRow {
    let value = found.as_ref().map_or(&[][..], |record| record);
    let (words, damage) = match found.and_then(|record| value_words(table, names, key, record)) {
        Ok(words) => (words, None),
        Err(damage) => (String::new(), Some(damage)),
    };
    BrowseRow {
        key: key_words(table, names, key).unwrap_or_else(|_| hex(key)),
        key_hex: hex(key),
        value: words,
        value_hex: hex(&value[..value.len().min(HEX_BYTES_MAX)]),
        value_bytes: value.len() as u64,
        damage,
    }
}

fn text_or_hex(body: &Bytes) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(hex(body))),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn unhex(text: &str) -> Result<Vec<u8>, AreaError> {
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    digits.collect::<Option<Vec<u8>>>().ok_or_else(|| {
        AreaError::BadQuestion(format!(
            "`{text}` is no place in a stable area; take `next` of the page before"
        ))
    })
}
