//! The cluster's own authority, its certificates, and what a certificate lets its holder do.
