//! stub
use super::{ExitRecord, InstanceState};
use crate::error::Result;
use crate::id::InstanceId;
use crate::layout::StateDir;
use crate::os::{Disk, Storage};

/// The files of one instance: its state and its last words.
pub struct InstanceStore<S: Storage = Disk> {
    _storage: S,
}
impl<S: Storage> InstanceStore<S> {
    /// Names the files of `id`; opens nothing yet.
    pub fn new(_storage: S, _dir: &StateDir, _id: &InstanceId) -> Self {
        todo!()
    }
    /// The state, or the last good one with the reason, or none.
    /// # Errors
    /// [`crate::Error::Io`], [`crate::Error::NewerSchema`].
    pub fn load(&mut self) -> Result<crate::snapshot::Loaded<InstanceState>> {
        todo!()
    }
    /// Replaces the state.
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn replace(&mut self, _state: &InstanceState) -> Result<()> {
        todo!()
    }
    /// Proof of life without a write: sets the file's times to now (`futimens`, 0.8 µs).
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn touch(&mut self) -> Result<()> {
        todo!()
    }
    /// The last words, if any were written.
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn exit_record(&self) -> Result<Option<ExitRecord>> {
        todo!()
    }
    /// Writes the last words.
    /// # Errors
    /// [`crate::Error::DiskFull`], [`crate::Error::Io`].
    pub fn write_exit_record(&self, _record: &ExitRecord) -> Result<()> {
        todo!()
    }
}
