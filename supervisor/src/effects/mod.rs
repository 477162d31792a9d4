//! The supervisor's hands: the only room of this crate that touches processes, files, signals and the terminal.
//!
//! `run_loop` is the one loop: it turns what the system says into [`crate::fleet::Event`]s and carries out the
//! [`crate::fleet::Action`]s that come back. Inside one pass everything that concerns processes happens first and
//! everything that touches the disk last, so that a death is answered before it is written down. No call in here waits
//! for a lock, a process, a terminal or a pipe.
//!
//! Processes: `table` who is led, `spawn` start, `reap` death, `tree` what a dead leader left, `adopt` what an earlier
//! supervisor left, `beat` what instances say, `hold` the parent of a foreign command, `probe` when that is ready.
//! Outside: `poll` and `signals` what is waited for, `suspend` Ctrl-Z, `door` files that hands place, `registry_writer` and
//! `journal` what is written down, `retired` who left, `reread` the configuration once more, `house` views, `screen` the
//! terminal, `notify` the service manager, `rotate` log files that stay small.
//! Deliberately absent: decisions about instances. They are made in `fleet/`.
#![expect(clippy::disallowed_methods, reason = "the room the bans point to")]

mod adopt;
mod beat;
mod begin;
mod carry_out;
mod door;
mod held;
mod hold;
mod home;
mod house;
mod journal;
mod keep;
mod mark;
mod notify;
mod output;
mod poll;
mod probe;
mod reap;
mod registry_writer;
mod reread;
mod retired;
mod retry;
mod rotate;
mod run_loop;
mod screen;
mod signals;
mod spawn;
mod suspend;
mod table;
mod thaw;
mod tree;
mod unreadable;

pub use hold::hold;
pub(crate) use registry_writer::CONFIG;
pub use reread::Settle;
pub use run_loop::supervise;
pub use screen::{Draw, Screen};
pub(crate) use tree::{end_marked, has_marked};
