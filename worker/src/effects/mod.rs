//! (owner completes)
