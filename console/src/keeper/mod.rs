//! The keeper: starts the FTM, starts it again when it dies, and ends the cluster with its owner.
