//! (owner completes)
pub mod survey;
