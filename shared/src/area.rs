//! The service's own state in the stable area, with keys as text and values of any serde type.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stable::{AppRead, AppWrite, SharedArea};
use crate::{Error, Result};

/// The stable area of an alias, as its service reads it between transactions.
#[derive(Clone)]
pub struct Area {
    pub(crate) store: SharedArea,
}

impl Area {
    /// The committed value of a key.
    ///
    /// # Errors
    /// If the area can't be read or the value is of another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let mut found = Ok(None);
        self.store.read(&mut |view| found = get(view, key))?;
        found
    }

    /// All committed keys with this prefix and their values, in order, until `each` returns false.
    ///
    /// # Errors
    /// If the area can't be read or a value is of another type.
    pub fn scan<T: DeserializeOwned>(
        &self,
        prefix: &str,
        mut each: impl FnMut(&str, T) -> bool,
    ) -> Result<()> {
        let mut found = Ok(());
        self.store.read(&mut |view| found = scan(view, prefix, &mut each))?;
        found
    }
}

/// The service's own state inside a transaction: all that is changed becomes durable together with the outcome of
/// the call, or not at all.
pub struct AreaTxn<'a> {
    store: &'a mut dyn AppWrite,
}

impl<'a> AreaTxn<'a> {
    pub(crate) fn new(store: &'a mut dyn AppWrite) -> Self {
        Self { store }
    }

    /// The value of a key, as this transaction has left it so far.
    ///
    /// # Errors
    /// If the area can't be read or the value is of another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.store.get(key.as_bytes())? {
            Some(bytes) => decode(key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// If the value can't be encoded.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(value)
            .map_err(|error| Error::Codec { key: key.to_owned(), reason: error.to_string() })?;
        self.store.put(key.as_bytes(), Bytes::from(bytes));
        Ok(())
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.store.remove(key.as_bytes());
    }

    /// All keys with this prefix and their values, in order, until `each` returns false.
    ///
    /// # Errors
    /// If the area can't be read or a value is of another type.
    pub fn scan<T: DeserializeOwned>(
        &self,
        prefix: &str,
        mut each: impl FnMut(&str, T) -> bool,
    ) -> Result<()> {
        let mut failure = None;
        self.store.scan(prefix.as_bytes(), &mut |key, value| visit(key, value, &mut each, &mut failure))?;
        failure.map_or(Ok(()), Err)
    }
}

fn get<T: DeserializeOwned>(view: &dyn AppRead, key: &str) -> Result<Option<T>> {
    match view.get(key.as_bytes())? {
        Some(bytes) => decode(key, &bytes).map(Some),
        None => Ok(None),
    }
}

fn scan<T: DeserializeOwned>(
    view: &dyn AppRead,
    prefix: &str,
    each: &mut impl FnMut(&str, T) -> bool,
) -> Result<()> {
    let mut failure = None;
    view.scan(prefix.as_bytes(), &mut |key, value| visit(key, value, each, &mut failure))?;
    failure.map_or(Ok(()), Err)
}

fn visit<T: DeserializeOwned>(
    key: &[u8],
    value: &[u8],
    each: &mut impl FnMut(&str, T) -> bool,
    failure: &mut Option<Error>,
) -> bool {
    let key = String::from_utf8_lossy(key);
    match decode(&key, value) {
        Ok(value) => each(&key, value),
        Err(error) => {
            *failure = Some(error);
            false
        }
    }
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes)
        .map_err(|error| Error::Codec { key: key.to_owned(), reason: error.to_string() })
}
