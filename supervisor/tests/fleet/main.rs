//! The supervisor's mind, from outside: scripts with their expected actions, and random histories with their invariants.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests stop at the first surprise, and a replayed history is told aloud"
)]

mod adoption;
mod apply;
mod commands;
mod exit_table;
mod needs;
mod pairs;
mod random;
mod restarts;
mod rolling;
mod scene;
mod silence;
mod stops;
mod why;
mod world;
