//! Walking over a parsed file while gathering every mistake, instead of ending at the first one.

use std::ops::Range;
use std::time::Duration;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::Mistake;
use crate::units::{closest, parse_duration};

/// The mistakes found so far, and the text they are in.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    found: Vec<(usize, Mistake)>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(super) fn add(&mut self, at: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        let start = at.start.min(self.text.len());
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let source = self.text[line_start..].lines().next().unwrap_or_default().to_owned();
        self.found.push((
            start,
            Mistake {
                line: self.text[..start].matches('\n').count() + 1,
                column: self.text[line_start..start].chars().count() + 1,
                what: what.into(),
                hint: hint.into(),
                source,
            },
        ));
    }

    /// The mistakes from top to bottom.
    pub(super) fn into_sorted(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|(at, _)| *at);
        self.found.into_iter().map(|(_, mistake)| mistake).collect()
    }
}

/// One table of the file, read field by field.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// Where to point at when a field is missing: the table's own name.
    pub(super) at: Range<usize>,
}

/// A value and its place.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Range<usize>,
}

impl<'t> Fields<'t> {
    /// Looks for keys that nobody knows.
    pub(super) fn open(
        table: &'t DeTable<'t>,
        at: Range<usize>,
        known: &[&'static str],
        mistakes: &mut Mistakes<'_>,
    ) -> Self {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let hint = match closest(name, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                mistakes.add(key.span(), format!("unknown key `{name}`"), hint);
            }
        }
        Self { table, at }
    }

    /// A field as it stands.
    pub(super) fn get(&self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(name)
    }

    fn read<T>(
        &self,
        name: &str,
        wanted: &str,
        mistakes: &mut Mistakes<'_>,
        take: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let spanned = self.get(name)?;
        let found = spanned.get_ref();
        let value = take(found);
        if value.is_none() {
            mistakes.add(
                spanned.span(),
                format!("`{name}` is {}", kind_of(found)),
                format!("it must be {wanted}"),
            );
        }
        value.map(|value| At { value, at: spanned.span() })
    }

    pub(super) fn text(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<At<&'t str>> {
        self.read(name, "a text in quotes", mistakes, text_of)
    }

    pub(super) fn flag(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<bool> {
        self.read(name, "true or false, without quotes", mistakes, |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
        .map(|flag| flag.value)
    }

    pub(super) fn whole(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<At<i64>> {
        self.read(name, "a whole number, without quotes", mistakes, |value| match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        })
    }

    pub(super) fn duration(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<At<Duration>> {
        let text = self.read(name, "a duration in quotes, such as \"600ms\"", mistakes, text_of)?;
        match parse_duration(text.value) {
            Ok(value) => Some(At { value, at: text.at }),
            Err(what) => {
                mistakes.add(text.at, what, format!("for example {name} = \"600ms\""));
                None
            }
        }
    }

    /// A text that must be one of a few words.
    pub(super) fn word(
        &self,
        name: &str,
        words: &[&'static str],
        mistakes: &mut Mistakes<'_>,
    ) -> Option<&'static str> {
        let text = self.text(name, mistakes)?;
        let found = words.iter().find(|word| **word == text.value).copied();
        if found.is_none() {
            mistakes.add(text.at, format!("`{name}` can't be \"{}\"", text.value), one_of(text.value, words));
        }
        found
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str, mistakes: &mut Mistakes<'_>) -> Option<At<Vec<At<&'t str>>>> {
        let wanted = "a list of texts, such as [\"one\", \"two\"]";
        self.read(name, wanted, mistakes, |value| match value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| Some(At { value: text_of(item.get_ref())?, at: item.span() }))
                .collect::<Option<Vec<_>>>(),
            _ => None,
        })
    }

    /// A command: a list of texts with at least one in it.
    pub(super) fn command(&self, mistakes: &mut Mistakes<'_>) -> Option<Vec<String>> {
        let words = self.texts("command", mistakes)?;
        if words.value.is_empty() {
            mistakes.add(
                words.at,
                "`command` is empty",
                "write the program and its arguments, such as [\"./my-service\", \"--fast\"]",
            );
            return None;
        }
        Some(words.value.iter().map(|word| word.value.to_owned()).collect())
    }

    /// A table inside this one.
    pub(super) fn table(
        &self,
        name: &str,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<(&'t DeTable<'t>, Range<usize>)> {
        let at = self.table.get_key_value(name).map(|(key, _)| key.span())?;
        let wanted = format!("a table, such as [{name}]");
        self.read(name, &wanted, mistakes, |value| match value {
            DeValue::Table(table) => Some(table),
            _ => None,
        })
        .map(|table| (table.value, at))
    }

    /// A list of tables inside this one.
    pub(super) fn tables(
        &self,
        name: &str,
        mistakes: &mut Mistakes<'_>,
    ) -> Vec<(&'t DeTable<'t>, Range<usize>)> {
        let wanted = format!("a list of tables, each begun with [[{name}]]");
        let found = self.read(name, &wanted, mistakes, |value| match value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Table(table) => Some((table, item.span())),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>(),
            _ => None,
        });
        found.map(|tables| tables.value).unwrap_or_default()
    }
}

/// "did you mean" where a word is near, or all the words.
pub(super) fn one_of(word: &str, words: &[&str]) -> String {
    match closest(word, words.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"? Known: {}", words.join(", ")),
        None => format!("known: {}", words.join(", ")),
    }
}

fn text_of<'t>(value: &'t DeValue<'t>) -> Option<&'t str> {
    match value {
        DeValue::String(text) => Some(text.as_ref()),
        _ => None,
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value of the file as JSON: options are given to services in this form.
pub(super) fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| to_json(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, item)| (key.get_ref().as_ref().to_owned(), to_json(item.get_ref())))
                .collect(),
        ),
    }
}
