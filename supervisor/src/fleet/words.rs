//! Deaths and durations in words for people.

use std::time::Duration;

use nix::sys::signal::Signal;
use tachi_shared::registry::{Death, DeathKind};

/// The name people know a signal by.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.as_str().to_owned())
}

/// A death in few words: `SIGKILL (external)`, `exit code 1 (crash)`.
#[must_use]
pub fn describe(death: &Death) -> String {
    let how = match death.kind {
        DeathKind::Exit => format!("exit code {}", death.code.unwrap_or_default()),
        DeathKind::Signal => death.signal.clone().unwrap_or_else(|| "a signal".to_owned()),
        DeathKind::SpawnError => {
            let error = death.last_line.as_deref().unwrap_or("unknown error");
            return format!("could not be started: {error}");
        }
        DeathKind::Lost => return "gone without a trace of how (lost)".to_owned(),
    };
    format!("{how} ({})", death.cause)
}

/// A duration for people: `0.5 s`, `12 s`.
#[must_use]
pub fn seconds(wait: Duration) -> String {
    if wait.as_secs() >= 10 || wait.subsec_millis() == 0 {
        format!("{} s", wait.as_secs())
    } else {
        format!("{:.1} s", wait.as_secs_f64())
    }
}
