//! Real supervisors, real instances, real signals. Commands under holders stand for any instance, so no worker is needed.
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
mod busy;
mod deaths;
mod doors;
mod stage;
mod stopping;
mod zoo;

/// Says that a test could not run here; `infrastructure/test.sh` fails on a skip it does not know.
fn skip(name: &str, reason: &str) {
    use std::io::Write as _;
    eprintln!("skipped {name}: {reason}");
    if let Some(path) = std::env::var_os("TACHI_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{name}: {reason}").unwrap();
    }
}
