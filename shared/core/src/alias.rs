//! The port alias table (patent, Fig 4): which ports an alias has, and who of them is in service.
