//! The real worker program, run by hand and as a supervisor would run it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests start processes, wait, make files, and stop at the first surprise"
)]

mod alone;
mod killed;
mod messages;
mod supervised;
mod team;
