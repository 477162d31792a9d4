//! The builtin survey, driven in one process by a pretended team on generated trees: same bytes whoever works, counts as
//! independent tools have them, nothing fatal.

mod counts;
mod fleet;
mod hostile;
mod same_bytes;
mod tree;
mod votes;
