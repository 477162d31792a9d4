//! `memory.json` on the snapshot engine.

use std::time::Duration;

use serde_json::Value;

use super::archive::Archive;
use super::change::changes;
use super::rules::{Query, add, number, set_fact};
use super::{Entry, EntryKind, Memory};
use crate::clock::Now;
use crate::error::{Error, Result};
use crate::layout::StateDir;
use crate::log::Durability;
use crate::os::place::Sync;
use crate::os::{Disk, Storage};
use crate::snapshot::{Edit, Loaded, Snapshot, Taken};

/// How long the lock is waited for by the calls that do not say.
const WAIT: Duration = Duration::from_secs(5);

/// `memory.json` on a storage.
pub struct MemoryStore<S: Storage = Disk> {
    snapshot: Snapshot<Memory, S>,
    archive: Archive<S>,
}

impl<S: Storage> MemoryStore<S> {
    /// Names the file; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let backup = dir.backup().join("memory.json");
        let lock = Some(dir.lock("memory"));
        let archive = Archive::new(storage.clone(), dir);
        let snapshot = Snapshot::new(storage, dir.memory(), lock, dir.tmp(), backup, dir.rejected());
        Self { snapshot: snapshot.with_bases(dir.backup().join("memory")), archive }
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
        let Self { snapshot, archive } = self;
        snapshot.update(wait, |memory| {
            number(memory);
            let result = change(memory)?;
            number(memory);
            archive.relieve(memory)?;
            Ok(result)
        })
    }

    /// Sets a fact if it has not changed since revision `rev` of the memory (0 = if there is no such fact); returns the
    /// revision it is in now. Changes of anything else do not matter as long as that revision is kept.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] naming the current revision; as [`MemoryStore::set_fact`].
    pub fn set_fact_at(&mut self, key: &str, value: Value, rev: u64) -> Result<u64> {
        let seen = match rev {
            0 => Some(None),
            _ => self.snapshot.base(rev).map(|memory| memory.facts.get(key).cloned()),
        };
        let outcome = self.update(WAIT, |memory| {
            let unchanged = match &seen {
                Some(seen) => memory.facts.get(key) == seen.as_ref(),
                None => memory.rev == rev,
            };
            if unchanged {
                set_fact(memory, key, value)?;
                return Ok(Ok(memory.rev.saturating_add(1)));
            }
            if memory.rev == rev {
                // A hand changed it and left the revision as it was: written, so that it gets one of its own.
                return Ok(Err(rev.saturating_add(1)));
            }
            Err(lost(key, rev, memory.rev))
        })?;
        outcome.map_err(|current| lost(key, rev, current))
    }

    /// Entries that were pushed out of the lists by newer ones and match, oldest first within each list.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn archived(&self, query: &Query<'_>) -> Result<Vec<(EntryKind, Entry)>> {
        let mut found = Vec::new();
        for kind in EntryKind::ALL {
            let entries = self.archive.read(kind)?.into_iter();
            found.extend(entries.filter(|entry| query.matches(kind, entry)).map(|entry| (kind, entry)));
        }
        Ok(found)
    }

    /// Makes a copy for an editor.
    ///
    /// # Errors
    /// As [`Snapshot::edit`].
    pub fn edit(&mut self) -> Result<Edit<Memory>> {
        self.snapshot.edit()
    }

    /// Takes over what a person changed in the copy, entry by entry.
    ///
    /// # Errors
    /// As [`Snapshot::take_edit`].
    pub fn take_edit(&mut self, edit: &Edit<Memory>, hand: &Memory) -> Result<Taken> {
        let Self { snapshot, archive } = self;
        snapshot.take_edit(WAIT, edit, hand, |before, memory| {
            number(memory);
            let changed = changes(before, memory);
            archive.relieve(memory)?;
            Ok(changed)
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

fn lost(key: &str, rev: u64, current: u64) -> Error {
    Error::Refused(format!(
        "fact {key:?} was changed since revision {rev}; the memory is at revision {current}"
    ))
}
