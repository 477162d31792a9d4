//! One file per verb: typed arguments in, text and an exit code out.
//!
//! Verbs that read never make or start anything. Verbs that change place a command file and wait for the answer ([`ask`]);
//! `up` becomes the supervisor; `down` and `kill` can do without one. What verbs share: [`context`] (where, how to print),
//! [`look`] (the fleet as it is), [`wait`] (sleeping until a file changes), [`selector`],
//! [`desk`] (a copy in the person's editor).
//! Deliberately absent: layout of text (`render`), decisions about instances (`fleet`).
#![expect(clippy::disallowed_methods, reason = "verbs read the terminal and the files they show")]

mod ask;
mod context;
mod desk;
mod dispatch;
mod look;
mod orphans;
mod printer;
mod selector;
mod stream;
mod tail;
mod wait;

mod apply;
mod check;
mod completions;
mod delivery;
mod detach;
mod doctor;
mod down;
mod edit;
mod events;
mod history;
mod inbox;
mod kill;
mod logs;
mod memory;
mod messages;
mod pause;
mod reset;
mod restart;
mod resume;
mod rolling;
mod scale;
mod send;
mod start;
mod status;
mod stop;
mod unit;
mod up;
mod why;

pub use dispatch::{main, run};
