//! Real supervisors, real instances, real signals. Commands under holders stand for any instance, so no worker is needed.
//!
//! Every wait has a deadline; a test that fails prints the event log, the registry and what the supervisor said.

mod adoption;
mod deaths;
mod doors;
mod stage;
mod stopping;
mod zoo;
