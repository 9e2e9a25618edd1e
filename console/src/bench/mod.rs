//! The measurements of `palib bench`, beside their limits.
