//! Trouble of every kind on real files: rows of the fault list that no other test proves, and what every format once
//! released must still say.
//!
//! What needs a machine of its own (mounts, limits) is in the test `machine`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test touches files, processes and time itself and fails by panicking"
)]

mod access;
mod bits;
mod clocks;
mod contents;
mod descriptors;
mod formats;
mod hands;
mod interrupted;
mod leftovers;
mod locks;
mod noting;
mod paths;
mod place;
mod race;
