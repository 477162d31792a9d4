//! Faults put under the program itself by `strace`: every system call of a send, of a memory entry, of an import is failed, delayed
//! or made the last one. What was acknowledged is there once, the rest once or not at all, and the next who comes can work.
//!
//! Where `strace` is missing or may not trace, the job `strace` says so (`TACHI_SKIPS`, else standard error). `TACHI_LONG=1`
//! tries every call; otherwise of each kind so many, evenly spread.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test may; it also runs programs under a tracer"
)]

mod calls;
mod import;
mod sweep;
mod tracer;
