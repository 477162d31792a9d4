//! What is written down besides the registry: lifecycle events, words to the team, tasks set free.
//!
//! Three lanes, each a bounded queue that is emptied with a lock tried without patience. A lane that cannot be written is
//! tried again after 10 ms to 1 s; what overflows meanwhile is dropped, counted, and the count is written when writing works
//! again. The loop never waits for any of it.

use std::collections::VecDeque;
use std::time::Duration;

use tachi_shared::Error;
use tachi_shared::clock::{Mono, Now};
use tachi_shared::event::{Event, EventLog, Mark};
use tachi_shared::id::{Incarnation, InstanceId, Recipient};
use tachi_shared::layout::{StateDir, Topic};
use tachi_shared::queue::{Draft, MessageKind, Queue};
use tachi_shared::store::Store;
use tachi_shared::task::{Change, TaskStore};

use super::retry::Retry;

/// Entries kept per lane while a lock cannot be had.
const LANE_MAX: usize = 10_000;

/// One lane.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    dropped: u64,
    retry: Retry,
}

impl<T> Lane<T> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), dropped: 0, retry: Retry::default() }
    }

    fn push(&mut self, entry: T) {
        if self.waiting.len() < LANE_MAX {
            self.waiting.push_back(entry);
        } else {
            self.dropped += 1;
        }
    }

    fn is_due(&self, now: Mono) -> bool {
        !self.waiting.is_empty() && self.retry.is_due(now)
    }

    fn due(&self) -> Option<Mono> {
        (!self.waiting.is_empty()).then(|| self.retry.due().unwrap_or(Mono::ZERO))
    }

    /// Lets go of what was stored; `false` = something was not and still waits.
    fn keep_what_is_missing(&mut self, outcome: Result<(), Error>) -> bool {
        let Err(error) = outcome else {
            self.waiting.clear();
            return true;
        };
        let missing = error.not_stored(self.waiting.len());
        let mut at = 0..;
        self.waiting.retain(|_| at.next().is_some_and(|at| missing.contains(&at)));
        missing.is_empty()
    }

    fn settle(&mut self, worked: bool, now: Mono) {
        if worked {
            self.retry.worked();
        } else {
            self.retry.failed(now);
        }
    }
}

/// What a flush changed for others: whom to ring.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flushed {
    /// There are new messages for everybody.
    pub(super) messages: bool,
    /// The board changed.
    pub(super) tasks: bool,
}

/// The three lanes.
pub(super) struct Journal {
    log: EventLog,
    queue: Queue,
    board: TaskStore,
    incarnation: Incarnation,
    announced: u64,
    /// The end of the events when last looked at.
    mark: Mark,
    events: Lane<Event>,
    drafts: Lane<Draft>,
    changes: Lane<Change>,
}

impl Journal {
    /// Writes to `store` in the name of this supervisor.
    pub(super) fn new(store: &Store, incarnation: Incarnation) -> Self {
        Self {
            log: store.events(),
            queue: store.queue(),
            board: store.tasks(),
            incarnation,
            announced: 0,
            mark: Mark::default(),
            events: Lane::new(),
            drafts: Lane::new(),
            changes: Lane::new(),
        }
    }

    /// Whether anybody has recorded an event since the last call. Nobody watches that directory.
    pub(super) fn has_grown(&mut self) -> bool {
        let mark = self.log.mark();
        std::mem::replace(&mut self.mark, mark) != mark
    }

    /// Writes an event soon.
    pub(super) fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Tells the team about one instance soon.
    pub(super) fn announce(&mut self, about: &InstanceId, text: &str, now: Now) {
        self.announced += 1;
        let id = format!("supervisor.{}.{}", self.incarnation, self.announced);
        let mut draft = Draft::new(Recipient::Broadcast, "system", MessageKind::Presence, id, now.wall, text);
        draft.metadata.insert("instance".to_owned(), about.as_str().into());
        self.drafts.push(draft);
    }

    /// Frees the tasks a dead owner held, soon.
    pub(super) fn release(&mut self, owner: InstanceId, incarnation: Incarnation, reason: String) {
        self.changes.push(Change::ReleaseOwner { owner, incarnation, reason, by: "supervisor".to_owned() });
    }

    /// When to flush next, if anything waits.
    pub(super) fn due(&self) -> Option<Mono> {
        [self.events.due(), self.drafts.due(), self.changes.due()].into_iter().flatten().min()
    }

    /// Locks that could not be had for at least `long`.
    pub(super) fn stuck(&self, dir: &StateDir, now: Mono, long: Duration) -> Vec<std::path::PathBuf> {
        let lanes = [
            (Topic::Events, &self.events.retry),
            (Topic::Messages, &self.drafts.retry),
            (Topic::Tasks, &self.changes.retry),
        ];
        let stuck = lanes.into_iter().filter(|(_, retry)| retry.failing_for(now) >= long);
        stuck.map(|(topic, _)| dir.lock(topic.name())).collect()
    }

    /// Writes what is due, trying each lock for `wait`.
    pub(super) fn flush(&mut self, now: Now, wait: Duration) -> Flushed {
        let mut flushed = Flushed::default();
        let due = |at: bool| at || !wait.is_zero();
        if !self.changes.waiting.is_empty() && due(self.changes.is_due(now.mono)) {
            flushed.tasks = self.flush_changes(now, wait);
        }
        if !self.drafts.waiting.is_empty() && due(self.drafts.is_due(now.mono)) {
            flushed.messages = self.flush_drafts(now, wait);
        }
        if !self.events.waiting.is_empty() && due(self.events.is_due(now.mono)) {
            self.flush_events(now, wait);
        }
        flushed
    }

    fn flush_drafts(&mut self, now: Now, wait: Duration) -> bool {
        let drafts = self.drafts.waiting.make_contiguous();
        let sent = self.queue.send(drafts, wait).map(drop);
        // A full queue has no room for our own news; asking again every moment would not make any.
        if let Err(error @ Error::QueueFull { .. }) = &sent {
            let dropped = drafts.len();
            let text = format!("{error}; {dropped} presence messages were dropped");
            self.events.push(Event::new(now.wall, "queue-full", text).with("dropped", dropped));
            self.drafts.waiting.clear();
            self.drafts.settle(true, now.mono);
            return false;
        }
        let before = self.drafts.waiting.len();
        let worked = self.drafts.keep_what_is_missing(sent);
        self.drafts.settle(worked, now.mono);
        self.drafts.waiting.len() < before
    }

    fn flush_changes(&mut self, now: Now, wait: Duration) -> bool {
        let mut any = false;
        while let Some(change) = self.changes.waiting.front() {
            let worked = match self.board.change(change, now, wait) {
                Ok(written) => {
                    any |= written.is_some();
                    true
                }
                // The board said no: asking again would not change that.
                Err(Error::Refused(_)) => true,
                Err(_) => false,
            };
            self.changes.settle(worked, now.mono);
            if !worked {
                break;
            }
            self.changes.waiting.pop_front();
        }
        any
    }

    fn flush_events(&mut self, now: Now, wait: Duration) {
        let dropped = std::mem::take(&mut self.events.dropped);
        if dropped > 0 {
            let text = format!("{dropped} events could not be written and were dropped");
            self.events
                .waiting
                .push_back(Event::new(now.wall, "lock-trouble", text).with("dropped", dropped));
        }
        let recorded = self.log.record(self.events.waiting.make_contiguous(), wait);
        let worked = self.events.keep_what_is_missing(recorded);
        self.events.settle(worked, now.mono);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_not_written_again_and_what_was_not_still_waits() {
        let full = || Error::DiskFull { operation: "append to", path: "log".into() };
        let in_part = Error::StoredInPart { missing: vec![1, 2], source: Box::new(full()) };
        let unknown = Error::DurabilityUnknown { path: "log".into(), source: std::io::Error::other("EIO") };
        for (outcome, left, worked) in [
            (Ok(()), "", true),
            (Err(full()), "abc", false),
            (Err(in_part), "bc", false),
            (Err(unknown), "", true),
        ] {
            let mut lane = Lane::new();
            "abc".chars().for_each(|entry| lane.push(entry));
            assert_eq!(lane.keep_what_is_missing(outcome), worked);
            assert!(lane.waiting.iter().copied().eq(left.chars()), "{left}");
        }
    }
}
