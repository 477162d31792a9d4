//! Real supervisors, real instances, real signals. Commands under holders stand for any instance where no worker is needed.
//!
//! Every wait has a deadline; a test that fails prints the event log, the registry and what the supervisor said.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests may; they play the hands and the killers"
)]

mod adoption;
mod applying;
mod busy;
mod crash_points;
mod crowd;
mod deaths;
mod doors;
mod first;
mod followed;
mod gateways;
mod leftovers;
mod manager;
mod places;
mod readiness;
mod restarts;
mod room;
mod stage;
mod stopping;
mod storm;
mod team;
mod terminal;
mod workers;
mod zoo;
