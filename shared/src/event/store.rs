//! stub
use super::Event;
use crate::error::Result;
use crate::layout::StateDir;
use crate::log::Cursor;
use crate::os::{Disk, Storage};
use std::time::Duration;

/// The event log on a storage.
pub struct EventLog<S: Storage = Disk> {
    _storage: S,
}
impl<S: Storage> EventLog<S> {
    /// Names the log; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir) -> Self {
        todo!()
    }
    /// Appends in order.
    /// # Errors
    /// As [`crate::log::Log::append`].
    pub fn record(&mut self, _events: &[Event], _wait: Duration) -> Result<()> {
        todo!()
    }
    /// Events behind `cursor`.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn read(&self, _cursor: Cursor, _max: usize) -> Result<(Vec<Event>, Cursor)> {
        todo!()
    }
    /// The newest `count`, oldest first.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn newest(&self, _count: usize) -> Result<Vec<Event>> {
        todo!()
    }
    /// The end now.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn end(&self) -> Result<Cursor> {
        todo!()
    }
}
