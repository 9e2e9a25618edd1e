//! The filter of a table: a regular expression, `!` before it for its inverse, `COLUMN:` before it for one column.

use regex::{Regex, RegexBuilder};

/// A filter that was understood.
#[derive(Clone, Debug)]
pub struct Filter {
    inverse: bool,
    column: Option<String>,
    pattern: Regex,
}

impl Filter {
    /// Understands a filter as typed. `columns` are the titles of the table's columns. An empty one is none.
    ///
    /// # Errors
    /// If it is no regular expression; the text says where it breaks.
    pub fn parse(text: &str, columns: &[&str]) -> Result<Option<Filter>, String> {
        let (inverse, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let named = rest.split_once(':').and_then(|(name, pattern)| {
            let mut starting = columns.iter().filter(|column| is_start(column, name));
            Some((starting.next()?, pattern))
        });
        let (column, pattern) = match named {
            Some((column, pattern)) => (Some((*column).to_owned()), pattern),
            None => (None, rest),
        };
        if pattern.is_empty() {
            return Ok(None);
        }
        let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build();
        let pattern = built.map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default();
            format!("{pattern}: {}", last.trim_start_matches("error: "))
        })?;
        Ok(Some(Filter { inverse, column, pattern }))
    }

    /// Whether a row passes. `cells` are `(title of the column, text)`.
    #[must_use]
    pub fn passes<'a>(&self, mut cells: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let found = cells.any(|(column, text)| {
            self.column.as_deref().is_none_or(|wanted| wanted == column) && self.pattern.is_match(text)
        });
        found != self.inverse
    }
}

fn is_start(column: &str, typed: &str) -> bool {
    !typed.is_empty() && column.len() >= typed.len() && column[..typed.len()].eq_ignore_ascii_case(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[&str] = &["ALIAS", "STATE"];

    fn passes(filter: &str, alias: &str, state: &str) -> bool {
        let filter = Filter::parse(filter, COLUMNS).unwrap();
        filter.is_none_or(|filter| filter.passes([("ALIAS", alias), ("STATE", state)].into_iter()))
    }

    #[test]
    fn filters_are_regular_expressions_with_an_inverse_and_a_column() {
        let cases = [
            ("", true),
            ("count", true),
            ("COUNT", true),
            ("^count.r$", true),
            ("dead", false),
            ("!dead", true),
            ("!count", false),
            ("state:back", true),
            ("st:back", true),
            ("alias:back", false),
            ("!alias:back", true),
            ("state:", true),
            ("x:y", false),
        ];
        for (filter, expected) in cases {
            assert_eq!(passes(filter, "counter", "backup"), expected, "{filter}");
        }
    }

    #[test]
    fn a_broken_expression_is_explained() {
        let error = Filter::parse("a(", COLUMNS).unwrap_err();
        assert!(error.contains("unclosed group"), "{error}");
    }
}
