//! The queue: messages between instances and people, on the log engine.
//!
//! Files: `messages/*.jsonl` (the truth, one message a line), `messages.json` (view of the newest 200 and import box),
//! `spool/` (door for foreign programs). Order is `seq`. Readers take no lock; each keeps its cursor in its own state file.
//! `.tachi/taken.json` remembers what came in by the box and the doors, `.tachi/verified.json` how far idle readers need not
//! read, for retention.

mod import;
pub mod message;
mod readers;
mod replaced;
mod rules;
mod spool;
mod store;
mod taken;
pub mod view;
mod wire;

pub use message::{Draft, Message, MessageKind};
pub use readers::{Reader, Verified, readers};
pub use rules::{Priority, bells, check_kind, check_recipient, is_for_another, write_record};
pub use store::{Arrival, Inbox, Queue};
pub use view::{Refreshed, View};
