//! The language of defects: the same in cluster files, commands, tours and the ledger.
