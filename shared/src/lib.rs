//! Tachi's store and vocabulary.
//!
//! Bottom to top, and no module names one above it:
//!
//! 1. words: [`id`], [`clock`], [`layout`], [`error`]
//! 2. the system: [`os`], the only room that touches files, locks and processes
//! 3. engines: [`log`] (append-only JSON Lines) and [`snapshot`] (JSON files replaced whole)
//! 4. nouns on those engines: [`queue`], [`event`], [`task`] on `log`; [`registry`], [`memory`], [`instance`] on `snapshot`;
//!    [`command`] as single files placed by `mv`
//! 5. the facade: [`store`]; and [`check`], which judges what lies on the disk against what must always hold
//!
//! Deliberately absent: processes of our own (see the two binaries), HTTP, terminal output.

pub mod clock;
pub mod error;
pub mod id;
pub mod layout;

pub mod os;

pub mod log;
pub mod snapshot;

pub mod command;
pub mod event;
pub mod instance;
pub mod memory;
pub mod queue;
pub mod registry;
pub mod task;

pub mod check;
pub mod store;

pub use error::{Error, Result};
