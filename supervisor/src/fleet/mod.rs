//! The supervisor's mind: `next(fleet, event, now) -> actions`. Pure: no file, clock, process or environment in here.
//!
//! `state` what is known, `event` what can happen, `action` what can be asked for, `next` the one function between them.
//! Its parts by subject: `begin` (taking a directory, adoption), `start`, `stop`, `needs`, `death`, `settle`, `command`, `reply`, `rolling`,
//! `scale`, `apply`, `watchdog`. Rules that need no fleet: `restart` (backoff and limits), `brake` (many failing alike).
//! What others read: `rows` (the registry), `why` (one sentence per state), `words`.
//!
//! Invariants, checked over random histories in `tests/fleet`: never two live incarnations of one instance; a requested
//! stop wins over every restart; `failed` never starts alone; each death is recorded once; nothing starts before its time.

pub mod action;
mod apply;
mod begin;
mod brake;
mod command;
mod death;
mod diff;
pub mod event;
mod needs;
mod next;
pub mod phase;
mod reply;
pub mod restart;
mod rolling;
mod rows;
mod scale;
mod settle;
mod start;
pub mod state;
mod stop;
mod watchdog;
pub mod why;
pub mod words;

pub use action::Action;
pub use event::Event;
pub use next::next;
pub use rows::{readiness, rows};
pub use state::Fleet;
