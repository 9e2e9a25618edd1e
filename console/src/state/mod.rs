//! The state folder of a cluster: where everything that outlives a process lies.
