//! The only room of this crate that touches files, locks and processes.
//!
//! [`Storage`] is the one port: the real [`disk::Disk`] and, for tests, a simulated one. Everything above this room works
//! on the trait or on plain values.
#![expect(clippy::disallowed_methods, reason = "the room the bans point to")]

pub mod access;
pub mod disk;
pub mod doorbell;
pub mod filesystem;
pub mod limits;
pub mod lock;
pub mod place;
mod proc_locks;
pub mod process;
pub mod root;
pub mod signal;
mod slot;
pub mod storage;
pub mod swap;
pub mod watch;

pub use disk::Disk;
pub use lock::{AliveLock, FileLock};
pub use storage::{Extent, Handle, OpenMode, Stat, Storage};
