//! The log engine: JSON Lines segments, one sequence, one writer lock, readers without locks.
//!
//! (format comment: owner of this module completes it)

mod cursor;
mod newest;
mod reader;
mod writer;

pub use cursor::Cursor;
pub use newest::newest;
pub use reader::{Entry, Gap, LogReader};
pub use writer::{Appended, Log, LogWriter};
