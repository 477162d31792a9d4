//! One worker's mind — pure: `next(turn, event, now) -> actions`.
//!
//! [`Turn`] holds the instance's own state file and what this process knows besides; [`Event`] is everything that can
//! happen, [`Action`] everything that can be asked for. Files: `start` (the order of the first steps), `inbox` (what arrives
//! and what is answered), `work` (board, claim, outcome), `leave` (why and how it ends). Nothing here reads a clock, a file or
//! the environment.
//!
//! Invariants, proven by tests: a plan is committed before it is carried out; the cursor is committed together with the
//! replies it caused; at most one piece of work is under way; nothing is asked for after [`Action::Leave`].

pub mod action;
pub mod event;
mod inbox;
mod leave;
mod next;
mod start;
pub mod state;
#[cfg(test)]
mod tests;
mod work;

pub use action::{Action, Reason, Step, Work};
pub use event::{Event, HookFate, Look, Settlement};
pub use next::next;
pub use state::{Guard, Identity, Phase, Turn};
