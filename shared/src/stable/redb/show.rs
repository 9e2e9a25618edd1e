//! Showing what lies in an area to a person.

use std::fmt::Write as _;
use std::ops::Bound;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, RowState};
use palib_core::relay::{Course, Journaled, Policy};
use palib_core::resend::Pending;

use super::record::{self, Damage, Table, Written};
use super::snapshot::Snapshot;
use crate::control::{self, AreaTable, BrowseRow, Page, TableRow};
use crate::limits::PAGE_ROWS_MAX;
use crate::stable::{AreaError, Names};

/// So many rows are looked at for one page; if few of them match the filter, the page is short and has a next one.
const ROWS_LOOKED_AT_MAX: usize = 50_000;
/// So much of a value is shown in hexadecimal digits.
const HEX_BYTES_MAX: usize = 4096;

pub(super) fn tables(snapshot: &Snapshot) -> Result<Vec<AreaTable>, AreaError> {
    let count = |table: Table| Ok(AreaTable { name: table.name().to_owned(), rows: snapshot.count(table)? });
    Table::ALL.into_iter().map(count).collect()
}

pub(super) fn rows(
    snapshot: &Snapshot,
    names: &dyn Names,
    filter: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<TableRow>, AreaError> {
    page(snapshot, Table::Redundancy, after, limit, |key, value| {
        let written = record::decode_row(key, value)
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
    page(snapshot, table, after, limit, |key, value| Ok(Some(browse_row(table, names, key, value))))
}

/// Walks a table from behind the cursor `after` and collects what `pick` makes of its records.
fn page<T>(
    snapshot: &Snapshot,
    table: Table,
    after: Option<&str>,
    limit: usize,
    mut pick: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, AreaError>,
) -> Result<Page<T>, AreaError> {
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    let after = after.map(unhex).transpose()?;
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut page = Page { rows: Vec::new(), next: None };
    let mut looked_at = 0;
    let mut last = String::new();
    snapshot.walk(table, from, |key, value| {
        if page.rows.len() == limit || looked_at == ROWS_LOOKED_AT_MAX {
            // There is at least this one more.
            page.next = Some(std::mem::take(&mut last));
            return Ok(false);
        }
        page.rows.extend(pick(key, value)?);
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

/// The state of a row as it is shown.
struct StateWords<'a> {
    state: &'static str,
    /// What a redundant request gets; empty while nothing is registered.
    process_type: String,
    /// The request, the reply or the argument of a handler.
    body: Option<&'a Bytes>,
    /// Whether a failure is registered.
    failed: bool,
}

fn state_words(state: &RowState<Bytes>) -> StateWords<'_> {
    let open = |state, request| StateWords {
        state,
        process_type: String::new(),
        body: Some(request),
        failed: false,
    };
    match state {
        RowState::Blocked { request } => open("blocked", request),
        RowState::Relaying { request, course: Course::Forward, .. } => open("relaying", request),
        RowState::Relaying { request, course: Course::Back | Course::Failing(_), .. } => {
            open("rolling_back", request)
        }
        RowState::Registered(process) => process_words(process),
        RowState::Undoing(process) => StateWords { state: "undoing", ..process_words(process) },
        RowState::Cancelled { .. } => {
            StateWords { state: "cancelled", process_type: String::new(), body: None, failed: false }
        }
    }
}

fn process_words(process: &RedProcess<Bytes>) -> StateWords<'_> {
    let (state, process_type, body, failed) = match process {
        RedProcess::AutoReply(Outcome::Reply(body)) => ("auto_reply", "AUTO_REPLY".to_owned(), body, false),
        RedProcess::AutoReply(Outcome::Failed(body)) => ("auto_reply", "AUTO_REPLY".to_owned(), body, true),
        RedProcess::Handler { index, arg } => ("handler", format!("HANDLER {index}"), arg, false),
    };
    StateWords { state, process_type, body: Some(body), failed }
}

fn browse_row(table: Table, names: &dyn Names, key: &[u8], value: &[u8]) -> BrowseRow {
    let (words, damage) = match value_words(table, names, key, value) {
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

fn key_words(table: Table, names: &dyn Names, key: &[u8]) -> Result<String, Damage> {
    Ok(match table {
        Table::Redundancy | Table::Blocked => {
            let key = record::parse_slot_key(key)?;
            let source = alias_text(names, key.session.source);
            format!("{source}, incarnation {}, slot {}", key.session.born, key.slot)
        }
        Table::Marks => alias_text(names, record::parse_source_key(key)?),
        Table::Outbox => id_text(names, record::parse_call_key(key)?),
        Table::Relay => {
            let (session, trans, position) = record::parse_journal_key(key)?;
            let source = alias_text(names, session.source);
            format!("{source}, incarnation {}, transId {trans}, position {position}", session.born)
        }
        Table::Meta | Table::App => readable(key).map_or_else(|| hex(key), str::to_owned),
    })
}

/// One `name: value` per line.
fn value_words(table: Table, names: &dyn Names, key: &[u8], value: &[u8]) -> Result<String, Damage> {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string can't fail.
        let _ = writeln!(out, "{name}: {value}");
    };
    match table {
        Table::Redundancy => row_words(names, &record::decode_row(key, value)?, &mut line),
        Table::Blocked => line("call", &record::decode_blocked(key, value)?.to_string()),
        Table::Marks => {
            let mark = record::decode_mark(key, value)?;
            line("incarnation", &mark.born.to_string());
            line("transId", &mark.trans.to_string());
        }
        Table::Outbox => {
            let pending = record::decode_pending(key, value)?;
            call_words(names, &pending, &mut line);
            line("body", &body_words(&pending.body));
        }
        Table::Relay => journal_words(names, &record::decode_journaled(key, value)?, &mut line),
        Table::Meta => line("value", &meta_words(key, record::content(table, key, value)?)),
        Table::App => app_words(record::content(table, key, value)?, &mut line),
    }
    Ok(out.trim_end().to_owned())
}

fn row_words(names: &dyn Names, written: &Written, line: &mut impl FnMut(&str, &str)) {
    let words = state_words(&written.row.state);
    line("call", &id_text(names, written.row.id));
    line("state", words.state);
    match &written.row.state {
        RowState::Relaying { policy, course, cancellable, .. } => {
            line("after a takeover", policy_word(*policy));
            if let Course::Failing(failure) = course {
                line("failure to be registered", &body_words(failure));
            }
            line("its caller may cancel it", &cancellable.to_string());
        }
        RowState::Cancelled { undone } => line("was executed and undone", &undone.to_string()),
        RowState::Blocked { .. } | RowState::Registered(_) | RowState::Undoing(_) => {}
    }
    if !words.process_type.is_empty() {
        line("redundant request gets", &words.process_type);
    }
    if words.failed {
        line("failed", "true");
    }
    line("digest of the request", &format!("{:032x}", written.row.digest));
    line("written, unix ms", &written.unix_ms.to_string());
    if let Some(body) = words.body {
        line("body", &body_words(body));
    }
}

fn journal_words(names: &dyn Names, row: &Journaled<Bytes>, line: &mut impl FnMut(&str, &str)) {
    line("call", &id_text(names, row.served.id));
    line("position", &row.position.to_string());
    line("calls", &id_text(names, row.call.id));
    call_words(names, &row.call, line);
    line("digest of the message", &format!("{:032x}", row.digest));
    line("message", &body_words(&row.call.body));
    match &row.answer {
        Some(Outcome::Reply(body)) => line("answer", &body_words(body)),
        Some(Outcome::Failed(body)) => {
            line("answer", &body_words(body));
            line("failed", "true");
        }
        None => {}
    }
}

fn call_words(names: &dyn Names, call: &Pending<Bytes>, line: &mut impl FnMut(&str, &str)) {
    line("target", &alias_text(names, call.target));
    line("first sent in incarnation", &call.born.to_string());
    line("invoked, ns", &call.invoked.to_string());
}

fn policy_word(policy: Policy) -> &'static str {
    match policy {
        Policy::RollForward => control::Policy::RollForward,
        Policy::Substitute => control::Policy::Substitute,
        Policy::RollBack => control::Policy::RollBack,
    }
    .word()
}

fn meta_words(key: &[u8], content: &[u8]) -> String {
    match (key, content) {
        (b"alias", [id @ .., _]) if id.len() >= 4 => {
            let id = u32::from_le_bytes([content[0], content[1], content[2], content[3]]);
            format!("{} (number {id})", body_words(&content[4..]))
        }
        _ if content.len() <= 8 => {
            let mut number = [0; 8];
            number[..content.len()].copy_from_slice(content);
            u64::from_le_bytes(number).to_string()
        }
        _ => body_words(content),
    }
}

/// The service's values come without a description of their type: what they could be is said, and the bytes.
fn app_words(content: &[u8], line: &mut impl FnMut(&str, &str)) {
    if let Ok((number, [])) = postcard::take_from_bytes::<u64>(content) {
        line("as a number", &number.to_string());
    }
    if let Ok((text, [])) = postcard::take_from_bytes::<&str>(content)
        && readable(text.as_bytes()).is_some()
    {
        line("as a text", text);
    }
    line("bytes", &body_words(content));
}

fn id_text(names: &dyn Names, id: CallId) -> String {
    format!("{}/{}/{}", alias_text(names, id.source), id.origin, id.trans)
}

fn alias_text(names: &dyn Names, id: AliasId) -> String {
    names.alias(id).unwrap_or_else(|| id.to_string())
}

fn body_words(body: &[u8]) -> String {
    readable(body).map_or_else(|| hex(&body[..body.len().min(HEX_BYTES_MAX)]), str::to_owned)
}

fn text_or_hex(body: &Bytes) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(hex(body))),
    }
}

/// The bytes as text, if no control characters are in it.
fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
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
