//! What a machine can do to a store: a full disk, a limit on file size, a power loss. Real ones, where this machine allows it.
//!
//! A job that cannot run here says so (`NAME: reason` in the file named by `TACHI_SKIPS`, else on standard error); the names
//! stand in `infrastructure/skips.txt`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may; it also mounts file systems and cuts their power"
)]

mod file_systems;
mod full_disk;
mod power_loss;
mod size_limit;
mod skip;
