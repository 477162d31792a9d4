//! The supervisor's mind: `next(fleet, event, now) -> actions`. Pure: no file, clock, process or environment in here.
//!
//! `state` what is known, `event` what can happen, `action` what can be asked for, `next` the one function between them,
//! `restart` backoff and limits.

pub mod action;
pub mod event;
pub mod state;

pub use action::Action;
pub use event::Event;
pub use state::Fleet;
