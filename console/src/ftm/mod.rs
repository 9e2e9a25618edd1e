//! The FTM and PAM: who lives, who is in service, and who takes over (patent: fault tolerant manager, port alias manager).
