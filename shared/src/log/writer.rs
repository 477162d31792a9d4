//! stub
use std::time::Duration;

use super::{Cursor, LogReader};
use crate::error::Result;
use crate::id::Seq;
use crate::layout::{StateDir, Topic};
use crate::os::{Disk, Storage};

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first record written.
    pub first: Seq,
    /// Position of the last.
    pub last: Seq,
}

/// One topic's log.
pub struct Log<S: Storage = Disk> {
    _storage: S,
}

impl<S: Storage> Log<S> {
    /// Names a topic's log; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir, _topic: Topic) -> Self {
        todo!()
    }

    /// A reader that continues behind `cursor`.
    pub fn reader(&self, _cursor: Cursor) -> LogReader<S> {
        todo!()
    }

    /// The cursor of somebody who has seen everything that is complete now.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn end(&self) -> Result<Cursor> {
        todo!()
    }

    /// Appends one record per element; each is a one-line JSON object **without** `seq`, which is put in front.
    /// Waits at most `wait` for the lock.
    ///
    /// # Errors
    /// [`crate::Error::LockTimeout`], [`crate::Error::DiskFull`], [`crate::Error::TooLarge`], [`crate::Error::Io`]; nothing is stored then.
    pub fn append(&mut self, _records: &[String], _wait: Duration) -> Result<Appended> {
        todo!()
    }

    /// Runs `change` under the writer lock: for appends that depend on everything before them.
    ///
    /// # Errors
    /// As [`Log::append`], and whatever `change` returns.
    pub fn locked<T>(
        &mut self,
        _wait: Duration,
        _change: impl FnOnce(&mut LogWriter<'_, S>) -> Result<T>,
    ) -> Result<T> {
        todo!()
    }
}

/// A log whose writer lock is held.
pub struct LogWriter<'a, S: Storage> {
    _log: &'a mut Log<S>,
}

impl<S: Storage> LogWriter<'_, S> {
    /// Appends as [`Log::append`] does.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append(&mut self, _records: &[String]) -> Result<Appended> {
        todo!()
    }
}
