//! This instance's lines for `events/`: kept until the log can be had, never waited for long.

use std::time::Duration;

use tachi_shared::clock::Timestamp;
use tachi_shared::event::{Event, EventLog};

use crate::turn::Identity;

/// Events kept while the log cannot be had; the oldest go first.
const KEPT_MAX: usize = 1_000;
/// How long the log's lock is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Events on their way into the log.
pub(super) struct Journal {
    log: EventLog,
    kept: Vec<Event>,
}

impl Journal {
    /// An empty journal.
    pub(super) fn new(log: EventLog) -> Self {
        Self { log, kept: Vec::new() }
    }

    /// Notes one event.
    pub(super) fn note(&mut self, who: &Identity, at: Timestamp, kind: &str, text: &str) {
        if self.kept.len() >= KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push(Event::new(at, kind, text).of(&who.me.id, who.incarnation));
    }

    /// Writes what was noted, in one append.
    pub(super) fn flush(&mut self) {
        if let Err(error) = self.log.record(&self.kept, PATIENCE) {
            let missing = error.not_stored(self.kept.len());
            let mut at = 0..;
            self.kept.retain(|_| at.next().is_some_and(|at| missing.contains(&at)));
        } else {
            self.kept.clear();
        }
    }
}
