//! What thinks for an instance.
pub mod builtin;
