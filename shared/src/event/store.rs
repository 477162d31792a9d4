//! The event log on the log engine.

use std::time::Duration;

use super::Event;
use crate::error::{Error, Result};
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::log::{Cursor, Entry, Log, newest};
use crate::os::{Disk, Storage};

/// Entries taken from the log in one go.
const CHUNK: usize = 512;

/// How far the log is, for comparison only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    changed: i128,
    newest: Option<u64>,
    size: u64,
}

/// The event log on a storage.
pub struct EventLog<S: Storage = Disk> {
    storage: S,
    dir: StateDir,
    log: Log<S>,
    mark: Mark,
}

impl<S: Storage> EventLog<S> {
    /// Names the log; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let log = Log::new(storage.clone(), dir, Topic::Events);
        Self { storage, dir: dir.clone(), log, mark: Mark::default() }
    }

    /// Appends in order.
    ///
    /// # Errors
    /// As [`crate::log::Log::append`].
    pub fn record(&mut self, events: &[Event], wait: Duration) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let lines = events.iter().map(line).collect::<Result<Vec<String>>>()?;
        self.log.append(&lines, wait).map(drop)
    }

    /// Events behind `cursor`; lines that are no events are left out.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn read(&self, cursor: Cursor, max: usize) -> Result<(Vec<Event>, Cursor)> {
        let mut reader = self.log.reader(cursor);
        let mut events = Vec::new();
        while events.len() < max {
            let entries = reader.read(CHUNK.min(max - events.len()))?;
            if entries.is_empty() {
                break;
            }
            events.extend(entries.iter().filter_map(|entry| match entry {
                Entry::Record { seq, line } => event(*seq, line),
                Entry::Gap(_) => None,
            }));
        }
        Ok((events, reader.cursor().clone()))
    }

    /// The newest `count`, oldest first.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn newest(&self, count: usize) -> Result<Vec<Event>> {
        let lines = newest(&self.storage, &self.dir, Topic::Events, &self.log, count)?;
        Ok(lines.iter().filter_map(|(seq, line)| event(*seq, line)).collect())
    }

    /// Changes whenever anybody records something. Asked again and again it opens nothing, which would wake a watcher.
    pub fn mark(&mut self) -> Mark {
        let changed = self.storage.stat(&self.dir.segments(Topic::Events)).map(|stat| stat.mtime_ns);
        let changed = changed.unwrap_or_default();
        if self.mark.changed != changed {
            let newest = self.log.pieces().ok().and_then(|pieces| Some(pieces.last()?.base));
            self.mark = Mark { changed, newest, size: 0 };
        }
        let path = self.mark.newest.map(|base| self.log.segment(base));
        self.mark.size = path.and_then(|path| self.storage.stat(&path).ok()).map_or(0, |stat| stat.size);
        self.mark
    }

    /// The end now.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn end(&self) -> Result<Cursor> {
        self.log.end()
    }
}

/// An event as the line to append; its position is given by the log.
fn line(event: &Event) -> Result<String> {
    let bare = Event { seq: Seq::START, ..event.clone() };
    serde_json::to_string(&bare)
        .map_err(|error| Error::Refused(format!("the event cannot be written as JSON: {error}")))
}

fn event(seq: Seq, line: &str) -> Option<Event> {
    let event: Event = serde_json::from_str(line).ok()?;
    Some(Event { seq, ..event })
}
