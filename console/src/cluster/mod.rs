//! Cluster files: what an operator writes to say which processes a cluster has.
