//! stub
use super::{Entry, EntryKind, Memory};
use crate::clock::Now;
use crate::error::Result;
use crate::layout::StateDir;
use crate::os::{Disk, Storage};
use crate::snapshot::{Loaded, Snapshot};
use serde_json::Value;
use std::time::Duration;

/// `memory.json` on a storage.
pub struct MemoryStore<S: Storage = Disk> {
    _snapshot: Snapshot<Memory, S>,
}
impl<S: Storage> MemoryStore<S> {
    /// Names the file; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir) -> Self {
        todo!()
    }
    /// Reads without a lock.
    /// # Errors
    /// As [`Snapshot::load`].
    pub fn load(&mut self) -> Result<Loaded<Memory>> {
        todo!()
    }
    /// Adds an entry, once per id: a second add with the same `entry_id` changes nothing.
    /// # Errors
    /// As [`Snapshot::update`]; [`crate::Error::TooLarge`].
    pub fn add(
        &mut self,
        _kind: EntryKind,
        _entry_id: &str,
        _by: &str,
        _content: &str,
        _now: Now,
    ) -> Result<Entry> {
        todo!()
    }
    /// Sets a fact.
    /// # Errors
    /// As [`Snapshot::update`]; [`crate::Error::TooLarge`].
    pub fn set_fact(&mut self, _key: &str, _value: Value) -> Result<()> {
        todo!()
    }
    /// Changes the newest state under the lock.
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn update<T>(
        &mut self,
        _wait: Duration,
        _change: impl FnOnce(&mut Memory) -> Result<T>,
    ) -> Result<T> {
        todo!()
    }
}
