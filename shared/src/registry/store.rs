//! stub
use super::Registry;
use crate::error::Result;
use crate::layout::StateDir;
use crate::os::{Disk, Storage};
use crate::snapshot::{Loaded, Snapshot};
use std::time::Duration;

/// `registry.json` on a storage.
pub struct RegistryStore<S: Storage = Disk> {
    _snapshot: Snapshot<Registry, S>,
}
impl<S: Storage> RegistryStore<S> {
    /// Names the file; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir) -> Self {
        todo!()
    }
    /// Reads without a lock.
    /// # Errors
    /// As [`Snapshot::load`].
    pub fn load(&mut self) -> Result<Loaded<Registry>> {
        todo!()
    }
    /// Changes the newest state under the lock.
    /// # Errors
    /// As [`Snapshot::update`].
    pub fn update<T>(
        &mut self,
        _wait: Duration,
        _change: impl FnOnce(&mut Registry) -> Result<T>,
    ) -> Result<T> {
        todo!()
    }
}
