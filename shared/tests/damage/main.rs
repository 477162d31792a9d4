//! Damaged files: whatever the bytes are, nothing panics, nothing complete is lost, and repairing twice changes nothing.
//!
//! Deterministic mutations of `tests/corpus/` by seed, for a fifth of a second each (a minute with `TACHI_LONG=1`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may; it also plays the hands and disks that damage files"
)]

#[path = "../torture/dice.rs"]
mod dice;
mod doors;
mod logs;
mod mutation;
mod snapshots;
