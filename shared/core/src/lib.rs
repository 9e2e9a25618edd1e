//! Every decision of the palib protocol, as pure state machines.
//!
//! Nothing here reads a clock, a disk or a network: time, storage and messages are inputs, and what is to be
//! done about them are effects. Each machine has one shape, `handle(&mut self, now, input, &mut Vec<Effect>)`,
//! so that the same code is run by real processes, explored by a model checker and simulated by seed.
#![no_std]

extern crate alloc;

pub mod alias;
pub mod ids;
pub mod manager;
pub mod message;
pub mod redundancy;
pub mod relay;
pub mod resend;
pub mod server;
mod table;
mod uncompared;
