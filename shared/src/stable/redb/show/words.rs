//! Keys and records in words.

use std::fmt::Write as _;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, RowState};
use palib_core::relay::{Course, Journaled, Policy};
use palib_core::resend::Pending;

use super::{HEX_BYTES_MAX, hex};
use crate::control;
use crate::stable::Names;
use crate::stable::redb::record::{self, Block, Damage, Place, Table, Written};

/// The state of a row as it is shown.
pub(super) struct StateWords<'a> {
    pub(super) state: &'static str,
    /// What a redundant request gets; empty while nothing is registered.
    pub(super) process_type: String,
    /// The request, the reply or the argument of a handler.
    pub(super) body: Option<&'a Bytes>,
    /// Whether a failure is registered.
    pub(super) failed: bool,
}

pub(super) fn state_words(state: &RowState<Bytes>) -> StateWords<'_> {
    let open = |state, request| StateWords {
        state,
        process_type: String::new(),
        body: Some(request),
        failed: false,
    };
    match state {
        RowState::Blocked { request } => open("blocked", request),
        RowState::Relaying { request, course: Course::Forward | Course::Through(_), .. } => {
            open("relaying", request)
        }
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

pub(super) fn key_words(table: Table, names: &dyn Names, key: &[u8]) -> Result<String, Damage> {
    Ok(match table {
        Table::Redundancy | Table::Blocked => {
            let key = record::parse_slot_key(key)?;
            let source = alias_text(names, key.session.source);
            format!("{source}, incarnation {}, slot {}", key.session.born, key.slot)
        }
        Table::Blocks => {
            let first = record::parse_slot_key(key)?;
            let (source, last) = (alias_text(names, first.session.source), record::last_of_block(first));
            format!("{source}, incarnation {}, slots {} to {}", first.session.born, first.slot, last.slot)
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
pub(super) fn value_words(
    table: Table,
    names: &dyn Names,
    key: &[u8],
    value: &[u8],
) -> Result<String, Damage> {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string can't fail.
        let _ = writeln!(out, "{name}: {value}");
    };
    match table {
        Table::Redundancy => row_words(names, &record::decode_row(key, value)?, &mut line),
        Table::Blocks => {
            let block = Block::parse(key, value)?;
            let alone = block.places().filter(|(_, place)| *place == Place::Alone).count();
            line("rows here", &(block.row_count() - alone).to_string());
            line("rows alone, being large", &alone.to_string());
        }
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
            match course {
                Course::Failing(failure) => line("failure to be registered", &body_words(failure)),
                Course::Through(reply) => line("reply to be registered", &body_words(reply)),
                Course::Forward | Course::Back => {}
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
    if let Some(by) = &row.designated {
        line("is replaced by", &format!("{}: {}", alias_text(names, by.target), body_words(&by.body)));
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

pub(super) fn id_text(names: &dyn Names, id: CallId) -> String {
    format!("{}/{}/{}", alias_text(names, id.source), id.origin, id.trans)
}

fn alias_text(names: &dyn Names, id: AliasId) -> String {
    names.alias(id).unwrap_or_else(|| id.to_string())
}

fn body_words(body: &[u8]) -> String {
    readable(body).map_or_else(|| hex(&body[..body.len().min(HEX_BYTES_MAX)]), str::to_owned)
}

/// The bytes as text, if no control characters are in it.
fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}
