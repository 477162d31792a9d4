//! What a worker does: the only room of this crate that touches files, processes, signals and the network.
//!
//! `startup` makes the process an instance, `run_loop` feeds the mind and carries out what it asks for: `hands` whatever needs
//! no board, `work` what does. `senses` is the one place that waits; `http` the only user of ureq.
#![expect(clippy::disallowed_methods, reason = "the room the bans point to")]

mod answer;
mod children;
mod hands;
mod http;
mod inbox;
mod journal;
mod outbox;
mod output;
mod row;
mod run_loop;
mod senses;
mod startup;
mod supervisor;
pub mod survey;
mod work;

pub use startup::run;
