//! Tachi's supervisor and command line, as a library so that tests can reach the pure parts.
//!
//! `fleet` thinks, `effects` does, `command` is one file per verb, `render` turns state into text, `settings` is what flags,
//! environment and configuration amount to.

pub mod args;
pub mod command;
pub mod effects;
pub mod error;
pub mod fleet;
pub mod render;
pub mod settings;
