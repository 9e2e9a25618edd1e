//! The operator's connection to the FTM.
