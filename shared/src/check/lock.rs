//! Locks: whoever holds one runs — pure.

use super::finding::{Finding, Outcome};
use super::surroundings::Surroundings;

/// No lock is held by a process that is stopped: everybody who writes waits for it, up to their deadlines.
#[must_use]
pub fn holders_run(around: &Surroundings) -> Outcome {
    let findings = around.locked.iter().filter(|held| held.stopped).map(|held| {
        let what = format!("it is held by pid {}, which is stopped", held.pid);
        let why = "whoever writes waits for it and gives up at its deadline";
        let next = format!("continue it: kill -CONT {}", held.pid);
        Finding::problem(&held.path, what, why, next)
    });
    Outcome::new("whoever holds a lock runs", format!("{} held", around.locked.len()), findings.collect())
}
