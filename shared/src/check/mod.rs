//! What must always hold in a state directory, judged from what the storage shows.
//!
//! The same functions serve `tachi doctor`, the tests and the simulation. They read without locks, change nothing and
//! believe nothing: lines are parsed here once more instead of asking the engines. Numbers are those of the list of
//! invariants of the store:
//!
//! | invariant | judged by |
//! |---|---|
//! | 1, 2 a message is there once, whole | [`message::stored_once`], [`log::lines_parse`], [`log::only_the_newest_ends_torn`] |
//! | 3 every complete line parses | [`log::lines_parse`] |
//! | 4 numbers rise, segments are named by their first | [`log::numbers_follow`], [`log::names_are_first_numbers`] |
//! | 7 no position beyond the end | [`cursor::within_the_log`] |
//! | 8 no gap without an epoch | [`log::segments_join`] |
//! | 9, 10 snapshots are whole, revisions do not go back | [`snapshot::snapshots_are_whole`] |
//! | 12, 17 a process lives exactly while its alive lock is held | [`registry::one_process_per_id`] |
//! | 13 refused bytes are kept and told | [`leftover::refused`] |
//! | 16 one owner per claim, done once | [`task::changes_were_allowed`] |
//! | 18 no temporary file stays | [`leftover::temporary_files`], [`leftover::doorbells`] |
//! | 22 names cannot escape | [`registry::ids_are_unique`] |
//! | – only the owner reaches the files | [`access::private`] |
//!
//! Invariants about time, order of delivery and what was acknowledged (5, 6, 11, 14, 15, 19 to 21) do not show in files
//! at rest: the simulation and the tests judge them.
//!
//! [`repair`] does what is safe, nothing else. Deliberately absent: text layout, exit codes.

pub mod access;
pub mod all;
pub mod cursor;
pub mod finding;
pub mod leftover;
pub mod lock;
pub mod log;
pub mod message;
pub mod registry;
pub mod repair;
pub mod segment;
pub mod snapshot;
pub mod surroundings;
pub mod task;

pub use all::all;
pub use finding::{Finding, Fix, Outcome, Weight};
pub use repair::repair;
pub use surroundings::Surroundings;
