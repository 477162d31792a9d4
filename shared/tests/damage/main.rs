//! Damaged files: whatever the bytes are, nothing panics, nothing complete is lost, and repairing twice changes nothing.
//!
//! Deterministic mutations of `tests/corpus/` by seed, for a fifth of a second each (a minute with `TACHI_LONG=1`), and what the fuzz
//! targets of `shared/fuzz/` have found worth keeping. What must hold stands in [`property`], for both.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may; it also plays the hands and disks that damage files"
)]

mod corpus;
#[path = "../torture/dice.rs"]
mod dice;
mod doors;
mod found;
mod logs;
mod mutation;
mod property;
mod snapshots;

/// One of these files of the corpus, damaged.
fn damaged(names: &[&str], dice: &mut dice::Dice) -> Vec<u8> {
    let name = names[usize::try_from(dice.below(names.len() as u64)).unwrap()];
    let mut bytes = corpus::corpus(name);
    mutation::damage(&mut bytes, dice);
    bytes
}
