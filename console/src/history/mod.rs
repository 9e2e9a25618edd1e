//! Histories: what callers asked, when, and what they were told.
