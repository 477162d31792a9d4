//! The log engine: JSON Lines segments, one sequence, one writer lock, readers without locks.
//!
//! **Layout.** `<topic>/<first seq, 20 digits>.jsonl`, one JSON object a line, `seq` first: `{"seq":7,…}\n`. Sequence
//! numbers are contiguous within an epoch and never go back. Empty lines mean nothing to readers of content.
//!
//! **Writers** hold `locks/<topic>.lock`. An append is one `write(2)` at the end of the newest segment. At
//! [`SEGMENT_BYTES`] the segment is sealed: an empty line is appended to it, then `<last seq + 1>.jsonl` is made. The empty
//! line changes the size, so everybody who trusts a cached end or waits at it notices the switch without looking for files.
//!
//! **Readers** take no lock: they consume up to the last newline and go on in the successor of a sealed segment.
//!
//! **A crash** during the write leaves a torn last line: the next writer keeps its bytes in `rejected/` and cuts it off, or
//! adds the newline if only that is missing. A line that was complete once is never cut off: a reader may have seen it, and
//! its number would be given again. So a write that comes up short leaves the whole lines that landed, and its caller is told
//! which records are not stored ([`Error::StoredInPart`](crate::Error::StoredInPart)). A crash between seal and successor leaves a sealed newest segment; the next
//! writer makes the successor. After another boot the next segment starts far above everything that could have been seen
//! and lost ([`epoch`]).
//!
//! **By hand**: a complete line without `seq` takes no number; readers report it as [`Gap::Unnumbered`] and whoever imports
//! appends it anew. A line that is no JSON object is [`Gap::Poison`]. Missing numbers are [`Gap::Lagged`], with exact bounds.
//!
//! **Size** is bounded ([`Limits`]): [`expendable`] names what may go, whoever keeps house removes it; an append that does not
//! fit is refused or makes room ([`WhenFull`]).
//!
//! Deliberately absent: knowledge of what a record means and of who reads; a clock (whoever has one calls
//! [`Log::rotate_older`]).

mod active;
mod append;
mod cursor;
pub mod dead_letter;
mod entry;
mod epoch;
mod flusher;
mod frame;
mod limits;
mod newest;
mod reader;
mod retention;
mod segment;
mod stock;
mod tail;
mod writer;

pub use append::{Appended, LogWriter};
pub use cursor::Cursor;
pub use dead_letter::DeadLetter;
pub use entry::{Entry, Gap};
pub use epoch::EPOCH_STEP;
pub use flusher::Flusher;
pub use limits::{Limits, Room, WhenFull};
pub use newest::newest;
pub use reader::LogReader;
pub use retention::{Piece, Standing, expendable, sacrificed, slowest};
pub use writer::{Durability, Log};

/// A segment of this size gets no more records.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Longest line by default, newline included.
pub const LINE_MAX: usize = 1024 * 1024;
