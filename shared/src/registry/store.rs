//! `registry.json` on the snapshot engine.

use std::time::Duration;

use super::{Registry, hand_edits};
use crate::error::Result;
use crate::layout::StateDir;
use crate::os::place::Sync;
use crate::os::{Disk, Storage};
use crate::snapshot::{Edit, Loaded, Snapshot, Taken};

/// How long the lock is waited for by the calls that do not say.
const WAIT: Duration = Duration::from_secs(5);

/// `registry.json` on a storage.
pub struct RegistryStore<S: Storage = Disk> {
    snapshot: Snapshot<Registry, S>,
}

impl<S: Storage> RegistryStore<S> {
    /// Names the file; opens nothing yet.
    pub fn new(storage: S, dir: &StateDir) -> Self {
        let backup = dir.backup().join("registry.json");
        let lock = Some(dir.lock("registry"));
        let snapshot = Snapshot::new(storage, dir.registry(), lock, dir.tmp(), backup, dir.rejected());
        // A death is to be readable within milliseconds, a sync takes longer: the supervisor syncs once a second instead.
        Self { snapshot: snapshot.with_sync(Sync::Skip).with_bases(dir.backup().join("registry")) }
    }

    /// Reads without a lock.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub fn load(&mut self) -> Result<Loaded<Registry>> {
        self.snapshot.load()
    }

    /// Changes the newest state under the lock.
    ///
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn update<T>(
        &mut self,
        wait: Duration,
        change: impl FnOnce(&mut Registry) -> Result<T>,
    ) -> Result<T> {
        self.snapshot.update(wait, change)
    }

    /// Makes a copy for an editor.
    ///
    /// # Errors
    /// As [`Snapshot::edit`].
    pub fn edit(&mut self) -> Result<Edit<Registry>> {
        self.snapshot.edit()
    }

    /// Takes over the wishes a person wrote into the copy; [`not_taken`](super::not_taken) tells what else is in it.
    ///
    /// # Errors
    /// As [`Snapshot::take_edit`].
    pub fn take_edit(&mut self, edit: &Edit<Registry>, hand: &Registry) -> Result<Taken> {
        self.snapshot.take_edit(WAIT, edit, hand, |before, registry| {
            let wishes = hand_edits(before, registry).into_iter();
            Ok(wishes.map(|(id, desired)| format!("{id}: desired {}", desired.word())).collect())
        })
    }

    /// What was set aside since the last call, one sentence each.
    pub fn notes(&mut self) -> Vec<String> {
        self.snapshot.notes()
    }

    /// The newest state this object knows, with what it took over from hands while it wrote.
    #[must_use]
    pub fn known(&self) -> Option<&Registry> {
        self.snapshot.known()
    }
}
