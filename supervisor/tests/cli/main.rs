//! The command line as people use it: the real binary, real state directories, real processes.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests touch the system and stop at the first surprise"
)]

mod damage;
mod doctor;
mod edit;
mod fleet;
mod folder;
mod know;
mod read;
mod usage;
