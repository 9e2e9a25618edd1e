//! Reading a stable area whose owner is dead. The file itself is never changed: a copy of it is read.

use std::path::Path;

use palib::control::{Answer, OPERATOR_ALIAS, Query};
use palib::core::ids::AliasId;
use palib::stable::{Names, inspect_file};

/// The names of aliases by their numbers, as the port alias table has them.
struct Known(Vec<(u32, String)>);

impl Names for Known {
    fn alias(&self, id: AliasId) -> Option<String> {
        if id == AliasId(0) {
            return Some(OPERATOR_ALIAS.to_owned());
        }
        self.0.iter().find(|(number, _)| *number == id.0).map(|(_, name)| name.clone())
    }
}

/// Answers a question about the area in this file. It may take a while: call it where blocking is allowed.
pub(crate) fn read(file: &Path, names: Vec<(u32, String)>, query: &Query) -> Result<Answer, String> {
    let inspection = inspect_file(file).map_err(|error| error.to_string())?;
    let answer = match query {
        Query::Area { .. } => inspection.summary().map(Answer::Area),
        Query::Browse { table, after, limit, .. } => {
            let limit = (*limit).min(palib::limits::PAGE_ROWS_MAX);
            inspection.browse(&Known(names), table, after.as_deref(), limit).map(Answer::Browse)
        }
        _ => return Err("a file at rest answers only for its tables and their rows".into()),
    };
    answer.map_err(|error| error.to_string())
}
