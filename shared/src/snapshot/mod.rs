//! The snapshot engine: JSON files that are replaced whole — validate, change, back up, replace.
//!
//! (format comment: owner of this module completes it)

mod file;

pub use file::{Document, Loaded, Snapshot};
