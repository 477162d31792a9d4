//! The builtin survey, driven in one process by a pretended team on generated trees: same bytes whoever works, counts as
//! independent tools have them, nothing fatal.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests make files, start tools, and stop at the first surprise"
)]

mod counts;
mod fleet;
mod hostile;
mod lost;
mod same_bytes;
mod tree;
mod votes;
