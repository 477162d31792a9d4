//! The board: tasks, proposals and votes as events on the log engine, folded into one state.
//!
//! Files: `tasks/*.jsonl` (the truth) and `tasks.json` (view). Writers append under `tasks.lock` after catching up, so every
//! change is judged against the newest state: a claim is atomic, a stale fence cannot complete. A crash leaves a valid
//! prefix. The fold is the same function live and at recovery.

pub mod board;
pub mod change;
pub mod judge;
pub mod row;
mod store;
pub mod view;

pub use board::{Board, Owner, Proposal, Task, TaskStatus, Vote};
pub use change::{Change, NewTask, TaskEvent};
pub use judge::{LEASE, decide};
pub use store::{TaskStore, ViewWritten};
