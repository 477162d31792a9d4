//! `memory.json` on the snapshot engine.

use std::time::Duration;

use serde_json::Value;

use super::rules::{add, number, set_fact};
use super::{Entry, EntryKind, Memory};
use crate::clock::Now;
use crate::error::Result;
use crate::layout::StateDir;
use crate::log::Durability;
use crate::os::place::Sync;
use crate::os::{Disk, Storage};
use crate::snapshot::{Loaded, Snapshot};

/// How long the lock is waited for by the calls that do not say.
const WAIT: Duration = Duration::from_secs(5);

/// `memory.json` on a storage.
pub struct MemoryStore<S: Storage = Disk> {
    snapshot: Snapshot<Memory, S>,
}

impl<S: Storage> MemoryStore<S> {
    /// Names the file; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let backup = dir.backup().join("memory.json");
        let lock = Some(dir.lock("memory"));
        let snapshot = Snapshot::new(storage, dir.memory(), lock, dir.tmp(), backup, dir.rejected());
        Self { snapshot: snapshot.with_bases(dir.backup().join("memory")) }
    }

    /// The same file with another promise about power loss.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        if durability == Durability::Durable {
            self.snapshot = self.snapshot.with_sync(Sync::DataAndName);
        }
        self
    }

    /// Reads without a lock.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub fn load(&mut self) -> Result<Loaded<Memory>> {
        self.snapshot.load()
    }

    /// Adds an entry, once per id: a second add with the same `entry_id` changes nothing and returns the first.
    ///
    /// # Errors
    /// As [`Snapshot::update`]; [`crate::Error::TooLarge`], [`crate::Error::InvalidName`].
    pub fn add(
        &mut self,
        kind: EntryKind,
        entry_id: &str,
        by: &str,
        content: &str,
        now: Now,
    ) -> Result<Entry> {
        self.update(WAIT, |memory| add(memory, kind, entry_id, by, content, now.wall))
    }

    /// Sets a fact.
    ///
    /// # Errors
    /// As [`Snapshot::update`]; [`crate::Error::TooLarge`], [`crate::Error::InvalidName`].
    pub fn set_fact(&mut self, key: &str, value: Value) -> Result<()> {
        self.update(WAIT, |memory| set_fact(memory, key, value))
    }

    /// Changes the newest state under the lock. Entries written by hand without an id get one on the way.
    ///
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn update<T>(&mut self, wait: Duration, change: impl FnOnce(&mut Memory) -> Result<T>) -> Result<T> {
        self.snapshot.update(wait, |memory| {
            number(memory);
            change(memory)
        })
    }

    /// Takes in what hands left, as [`Snapshot::settle`] does.
    ///
    /// # Errors
    /// As [`Snapshot::settle`].
    pub fn settle(&mut self, wait: Duration) -> Result<Option<String>> {
        self.snapshot.settle(wait)
    }

    /// What was set aside since the last call, one sentence each.
    pub fn notes(&mut self) -> Vec<String> {
        self.snapshot.notes()
    }
}
