//! Values that people look at and decisions do not depend on.

use core::hash::{Hash, Hasher};

/// A value that takes no part in comparing and hashing the state it lies in.
///
/// Two states that differ only in a count or in a time behave the same. Were they told apart, a model checker
/// would never come to an end of counting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uncompared<T>(pub(crate) T);

impl<T> PartialEq for Uncompared<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Uncompared<T> {}

impl<T> Hash for Uncompared<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
