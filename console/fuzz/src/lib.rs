//! What must hold for any input at all, whoever made it: one function for each reader. They are run by libFuzzer, and
//! over the seeds and thousands of variants of them by the tests of the workspace.
//!
//! A function tells whether anything was understood; that the reader has refused it is just as well. It panics for what
//! must not be.

mod area;
mod certificate;
mod cluster_file;
mod control;
mod filter;
mod history;
mod record;
mod wire;
mod words;

/// One reader under test.
pub type Target = fn(&[u8]) -> bool;

/// All of them, by the name of the folder of their seeds.
pub const TARGETS: [(&str, Target); 9] = [
    ("area", area::area),
    ("certificate", certificate::certificate),
    ("cluster_file", cluster_file::cluster_file),
    ("control", control::control),
    ("filter", filter::filter),
    ("history", history::history),
    ("record", record::record),
    ("wire", wire::wire),
    ("words", words::words),
];

/// Runs one of them, and tells whether anything was understood.
///
/// # Panics
/// If there is none of that name, and for what must not be.
pub fn run(name: &str, data: &[u8]) -> bool {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data)
}

/// Cuts the input into two at its first line feed. The first part tells how the second is read.
fn split_line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}
